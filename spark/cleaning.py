"""Cleaning: raw lines become sale lines and rejects, and repeats of earlier lines are marked."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from functools import reduce
from urllib.parse import unquote

from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from lake.schemas import (
    COUNTRY,
    CUSTOMER_ID,
    DESCRIPTION,
    INVOICE,
    INVOICE_DATE,
    PRICE,
    QUANTITY,
    RAW_COLUMNS,
    SALE,
    STOCK_CODE,
)
from spark.raw_file import RawFile
from spark.sheets import Block, Stretch

# The position of a line: its file, the block of the file that one task reads, and its place among the lines of that task.
PATH, BLOCK, INDEX = "path", "block", "index"
# The raw line and its reject reason; both null for a sale line.
LINE, REASON = "line", "reason"
DATE, MONTH = "date", "month"
# The file's name and the line number in it, counted from 1.
FILE, NUMBER = "file", "number"
SHEET, COPY, REPEATED = "sheet", "copy", "repeated"

# The month of lines without a valid date.
UNDATED = "undated"
# The reject reason that makes the whole file unreadable.
ENCODING = "encoding"
# The reject reason of a further header, as in files that were appended to each other. A file's first line is no line of the data.
HEADER = "header"
CORRUPT = "corrupt"
# The reject reason of a line that has another number of fields than the header.
COLUMNS = "columns"
# What Hadoop reads as a pattern in a path.
PATTERN_CHARACTERS = "\\[]{}*?"


def raw_lines(spark: SparkSession, files: Sequence[RawFile]) -> DataFrame:
    """One row per line of the files, headers included: its position, the line and its eight fields as text."""
    headers = dict.fromkeys(file.header for file in files)
    frames = (parse_fields(_text_lines(spark, [file for file in files if file.header == header]), header) for header in headers)
    return reduce(DataFrame.unionByName, frames)


def parse_fields(lines: DataFrame, header: Sequence[str]) -> DataFrame:
    """One row per line, with its eight fields as trimmed text; a line that does not have the header's number of fields is corrupt."""
    names = {column: f"field_{place}" for place, column in enumerate(header)}
    # Columns that are not used may have the same name, or none.
    schema = ", ".join([*(f"field_{place} string" for place in range(len(header))), f"{CORRUPT} string"])
    record = F.from_csv(LINE, schema, {"escape": '"', "columnNameOfCorruptRecord": CORRUPT})
    fields = [F.trim(F.col(f"record.{names[column]}")).alias(column) for column in RAW_COLUMNS]
    # Spark parses an empty line as a record of nulls, not as a corrupt one.
    corrupt = F.col(f"record.{CORRUPT}").isNotNull() | (F.col(LINE) == "")
    return lines.withColumn("record", record).select(PATH, BLOCK, INDEX, LINE, corrupt.alias(CORRUPT), *fields)


def classify_lines(lines: DataFrame) -> DataFrame:
    """One row per line: the typed fields of a sale line, and for a reject its reason and the raw line."""
    typed = lines.select(
        PATH,
        BLOCK,
        INDEX,
        LINE,
        CORRUPT,
        F.col(INVOICE).alias("invoice"),
        F.upper(STOCK_CODE).alias("product_id"),
        F.coalesce(DESCRIPTION, F.lit("")).alias("description"),
        F.col(QUANTITY).try_cast("int").alias("quantity"),
        F.col(INVOICE_DATE).try_cast("timestamp_ntz").alias("time"),
        F.col(PRICE).try_cast("decimal(12,4)").alias("price"),
        F.nullif(CUSTOMER_ID, F.lit("")).alias("customer_number"),
        F.coalesce(COUNTRY, F.lit("")).alias("country"),
    )
    dated = typed.withColumn(DATE, F.to_date("time")).withColumn(REASON, _reject_reason())
    return dated.withColumn(LINE, F.when(F.col(REASON).isNotNull(), F.col(LINE))).drop(CORRUPT)


def tallies(lines: DataFrame) -> DataFrame:
    """One row per block, day and reject reason: how many lines, and the places of the first and the last."""
    return lines.groupBy(PATH, BLOCK, DATE, REASON).agg(
        F.count(F.lit(1)).alias("line_count"), F.min(INDEX).alias("first_index"), F.max(INDEX).alias("last_index")
    )


def clock_jumps(lines: DataFrame, blocks: Sequence[Block]) -> DataFrame:
    """One row per line of these blocks at which the clock goes back to an earlier day: the line's position."""
    order = Window.partitionBy(PATH, BLOCK).orderBy(INDEX)
    in_blocks = F.concat_ws(" ", BLOCK, PATH).isin([f"{start} {path}" for path, start in blocks])
    dated = lines.where(in_blocks & F.col(DATE).isNotNull()).select(PATH, BLOCK, INDEX, DATE)
    return dated.withColumn("before", F.lag(DATE).over(order)).where(F.col("before") > F.col(DATE)).select(PATH, BLOCK, INDEX)


def assign_sheets(lines: DataFrame, stretches: Sequence[Stretch]) -> DataFrame:
    """One row per line below a header, with its month, file, line number and sheet."""
    row = f"{PATH} string, {BLOCK} bigint, first_index bigint, last_index bigint, {FILE} string, line_offset bigint, {SHEET} int"
    # Passed as text: a frame made of Python rows would have every executor start a Python process.
    encoded = F.from_json(F.lit(json.dumps([asdict(stretch) for stretch in stretches])), f"array<struct<{row}>>")
    places = F.broadcast(lines.sparkSession.range(1).select(F.inline(encoded)))
    inside = (
        (lines[PATH] == places[PATH]) & (lines[BLOCK] == places[BLOCK]) & lines[INDEX].between(places["first_index"], places["last_index"])
    )
    return lines.join(places, inside).select(
        *SALE, DATE, month_of(F.col(DATE)).alias(MONTH), LINE, REASON, FILE, (F.col(INDEX) + F.col("line_offset")).alias(NUMBER), SHEET
    )


def mark_repeats(lines: DataFrame, overlap: Sequence[date]) -> DataFrame:
    """One row per line: whether it repeats a line of an earlier sheet.

    overlap: the days of which several sheets have lines; only their lines can be repeats
    """
    if not overlap:
        return lines.withColumn(REPEATED, F.lit(False))
    overlapping = F.coalesce(F.col(DATE).isin(*overlap), F.lit(False))
    unique = lines.where(~overlapping).withColumn(REPEATED, F.lit(False))
    return unique.unionByName(_mark_later_copies(lines.where(overlapping)))


def sales(lines: DataFrame) -> DataFrame:
    """One row per sale line that is no repeat, with its month and the number of its copy."""
    same = Window.partitionBy(MONTH, *SALE).orderBy("time")
    unique = lines.where(F.col(REASON).isNull() & ~F.col(REPEATED)).select(*SALE, MONTH)
    return unique.withColumn("copy", F.row_number().over(same))


def rejects(lines: DataFrame) -> DataFrame:
    """One row per rejected line that is no repeat: its file, line number, reject reason, the raw line and its month."""
    return lines.where(F.col(REASON).isNotNull() & ~F.col(REPEATED)).select(FILE, NUMBER, REASON, LINE, MONTH)


def month_of(date: Column) -> Column:
    """The month of a date as `YYYY-MM`."""
    return F.coalesce(F.substring(date.cast("string"), 1, 7), F.lit(UNDATED))


def _text_lines(spark: SparkSession, files: Sequence[RawFile]) -> DataFrame:
    """One row per line of the files: its position and the line."""
    paths = [_escape_path(part.path) for file in files for part in file.parts]
    return spark.read.text(paths, lineSep="\n").select(
        F.input_file_name().alias(PATH),
        F.input_file_block_start().alias(BLOCK),
        F.monotonically_increasing_id().alias(INDEX),
        F.expr("trim(trailing '\r' from value)").alias(LINE),
    )


def _reject_reason() -> Column:
    """The name of the first rule that a line breaks; null for a sale line."""
    rules = {
        ENCODING: F.is_valid_utf8(LINE),
        COLUMNS: ~F.col(CORRUPT),
        HEADER: ~(F.col("invoice").eqNullSafe(INVOICE) & F.col("product_id").eqNullSafe(STOCK_CODE.upper())),
        "invoice": F.col("invoice").rlike(r"^\d{6}$"),
        "quantity": F.col("quantity") > 0,
        "price": F.col("price") > 0,
        "stock_code": F.col("product_id").rlike(r"^\d{5}[A-Z]*$"),
        "date": F.col("time").isNotNull(),
    }
    # A field that could not be parsed makes its rule null, which counts as broken.
    return F.coalesce(*(F.when(~F.coalesce(rule, F.lit(False)), F.lit(name)) for name, rule in rules.items()))


def _mark_later_copies(lines: DataFrame) -> DataFrame:
    """One row per line: whether an earlier sheet has the same copy of it.

    Duplicates within one sheet are real. So the n-th copy of a line within its sheet is a repeat if an earlier sheet has an n-th copy too:
    in total, a line counts as often as in the sheet that has it most often.
    """
    content = [*SALE, REASON, LINE]
    copies = Window.partitionBy(*content, SHEET).orderBy(NUMBER)
    sheets = Window.partitionBy(*content, COPY).orderBy(SHEET)
    # This one shuffle serves both windows.
    shuffled = lines.repartition("invoice", "time").withColumn(COPY, F.row_number().over(copies))
    return shuffled.withColumn(REPEATED, F.row_number().over(sheets) > 1).drop(COPY)


def _escape_path(address: str) -> str:
    """An address as a path in which Hadoop takes no character for a pattern."""
    return "".join(f"\\{letter}" if letter in PATTERN_CHARACTERS else letter for letter in unquote(address))
