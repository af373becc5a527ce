"""Collects the log of a job from the worker, the application's containers and the training, and redacts secrets."""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from mesh.telemetry import redact
from services.jobs.container_logs import LOG_FILES, AggregatedLogs
from services.jobs.logs import LogRepository, NewLogLine
from services.jobs.yarn import YarnClient

MAX_LINE_LENGTH = 8000
# Of each aggregated file. What is before that was read while the application ran, or is of little use.
MAX_AGGREGATED_BYTES = 8_000_000

# `26/11/23 09:00:00` as Spark writes it; `2026-11-23 09:00:00` or `2026-11-23T09:00:00Z` as Python does.
_TIMES = (
    (re.compile(r"\d\d/\d\d/\d\d \d\d:\d\d:\d\d"), "%y/%m/%d %H:%M:%S"),
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)?"), None),
)


class LogCollector:
    """Appends to the log of a job that a worker holds.

    secrets: redacted wherever they occur
    max_lines: how many lines the log keeps
    """

    def __init__(self, logs: LogRepository, job_id: str, holder: str, secrets: Sequence[str], max_lines: int) -> None:
        self._logs = logs
        self._job_id = job_id
        self._holder = holder
        self._secrets = [secret for secret in secrets if secret]
        self._max_lines = max_lines
        # How many bytes of each file are stored; None until it is known how far another worker came.
        self._offsets: dict[str, int] | None = None

    async def note(self, *texts: str) -> None:
        """Appends lines of the worker's own."""
        await self.append("worker", texts)

    async def append(self, source: str, texts: Sequence[str]) -> None:
        """Appends lines that are in no file."""
        if texts:
            await self._store(source, texts, await self._known_offsets())

    async def collect_running(self, yarn: YarnClient, application_id: str) -> None:
        """Appends what the containers of a running application have written since the last call."""
        offsets = await self._known_offsets()
        for file in await yarn.list_log_files(application_id):
            offset = offsets.get(file.key, 0)
            if file.byte_count > offset:
                written = await yarn.read_log(file, offset)
                # An incomplete last line is left for the next call.
                await self._append_file(file.container, file.key, offset, written[: written.rfind(b"\n") + 1])

    async def collect_rest(self, logs: AggregatedLogs, application_id: str) -> None:
        """Appends the rest of what an application that has ended wrote."""
        offsets = await self._known_offsets()
        for part in await logs.read(application_id, MAX_AGGREGATED_BYTES):
            offset = max(offsets.get(part.key, 0), part.start)
            if part.name in LOG_FILES and part.byte_count > offset:
                await self._append_file(part.container, part.key, offset, part.content[offset - part.start :])

    def redact(self, text: str) -> str:
        """A line as the log has it: without secrets, truncated."""
        for secret in self._secrets:
            text = text.replace(secret, "[hidden]")
        return redact(text).replace("\0", "\N{REPLACEMENT CHARACTER}")[:MAX_LINE_LENGTH]

    async def _append_file(self, container: str, key: str, offset: int, written: bytes) -> None:
        offsets = {**await self._known_offsets(), key: offset + len(written)}
        await self._store(_source(container), written.decode(errors="replace").splitlines(), offsets)
        self._offsets = offsets

    async def _store(self, source: str, texts: Iterable[str], offsets: dict[str, int]) -> None:
        await self._logs.append(self._job_id, self._holder, self._new_lines(source, texts), offsets, self._max_lines)

    async def _known_offsets(self) -> dict[str, int]:
        if self._offsets is None:
            self._offsets = await self._logs.read_offsets(self._job_id)
        return self._offsets

    def _new_lines(self, source: str, texts: Iterable[str]) -> list[NewLogLine]:
        time = datetime.now(UTC)
        lines = []
        for text in texts:
            # Continuation lines, such as those of a traceback, have no time of their own.
            time = _time(text) or time
            lines.append(NewLogLine(time, source, self.redact(text)))
        return lines


def _source(container: str) -> str:
    """YARN numbers the containers of an application; the driver runs in the first."""
    number = int(container.rpartition("_")[2])
    return "driver" if number == 1 else f"executor {number - 1}"


def _time(text: str) -> datetime | None:
    """The time at the beginning of a line, in UTC; None if there is none."""
    for pattern, form in _TIMES:
        if found := pattern.match(text):
            try:
                # A time without a zone is the machine's local time.
                return (datetime.strptime(found[0], form) if form else datetime.fromisoformat(found[0])).astimezone(UTC)  # noqa: DTZ007
            except ValueError:
                return None
    return None
