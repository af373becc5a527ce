"""The lease of the job that trains: once it has ended, another worker may be training, and nothing is registered or promoted any more."""

from pathlib import Path

from ml.pipeline.settings import Settings

_UPTIME = Path("/proc/uptime")


class LeaseLost(Exception):
    """The worker was paused for longer than its lease, so that another may have taken its job."""


def check_lease(settings: Settings) -> None:
    """Raises `LeaseLost` unless the lease still lasts. The worker keeps its end in a file, in seconds of the machine's uptime.

    A training without a job has no lease.
    """
    if settings.lease is None:
        return
    try:
        lasts = float(_UPTIME.read_text().split()[0]) < float(settings.lease.read_text())
    except (OSError, ValueError):
        lasts = False
    if not lasts:
        raise LeaseLost(f"the lease of job {settings.job_id} has ended: another worker may be training")
