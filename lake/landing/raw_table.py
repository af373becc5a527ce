"""A table in a file that a shop hands over."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

Row = Sequence[object]
"""The fields of a row: text, or the typed values of a spreadsheet, of Parquet or of JSON."""


@dataclass(frozen=True)
class RawTable:
    """A CSV or NDJSON text, a sheet of a workbook, or a Parquet file."""

    name: str
    """The name of the sheet, or of the file in an archive; empty if there is no other."""
    columns: tuple[str, ...]
    traits: tuple[str, ...]
    """What was found out about its format, in words for the user."""
    sample: Sequence[Row]
    """Rows from all over the table."""
    rows: Callable[[], Iterator[Row]]
    """Reads the table once more. A row with another number of fields than there are columns is passed on as it is."""
    lines: Callable[[], Iterator[bytes]] | None = None
    """Reads the lines, the header first, if the table is a text in UTF-8 with commas."""
