"""A raw file of sales, as it is stored in the raw zone."""

import csv
from dataclasses import dataclass
from datetime import date

from lake.schemas import RAW_COLUMNS
from spark.errors import UnreadableFile

# The folders of the raw zone.
SALES, EVENTS = "sales", "events"
# Beside the parts of a landed file: its name, SHA-256 and header, and its parts in order.
ORIGINAL = "_ORIGINAL.json"
BYTE_ORDER_MARK = "\ufeff"
NUL, REPLACEMENT_CHARACTER = "\x00", "\ufffd"
# A longer first line is no header; Python's CSV reader fails on fields of twice this length.
HEADER_CHARACTERS = 65_536


@dataclass(frozen=True)
class Part:
    """A piece of a raw file."""

    path: str
    """Its address, percent-encoded as Spark names the file of a row."""
    first_line: int


@dataclass(frozen=True)
class RawFile:
    """A whole file of sales."""

    name: str
    sha256: str
    header: tuple[str, ...]
    parts: tuple[Part, ...]
    """In order; each continues where the one before ends."""
    landing_date: date

    @property
    def extra_columns(self) -> list[str]:
        """The columns of the header that the ETL does not use; those without a name, such as a spreadsheet adds, are left out."""
        return [column for column in self.header if column and column not in RAW_COLUMNS]


def parse_header(name: str, line: str) -> tuple[str, ...]:
    """The columns in the first line of a file. Raises `UnreadableFile` if it is not the header of a file of sales."""
    line = line.lstrip(BYTE_ORDER_MARK).rstrip("\r\n")
    if "\r" in line:
        raise UnreadableFile(
            name, "has lines that end in CR alone, as of old Macintosh programs: save it with lines that end in LF or CR LF"
        )
    if len(line) > HEADER_CHARACTERS:
        raise UnreadableFile(name, f"is no CSV file of sales: its first line is longer than {HEADER_CHARACTERS:,} characters")
    if not line.strip():
        raise UnreadableFile(name, "is empty: it has no header")
    if NUL in line or REPLACEMENT_CHARACTER in line:
        raise UnreadableFile(name, "is no CSV file in UTF-8: its first line is not text")
    # A no-break space counts as a space.
    columns = tuple(" ".join(column.replace(BYTE_ORDER_MARK, "").split()) for column in next(csv.reader([line])))
    missing = [column for column in RAW_COLUMNS if column not in columns]
    if len(columns) == 1 or len(missing) == len(RAW_COLUMNS):
        raise UnreadableFile(name, f"is no CSV file of sales: its first line is not the header {','.join(RAW_COLUMNS)}")
    if missing:
        raise UnreadableFile(name, f"lacks the column{'s' if len(missing) > 1 else ''} {', '.join(missing)}")
    repeated = [column for column in RAW_COLUMNS if columns.count(column) > 1]
    if repeated:
        raise UnreadableFile(name, f"names a column twice: {', '.join(repeated)}")
    return columns
