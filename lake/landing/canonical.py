"""A shop's file as lines of the raw zone's one form."""

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast
from zoneinfo import ZoneInfo

from lake.errors import UnreadableFile
from lake.landing.csv_table import csv_table
from lake.landing.fields import Notation, convert_number, convert_time, field_text, find_notation
from lake.landing.json_table import json_table
from lake.landing.mapping import Mapping
from lake.landing.packing import Member, ReportProgress, members
from lake.landing.raw_table import RawTable, Row
from lake.landing.roles import Roles, find_roles, known_names
from lake.landing.typed_tables import parquet_table, workbook_tables
from lake.line_rules import ONLINE_RETAIL, LineRules
from lake.schemas import INVOICE_DATE, PRICE, QUANTITY, RAW_COLUMNS, STOCK_CODE

PARQUET_MAGIC, ZIP_MAGIC, OLE_MAGIC = b"PAR1", b"PK\x03\x04", b"\xd0\xcf\x11\xe0"
BEGINNING_BYTES = 4096
NUMBERS = (QUANTITY, PRICE)
# What may surround a field besides spaces: a no-break space, and the byte order mark of a file that was appended to another.
BLANKS = " \u00a0\ufeff"


@dataclass(frozen=True)
class CanonicalFile:
    """A file that can be landed."""

    name: str
    header: tuple[str, ...]
    rules: LineRules
    description: str
    """What was found out about the file, in one line for the user."""
    lines: Callable[[], Iterator[bytes]]
    """Reads the file once more, as lines of the raw zone, the header first. Raises `UnreadableFile`."""


@dataclass(frozen=True)
class _Layout:
    """How the rows of a table become lines."""

    table: RawTable
    roles: Roles
    notation: Notation


class _Writer(Protocol):
    def writerow(self, row: Sequence[str], /) -> str: ...


def examine(path: Path, mapping: Mapping | None, report: ReportProgress) -> CanonicalFile:
    """Looks at a file, and returns how it is landed. Memory does not grow with the file, but for workbooks.

    Raises `UnreadableFile` if it is no file of sales, and `OSError` if it cannot be read.
    """
    asked = mapping or Mapping()
    tables = _tables(path, asked, report)
    layouts, skipped = _layouts(path.name, tables, asked)
    rules = asked.rules if mapping is not None else _default_rules(layouts[0].table)
    zone = ZoneInfo(asked.format.time_zone) if asked.format.time_zone else None
    header = _header(path.name, layouts)
    if rules.return_column and rules.return_column not in header:
        raise UnreadableFile(path.name, f"lacks the column {rules.return_column}, which marks returns by its mapping")
    [*others, last] = layouts
    if not others and zone is None and last.notation.is_plain and _is_canonical(last, header):
        header, lines = last.table.columns, cast(Callable[[], Iterator[bytes]], last.table.lines)
    else:

        def lines() -> Iterator[bytes]:
            return _converted_lines(layouts, header, zone)

    return CanonicalFile(path.name, header, rules, _describe(layouts, skipped), lines)


def _tables(path: Path, mapping: Mapping, report: ReportProgress) -> list[RawTable]:
    names = known_names(mapping.columns)
    return [table for member in members(path) for table in _member_tables(member, names, mapping, report)]


def _member_tables(member: Member, names: frozenset[str], mapping: Mapping, report: ReportProgress) -> list[RawTable]:
    with member.open("checking", report) as stream:
        beginning = stream.read(BEGINNING_BYTES)
    if beginning.startswith(OLE_MAGIC):
        raise UnreadableFile(member.path.name, "is a workbook in Excel's old format, or with a password: save it as .xlsx without one")
    if beginning.startswith((PARQUET_MAGIC, ZIP_MAGIC)):
        if member.is_packed:
            raise UnreadableFile(member.path.name, "packs a file that is packed itself: unpack it first")
        return [parquet_table(member, report)] if beginning.startswith(PARQUET_MAGIC) else workbook_tables(member, names, report)
    if beginning.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        return [json_table(member, report)]
    return [csv_table(member, names, mapping.format, report)]


def _layouts(name: str, tables: Sequence[RawTable], mapping: Mapping) -> tuple[list[_Layout], list[str]]:
    """The layout of each table of sales, and the names of the other tables. Raises `UnreadableFile` if there is no table of sales."""
    layouts, skipped, error = [], [], None
    for table in tables:
        try:
            roles = find_roles(name, table.columns, mapping.columns)
        except UnreadableFile as found:
            error = error or found
            skipped.append(table.name)
            continue
        layouts.append(_Layout(table, roles, _notation(table, roles, mapping)))
    if not layouts and error is not None:
        raise error
    if not any(layout.table.sample or next(layout.table.rows(), None) for layout in layouts):
        raise UnreadableFile(name, "is empty below its header")
    return layouts, skipped


def _notation(table: RawTable, roles: Roles, mapping: Mapping) -> Notation:
    times = [text for row in table.sample if (text := _time_text(row, roles, None))]
    numbers = [text for row in table.sample for role in NUMBERS for place in roles[role] if (text := field_text(row[place]).strip(BLANKS))]
    return find_notation(times, numbers, mapping.format.dates, mapping.format.decimal, "semicolon" in table.traits)


def _time_text(row: Row, roles: Roles, zone: ZoneInfo | None) -> str:
    return " ".join(field_text(row[place], zone).strip(BLANKS) for place in roles[INVOICE_DATE] if place < len(row))


def _default_rules(table: RawTable) -> LineRules:
    """The rules of a file without a mapping: those of Online Retail for a file with its columns."""
    return ONLINE_RETAIL if {STOCK_CODE, INVOICE_DATE} <= set(table.columns) else LineRules()


def _header(name: str, layouts: Sequence[_Layout]) -> tuple[str, ...]:
    """The columns of a sale that the first table has, and all of its others."""
    roles, table = layouts[0].roles, layouts[0].table
    if any(layout.roles.keys() != roles.keys() for layout in layouts):
        raise UnreadableFile(name, "has tables with different columns")
    used = {place for places in roles.values() for place in places}
    others = [column for place, column in enumerate(table.columns) if place not in used and column and column not in RAW_COLUMNS]
    return (*(column for column in RAW_COLUMNS if column in roles), *dict.fromkeys(others))


def _is_canonical(layout: _Layout, header: Sequence[str]) -> bool:
    """Whether a table is a text whose lines the raw zone can take as they are."""
    columns = layout.table.columns
    return layout.table.lines is not None and all(
        role in header and [columns[place] for place in layout.roles[role]] == [role] for role in RAW_COLUMNS
    )


def _converted_lines(layouts: Sequence[_Layout], header: Sequence[str], zone: ZoneInfo | None) -> Iterator[bytes]:
    # A file whose `write` returns the text makes a writer that returns each line.
    writer = cast(_Writer, csv.writer(_Echo(), lineterminator="\n"))
    yield writer.writerow(header).encode()
    for layout in layouts:
        width, convert = len(layout.table.columns), _converter(layout, header, zone)
        for row in layout.table.rows():
            fields = convert(row) if len(row) == width else [field_text(value) for value in row]
            yield writer.writerow(fields).encode(errors="replace")


class _Echo:
    def write(self, text: str) -> str:
        return text


def _converter(layout: _Layout, header: Sequence[str], zone: ZoneInfo | None) -> Callable[[Row], list[str]]:
    """A function from a row of a table to the fields of a line."""
    roles, notation, columns = layout.roles, layout.notation, layout.table.columns
    places = [roles[name][0] if name in roles else columns.index(name) if name in columns else None for name in header]
    time, numbers = header.index(INVOICE_DATE), [header.index(role) for role in NUMBERS]

    def convert(row: Row) -> list[str]:
        fields = [field_text(row[place]) if place is not None else "" for place in places]
        fields[time] = convert_time(_time_text(row, roles, zone), notation.dates, zone)
        for number in numbers:
            if isinstance(row[roles[header[number]][0]], str):
                fields[number] = convert_number(fields[number].strip(BLANKS), notation.decimal)
        return fields

    return convert


def _describe(layouts: Sequence[_Layout], skipped: Sequence[str]) -> str:
    """What was found out about a file, such as "semicolon, Windows-1252, dates day first"."""
    first = layouts[0]
    words = [*first.table.traits, f"dates {'as serial numbers' if first.notation.dates == 'serial' else first.notation.dates}"]
    if not first.notation.is_certain:
        words[-1] += " (nothing tells it from month first)"
    if first.notation.decimal == ",":
        words.append("decimal comma")
    missing = [role for role in RAW_COLUMNS if role not in first.roles]
    if missing:
        words.append(f"without {', '.join(missing)}")
    if len(layouts) > 1:
        words.append(f"{len(layouts)} tables")
    if skipped:
        words.append(f"left out: {', '.join(skipped)}")
    return ", ".join(words)
