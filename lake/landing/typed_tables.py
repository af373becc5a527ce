"""Spreadsheets and Parquet files."""

import zipfile
from collections.abc import Collection, Iterator
from functools import partial

import pyarrow as pa
import pyarrow.parquet as pq
from python_calamine import CalamineError, CalamineWorkbook, PasswordError

from lake.errors import UnreadableFile
from lake.landing.packing import Member, ReportProgress
from lake.landing.raw_table import RawTable, Row
from lake.landing.roles import plain_name
from lake.landing.sampling import Sample
from lake.raw_file import clean_column

# Rows above the header, such as a title.
TITLE_ROWS = 20
BATCH_ROWS = 10_000
# A workbook is read into memory; Excel's largest sheets are smaller than this.
UNPACKED_BYTES = 2 * 1024**3


def workbook_tables(member: Member, columns: Collection[str], report: ReportProgress) -> list[RawTable]:
    """The sheets of a workbook that are not empty.

    columns: names that a header may have, as `plain_name` writes them

    Raises `UnreadableFile`.
    """
    file = member.path.name
    with zipfile.ZipFile(member.path) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > UNPACKED_BYTES:
            raise UnreadableFile(file, f"is too large for a workbook: it unpacks to more than {UNPACKED_BYTES:,} bytes")
    tables = []
    try:
        workbook = CalamineWorkbook.from_path(member.path)
        for number, name in enumerate(workbook.sheet_names, start=1):
            if table := _sheet_table(workbook, name, columns):
                tables.append(table)
            report("checking", number / len(workbook.sheet_names))
    except PasswordError as error:
        raise UnreadableFile(file, "is protected by a password") from error
    except CalamineError as error:
        raise UnreadableFile(file, f"is no workbook that can be read: {error}") from error
    if not tables:
        raise UnreadableFile(file, "is empty: none of its sheets has rows below a header")
    return tables


def _sheet_table(workbook: CalamineWorkbook, name: str, columns: Collection[str]) -> RawTable | None:
    """A sheet as a table, whose header is the row that has most of the names; None for an empty sheet."""
    beginning = workbook.get_sheet_by_name(name).to_python(nrows=TITLE_ROWS)
    if not beginning:
        return None
    known = [sum(plain_name(str(cell)) in columns for cell in row) for row in beginning]
    skipped = known.index(max(known)) + 1

    def rows() -> Iterator[Row]:
        for number, row in enumerate(workbook.get_sheet_by_name(name).iter_rows()):
            if number >= skipped and any(cell not in ("", None) for cell in row):
                yield row

    sample: Sample[Row] = Sample()
    for row in rows():
        sample.offer(row)
    header = tuple(clean_column(str(cell)) for cell in beginning[skipped - 1])
    return RawTable(name, header, ("Excel",), sample.taken, rows)


def parquet_table(member: Member, report: ReportProgress) -> RawTable:
    """The table in a Parquet file. Raises `UnreadableFile`."""
    try:
        file = pq.ParquetFile(member.path)
        read = partial(_parquet_rows, member, file)
        sample: Sample[Row] = Sample()
        for row in read("checking", report):
            sample.offer(row)
    except (pa.ArrowException, OSError) as error:
        raise UnreadableFile(member.path.name, "is cut off or damaged: it is no Parquet file that can be read") from error
    if not sample.taken:
        raise UnreadableFile(member.path.name, "is empty: it has no rows")
    columns = tuple(clean_column(name) for name in file.schema_arrow.names)
    return RawTable(member.name, columns, ("Parquet",), sample.taken, lambda: read("landing", report))


def _parquet_rows(member: Member, file: pq.ParquetFile, step: str, report: ReportProgress) -> Iterator[Row]:
    done = 0
    for batch in file.iter_batches(BATCH_ROWS):
        # Times in nanoseconds would need pandas.
        columns = [_to_values(column) for column in batch.columns]
        yield from zip(*columns, strict=True)
        done += len(batch)
        report(step, done / max(file.metadata.num_rows, 1))


def _to_values(column: pa.Array) -> list[object]:
    if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
        column = column.cast(pa.timestamp("us", tz=column.type.tz), safe=False)
    values: list[object] = column.to_pylist()
    return values
