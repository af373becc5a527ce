"""The log of a job: gathered from all who work on it, rid of secrets, and kept."""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from mesh.telemetry import hidden
from services.jobs.repository import LeaseRepository, NewLine
from services.jobs.submission import Spark
from services.jobs.yarn import LOG_FILES, Yarn, log_parts


class JobLog:
    """The log of a job that a worker holds."""

    def __init__(self, leases: LeaseRepository, job_id: str, holder: str, secrets: Sequence[str]) -> None:
        self._leases = leases
        self._job_id = job_id
        self._holder = holder
        self._secrets = [secret for secret in secrets if secret]
        # Up to which byte each file was taken in. None before it is known how far another worker came.
        self._offsets: dict[str, int] | None = None

    async def note(self, *texts: str) -> None:
        """Adds what the worker itself has to say."""
        await self.add("worker", texts)

    async def add(self, source: str, texts: Sequence[str]) -> None:
        """Adds lines of which nothing is kept elsewhere."""
        if texts:
            await self._leases.append(self._job_id, self._holder, self._lines(source, texts), await self._known())

    async def follow(self, yarn: Yarn, application_id: str) -> None:
        """Adds what the containers of a running application have written since."""
        offsets = await self._known()
        for file in await yarn.log_files(application_id):
            offset = offsets.get(file.key, 0)
            if file.byte_count > offset:
                written = await yarn.log(file, offset)
                # A line that is not yet whole is taken next time.
                await self._take(file.container, file.name, offset, written[: written.rfind(b"\n") + 1])

    async def complete(self, spark: Spark, application_id: str) -> None:
        """Adds the rest of what an application that has ended wrote."""
        offsets = await self._known()
        for part in log_parts(await spark.gathered_logs(application_id, _GATHERED_BYTES), _GATHERED_BYTES):
            offset = max(offsets.get(f"{part.container}/{part.name}", 0), part.start)
            if part.name in LOG_FILES and part.byte_count > offset:
                await self._take(part.container, part.name, offset, part.content[offset - part.start :])

    async def _take(self, container: str, name: str, offset: int, written: bytes) -> None:
        texts = written.decode(errors="replace").splitlines()
        offsets = {**await self._known(), f"{container}/{name}": offset + len(written)}
        await self._leases.append(self._job_id, self._holder, self._lines(_source(container), texts), offsets)
        self._offsets = offsets

    async def _known(self) -> dict[str, int]:
        if self._offsets is None:
            self._offsets = await self._leases.offsets(self._job_id)
        return self._offsets

    def _lines(self, source: str, texts: Iterable[str]) -> list[NewLine]:
        time = datetime.now(UTC)
        lines = []
        for text in texts:
            # Lines that go on from another, such as those of a traceback, carry no time of their own.
            time = _time(text) or time
            lines.append(NewLine(time, source, self._clean(text)))
        return lines

    def _clean(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "[hidden]")
        return hidden(text).replace("\0", "\N{REPLACEMENT CHARACTER}")[:_LINE_LENGTH]


_LINE_LENGTH = 8000
# Of each file; what is before was seen while it ran, or is of little use.
_GATHERED_BYTES = 8_000_000

# `26/11/23 09:00:00` as Spark writes it, `2026-11-23 09:00:00` or `2026-11-23T09:00:00Z` as Python does.
_TIMES = (re.compile(r"\d\d/\d\d/\d\d \d\d:\d\d:\d\d"), re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)?"))


def _source(container: str) -> str:
    """YARN numbers an application's containers, and its first is the driver's."""
    number = int(container.rpartition("_")[2])
    return "driver" if number == 1 else f"executor {number - 1}"


def _time(text: str) -> datetime | None:
    for pattern, form in zip(_TIMES, ("%y/%m/%d %H:%M:%S", None), strict=True):
        if found := pattern.match(text):
            try:
                # A time without a zone is that of the machine.
                return (datetime.strptime(found[0], form) if form else datetime.fromisoformat(found[0])).astimezone(UTC)  # noqa: DTZ007
            except ValueError:
                return None
    return None
