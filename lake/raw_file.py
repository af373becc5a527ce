"""A raw file of sales, as it is stored in the raw zone: CSV in UTF-8 with commas, ISO dates and decimal points."""

import csv
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date

from lake.errors import UnreadableFile
from lake.line_rules import ONLINE_RETAIL, FileKey, LineRules
from lake.schemas import COUNTRY, CUSTOMER_ID, DESCRIPTION, RAW_COLUMNS

# The folders of the raw zone.
SALES, EVENTS, EXPOSURES = "sales", "events", "exposures"
# Beside the parts of a landed file: its name, SHA-256, header and rules, and how many parts there are.
ORIGINAL = "_ORIGINAL.json"
BYTE_ORDER_MARK = "\ufeff"
NUL, REPLACEMENT_CHARACTER = "\x00", "\ufffd"
# A longer first line is no header; Python's CSV reader fails on fields of twice this length.
HEADER_CHARACTERS = 65_536
OPTIONAL_COLUMNS = frozenset({DESCRIPTION, CUSTOMER_ID, COUNTRY})
"""The columns that a landed file may lack, if its mapping says so."""


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
    rules: LineRules = ONLINE_RETAIL

    @property
    def key(self) -> FileKey:
        """What tells the file, as it is judged, from others."""
        return self.sha256, self.rules

    @property
    def extra_columns(self) -> list[str]:
        """The columns of the header that the ETL does not use; those without a name, such as a spreadsheet adds, are left out."""
        return [column for column in self.header if column and column not in RAW_COLUMNS]


def parse_header(name: str, line: str, optional: Collection[str] = ()) -> tuple[str, ...]:
    """The columns in the first line of a file. Raises `UnreadableFile` if it is not the header of a file of sales.

    optional: columns that may be missing
    """
    columns = split_header(name, line)
    check_columns(name, columns, [column for column in RAW_COLUMNS if column not in columns and column not in optional])
    return columns


def split_header(name: str, line: str, delimiter: str = ",") -> tuple[str, ...]:
    """The columns in a line. Raises `UnreadableFile` if it cannot be a header."""
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
    return tuple(clean_column(column) for column in next(csv.reader([line], delimiter=delimiter)))


def clean_column(name: str) -> str:
    """A column's name without blanks around it; a no-break space counts as a space."""
    return " ".join(name.replace(BYTE_ORDER_MARK, "").split())


def check_columns(name: str, columns: Collection[str], missing: Collection[str]) -> None:
    """Raises `UnreadableFile` unless a file's columns are those of sales.

    missing: the names of columns that were not found
    """
    if len(columns) == 1 or len(missing) == len(RAW_COLUMNS):
        raise UnreadableFile(name, f"is no CSV file of sales: its first line is not the header {','.join(RAW_COLUMNS)}")
    if missing:
        raise UnreadableFile(name, f"lacks the column{'s' if len(missing) > 1 else ''} {', '.join(missing)}")
    repeated = [column for column in RAW_COLUMNS if list(columns).count(column) > 1]
    if repeated:
        raise UnreadableFile(name, f"names a column twice: {', '.join(repeated)}")
