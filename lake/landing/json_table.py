"""NDJSON: one JSON object per line."""

import io
import json
from collections.abc import Iterator
from functools import partial

from lake.errors import UnreadableFile
from lake.landing.packing import Member, ReportProgress
from lake.landing.raw_table import RawTable, Row
from lake.landing.sampling import Sample

LINE_BYTES = 1024 * 1024


def json_table(member: Member, report: ReportProgress) -> RawTable:
    """The table in an NDJSON file, whose columns are the keys of its objects. Raises `UnreadableFile`."""
    columns: dict[str, None] = {}
    sample: Sample[dict[str, object]] = Sample()
    for record in _objects(member, "checking", report):
        if isinstance(record, dict):
            columns.update(dict.fromkeys(record))
            sample.offer(record)
    if not columns:
        raise UnreadableFile(member.path.name, "has no JSON object with keys")
    names = tuple(columns)
    return RawTable(
        name=member.name,
        columns=names,
        traits=("NDJSON",),
        sample=[_fields(record, names) for record in sample.taken],
        rows=lambda: (_fields(record, names) for record in _objects(member, "landing", report)),
    )


def _fields(record: object, names: tuple[str, ...]) -> Row:
    """The values of an object in the order of the columns; what is no object is a row of one field."""
    return [record.get(name) for name in names] if isinstance(record, dict) else [record]


def _objects(member: Member, step: str, report: ReportProgress) -> Iterator[object]:
    """The object of each line, or the text of a line that is none. Blank lines are left out."""
    with member.open(step, report) as stream:
        text = io.TextIOWrapper(stream, "utf-8-sig", newline="\n")
        number = 0
        try:
            for number, line in enumerate(iter(partial(text.readline, LINE_BYTES), ""), start=1):
                if len(line) == LINE_BYTES and not line.endswith("\n"):
                    raise UnreadableFile(member.path.name, f"is no NDJSON file: its line {number} is longer than {LINE_BYTES:,} bytes")
                if line.strip():
                    yield _parse(line)
        except UnicodeDecodeError as error:
            raise UnreadableFile(member.path.name, f"is not in UTF-8: line {number + 1} cannot be read") from error


def _parse(line: str) -> object:
    try:
        # Numbers keep the digits that they are written with.
        return json.loads(line, parse_float=str)
    except (ValueError, RecursionError):
        return line.strip()
