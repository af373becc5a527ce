"""Raw lines to sale lines: what is a sale, what is refused, and what was there before."""

import json
from collections.abc import Sequence
from dataclasses import asdict
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

# Where a line stands: its file, the block of it that one task reads, and its place among the lines of that task.
PATH, BLOCK, INDEX = "path", "block", "index"
# The line itself, and why it is refused. Both null for a sale line.
LINE, REASON = "line", "reason"
DATE, MONTH = "date", "month"
# The file's name and the line's number in it, as people count them.
FILE, NUMBER = "file", "number"
SHEET, COPY, REPEATED = "sheet", "copy", "repeated"

# The month of lines that have no date.
UNDATED = "undated"
# The reason that condemns not the line but its file.
ENCODING = "encoding"
# The reason of a line that is the header over again. The first one of a file is no line of the data.
HEADER = "header"
CORRUPT = "corrupt"


def raw_lines(spark: SparkSession, files: Sequence[RawFile]) -> DataFrame:
    """One row per line of the files, headers included: where it stands, and its eight fields as text."""
    headers = dict.fromkeys(file.header for file in files)
    frames = (parsed(text_lines(spark, [file for file in files if file.header == header]), header) for header in headers)
    return reduce(DataFrame.unionByName, frames)


def text_lines(spark: SparkSession, files: Sequence[RawFile]) -> DataFrame:
    """One row per line of the files: where it stands, and the line."""
    paths = [literal(part.path) for file in files for part in file.parts]
    return spark.read.text(paths, lineSep="\n").select(
        F.input_file_name().alias(PATH),
        F.input_file_block_start().alias(BLOCK),
        F.monotonically_increasing_id().alias(INDEX),
        F.expr("trim(trailing '\r' from value)").alias(LINE),
    )


def parsed(lines: DataFrame, header: Sequence[str]) -> DataFrame:
    """One row per line, with its eight fields as trimmed text; a line that does not have the header's number of fields is corrupt."""
    names = {column: f"field_{place}" for place, column in enumerate(header)}
    schema = ", ".join(f"{name} string" for name in [*names.values(), CORRUPT])
    record = F.from_csv(LINE, schema, {"escape": '"', "columnNameOfCorruptRecord": CORRUPT})
    fields = [F.trim(F.col(f"record.{names[column]}")).alias(column) for column in RAW_COLUMNS]
    # An empty line has all its fields missing, and is not thought corrupt.
    corrupt = F.col(f"record.{CORRUPT}").isNotNull() | (F.col(LINE) == "")
    return lines.withColumn("record", record).select(PATH, BLOCK, INDEX, LINE, corrupt.alias(CORRUPT), *fields)


def judged(lines: DataFrame) -> DataFrame:
    """One row per line: typed as a sale line, and with the line and the reason where it is refused."""
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
    dated = typed.withColumn(DATE, F.to_date("time")).withColumn(REASON, reason())
    return dated.withColumn(LINE, F.when(F.col(REASON).isNotNull(), F.col(LINE))).drop(CORRUPT)


def reason() -> Column:
    """Why a line is no sale: the first that fits. Null for a sale line."""
    rules = {
        ENCODING: F.is_valid_utf8(LINE),
        "columns": ~F.col(CORRUPT),
        HEADER: ~(F.col("invoice").eqNullSafe(INVOICE) & F.col("product_id").eqNullSafe(STOCK_CODE.upper())),
        "invoice": F.col("invoice").rlike(r"^\d{6}$"),
        "quantity": F.col("quantity") > 0,
        "price": F.col("price") > 0,
        "stock_code": F.col("product_id").rlike(r"^\d{5}[A-Z]*$"),
        "date": F.col("time").isNotNull(),
    }
    # A field that could not be read makes its rule null, and is refused like one that breaks it.
    return F.coalesce(*(F.when(~F.coalesce(rule, F.lit(False)), F.lit(name)) for name, rule in rules.items()))


def tallies(lines: DataFrame) -> DataFrame:
    """One row per block, day and reason: how many lines, and the places of the first and the last."""
    return lines.groupBy(PATH, BLOCK, DATE, REASON).agg(
        F.count(F.lit(1)).alias("line_count"), F.min(INDEX).alias("first_index"), F.max(INDEX).alias("last_index")
    )


def jumps(lines: DataFrame, blocks: Sequence[Block]) -> DataFrame:
    """One row per line of these blocks at which the clock goes back to an earlier day: where it stands."""
    order = Window.partitionBy(PATH, BLOCK).orderBy(INDEX)
    wanted = F.concat_ws(" ", BLOCK, PATH).isin([f"{start} {path}" for path, start in blocks])
    dated = lines.where(wanted & F.col(DATE).isNotNull()).select(PATH, BLOCK, INDEX, DATE)
    return dated.withColumn("before", F.lag(DATE).over(order)).where(F.col("before") > F.col(DATE)).select(PATH, BLOCK, INDEX)


def placed(lines: DataFrame, stretches: Sequence[Stretch]) -> DataFrame:
    """One row per line below a header: with its file, its number in it, and its sheet."""
    row = f"{PATH} string, {BLOCK} bigint, first_index bigint, last_index bigint, {FILE} string, line_offset bigint, {SHEET} int"
    # As text: a frame of Python's own rows would have every executor start a Python.
    told = F.from_json(F.lit(json.dumps([asdict(stretch) for stretch in stretches])), f"array<struct<{row}>>")
    places = F.broadcast(lines.sparkSession.range(1).select(F.inline(told)))
    inside = (
        (lines[PATH] == places[PATH]) & (lines[BLOCK] == places[BLOCK]) & lines[INDEX].between(places["first_index"], places["last_index"])
    )
    return lines.join(places, inside).select(
        *SALE, DATE, month_of(F.col(DATE)).alias(MONTH), LINE, REASON, FILE, (F.col(INDEX) + F.col("line_offset")).alias(NUMBER), SHEET
    )


def first_copies(lines: DataFrame) -> DataFrame:
    """One row per line: whether an earlier sheet has it already.

    What a sheet itself holds twice is real. So the n-th copy of a line within its sheet is a repeat if there is an n-th copy
    in an earlier sheet: in the end a line counts as often as it occurs in the sheet that has it most often.
    """
    content = [*SALE, REASON, LINE]
    copies = Window.partitionBy(*content, SHEET).orderBy(NUMBER)
    sheets = Window.partitionBy(*content, COPY).orderBy(SHEET)
    # Both windows find their lines together in this one shuffle.
    together = lines.repartition("invoice", "time").withColumn(COPY, F.row_number().over(copies))
    return together.withColumn(REPEATED, F.row_number().over(sheets) > 1).drop(COPY)


def counted_once(lines: DataFrame, overlap: Sequence[object]) -> DataFrame:
    """One row per line: whether it repeats one of an earlier sheet, which can only be on a day that several sheets have."""
    overlapping = F.coalesce(F.col(DATE).isin(*overlap), F.lit(False))
    if not overlap:
        return lines.withColumn(REPEATED, F.lit(False))
    return lines.where(~overlapping).withColumn(REPEATED, F.lit(False)).unionByName(first_copies(lines.where(overlapping)))


def sales(lines: DataFrame) -> DataFrame:
    """One row per sale line, with its month."""
    same = Window.partitionBy(MONTH, *SALE).orderBy("time")
    sold = lines.where(F.col(REASON).isNull() & ~F.col(REPEATED)).select(*SALE, MONTH)
    return sold.withColumn("copy", F.row_number().over(same))


def rejects(lines: DataFrame) -> DataFrame:
    """One row per refused line: its file, its number there, the reason and the line itself, with its month."""
    return lines.where(F.col(REASON).isNotNull() & ~F.col(REPEATED)).select(FILE, NUMBER, REASON, LINE, MONTH)


def month_of(date: Column) -> Column:
    """The month of a date as `YYYY-MM`."""
    return F.coalesce(F.substring(date.cast("string"), 1, 7), F.lit(UNDATED))


def literal(address: str) -> str:
    """An address as a path that Hadoop takes as it is, not for a pattern."""
    return "".join(f"\\{letter}" if letter in "\\[]{}*?" else letter for letter in unquote(address))
