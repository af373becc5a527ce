"""The published clean data: its quality, and the lines that were rejected."""

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import date
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from lake.bucket import Bucket
from lake.errors import StoreError
from lake.manifest import Manifest
from lake.publishing import read_publication
from lake.reading import read_parquet
from mesh.errors import FailedPrecondition, Unavailable

COLUMNS = ("file", "line_number", "reason", "line", "date")
BATCH_ROWS = 5_000


class LineFilter(NamedTuple):
    """Which rejected lines are asked for; an empty value asks for all."""

    file: str
    reason: str
    date: str

    def may_have(self, month: str) -> bool:
        """Whether lines of a month can be among them."""
        return not self.date or month == self.date[:7]


class RejectPlace(NamedTuple):
    """The place of a rejected line: its file in the store, and its row."""

    key: str
    row: int


class Reject(NamedTuple):
    """A rejected line and its place."""

    place: RejectPlace
    file: str
    line_number: int
    reason: str
    line: str
    date: date | None


class CleanData:
    """What is published in a bucket. Methods raise `Unavailable` if the store cannot be reached."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    async def manifest(self) -> Manifest | None:
        """The manifest of the published data; None before the first ETL."""
        return await asyncio.to_thread(self._manifest)

    async def published_manifest(self) -> Manifest:
        """The same. Raises `FailedPrecondition` before the first ETL."""
        manifest = await self.manifest()
        if manifest is None:
            raise FailedPrecondition("NO_CLEAN_DATA", "no clean data was published yet")
        return manifest

    async def list_rejects(self, wanted: LineFilter, after: RejectPlace, limit: int) -> list[Reject]:
        """The first rejected lines after a place, by month, file and number."""
        manifest = await self.published_manifest()
        return await asyncio.to_thread(lambda: _take(self._rejects(manifest, wanted, after), limit))

    async def export_rejects(self, wanted: LineFilter) -> AsyncIterator[str]:
        """All rejected lines as pieces of a CSV file."""
        rejects = self._rejects(await self.published_manifest(), wanted, RejectPlace("", -1))
        yield _csv([COLUMNS])
        while batch := await asyncio.to_thread(_take, rejects, BATCH_ROWS):
            yield _csv([(each.file, each.line_number, each.reason, each.line, each.date or "") for each in batch])

    def _manifest(self) -> Manifest | None:
        try:
            publication = read_publication(self._bucket)
        except StoreError as error:
            raise _unavailable() from error
        return None if publication is None else publication.manifest

    def _rejects(self, manifest: Manifest, wanted: LineFilter, after: RejectPlace) -> Iterator[Reject]:
        """The rejected lines after a place, one file of the store in memory at a time."""
        contents = manifest.contents("rejects")
        keys = [file.key for month in sorted(contents) if wanted.may_have(month) for file in contents[month].files]
        if after.key:
            keys = keys[keys.index(after.key) :] if after.key in keys else []
        for key in keys:
            yield from self._file_rejects(key, wanted, after.row + 1 if key == after.key else 0)

    def _file_rejects(self, key: str, wanted: LineFilter, first_row: int) -> Iterator[Reject]:
        try:
            stored = self._bucket.read(key)
        except StoreError as error:
            raise _unavailable() from error
        if stored is None:
            raise _unavailable()
        table = read_parquet(stored.content).slice(first_row)
        table = table.append_column("row", pa.array(range(first_row, first_row + len(table)), pa.int64()))
        for column, value in (("file", wanted.file), ("reason", wanted.reason)):
            if value:
                table = table.filter(pc.equal(table[column], value))
        if wanted.date:
            table = table.filter(pc.equal(table["date"], date.fromisoformat(wanted.date)))
        for row in table.to_batches(BATCH_ROWS):
            for each in row.to_pylist():
                place = RejectPlace(key, each["row"])
                yield Reject(place, each["file"], each["number"], each["reason"], each["line"], each["date"])


def _take(rejects: Iterator[Reject], limit: int) -> list[Reject]:
    return [reject for reject, _ in zip(rejects, range(limit), strict=False)]


def _csv(rows: Sequence[tuple[object, ...]]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue()


def _unavailable() -> Unavailable:
    return Unavailable("STORAGE_UNAVAILABLE", "the store cannot be reached")
