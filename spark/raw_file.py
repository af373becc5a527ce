"""A raw file of sales, and how it lies in the raw zone."""

import csv
from dataclasses import dataclass

from lake.schemas import RAW_COLUMNS
from spark.errors import UnreadableFile

# The folders of the raw zone.
SALES, EVENTS = "sales", "events"
# Beside the parts of a landed file: its name, SHA-256 and header, and its parts in order.
ORIGINAL = "_ORIGINAL.json"


@dataclass(frozen=True)
class Part:
    """A piece of a raw file as it lies in the raw zone."""

    # As an address, in which blanks and the like are written as %20.
    path: str
    first_line: int


@dataclass(frozen=True)
class RawFile:
    """A file of sales, whole: the parts follow each other."""

    name: str
    sha256: str
    header: tuple[str, ...]
    parts: tuple[Part, ...]

    @property
    def extra_columns(self) -> list[str]:
        """What the header names beyond what is needed."""
        return [column for column in self.header if column not in RAW_COLUMNS]


def header(name: str, line: str) -> tuple[str, ...]:
    """The columns that the first line of a file names; refuses a file that lacks one."""
    line = line.lstrip("\ufeff").rstrip("\r\n")
    if not line.strip():
        raise UnreadableFile(name, "is empty: it has no header")
    if "\x00" in line or "\ufffd" in line:
        raise UnreadableFile(name, "is no CSV file in UTF-8: its first line is not text")
    columns = tuple(column.strip() for column in next(csv.reader([line])))
    missing = [column for column in RAW_COLUMNS if column not in columns]
    if len(columns) == 1 or len(missing) == len(RAW_COLUMNS):
        raise UnreadableFile(name, f"is no CSV file of sales: its first line is not the header {','.join(RAW_COLUMNS)}")
    if missing:
        raise UnreadableFile(name, f"lacks the column{'s' if len(missing) > 1 else ''} {', '.join(missing)}")
    repeated = sorted({column for column in columns if columns.count(column) > 1})
    if repeated:
        raise UnreadableFile(name, f"names a column twice: {', '.join(repeated)}")
    return columns
