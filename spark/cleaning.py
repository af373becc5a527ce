"""Cleaning: raw lines become sale lines and rejects, and repeats of earlier lines are marked."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date, timedelta
from decimal import Decimal
from functools import reduce

from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from lake.line_rules import PRODUCT_ID_PATTERN, LineRules
from lake.raw_file import BYTE_ORDER_MARK, RawFile
from lake.schemas import (
    COUNTRY,
    CUSTOMER_ID,
    DESCRIPTION,
    INVOICE,
    INVOICE_DATE,
    MAX_PRICE,
    MAX_QUANTITY,
    PRICE,
    QUANTITY,
    RAW_COLUMNS,
    SALE,
    STOCK_CODE,
)
from spark.partitioning import BUCKET, MONTH
from spark.raw_zone import escape_path
from spark.sheets import Block, Stretch

# The position of a line: its file, the block of the file that one task reads, and its place among the lines of that task.
PATH, BLOCK, INDEX = "path", "block", "index"
# The raw line and its reject reason; both null for a sale line.
LINE, REASON = "line", "reason"
DATE = "date"
# What the rules of a line's file say of it.
IS_SALE, IS_RETURN, IS_PRODUCT = "is_sale", "is_return", "is_product"
# The first day that is too late for a sale of the line's file.
END = "end"
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
# The parser fails on a line of more than 20,480 fields; one of fewer bytes cannot have so many.
LINE_BYTES = 20_000
# What may surround a field besides spaces: a no-break space, and the byte order mark of a file that was appended to another.
BLANKS = " \u00a0\ufeff"


def raw_lines(spark: SparkSession, files: Sequence[RawFile], future_days: int) -> DataFrame:
    """One row per line of the files, headers included: its position, the line, its eight fields as text and the end of its file's dates.

    future_days: how many days after its file was landed a sale may be dated; a later run must not judge a line differently
    """
    alike: dict[tuple[tuple[str, ...], LineRules, date], list[RawFile]] = defaultdict(list)
    for file in files:
        alike[file.header, file.rules, file.landing_date].append(file)
    frames = (
        parse_fields(_text_lines(spark, group), header, rules).withColumn(END, F.lit(landed + timedelta(days=future_days + 1)))
        for (header, rules, landed), group in alike.items()
    )
    return reduce(DataFrame.unionByName, frames)


def parse_fields(lines: DataFrame, header: Sequence[str], rules: LineRules) -> DataFrame:
    """One row per line, with its eight fields as trimmed text, and what the rules of its file say of them.

    A line that does not have the header's number of fields is corrupt. A column that the file does not have is null.
    """
    names = {column: f"field_{place}" for place, column in enumerate(header)}
    # Columns that are not used may have the same name, or none.
    schema = ", ".join([*(f"field_{place} string" for place in range(len(header))), f"{CORRUPT} string"])
    parsable = F.when(F.octet_length(LINE) <= LINE_BYTES, F.ltrim(LINE, F.lit(BYTE_ORDER_MARK)))
    record = F.from_csv(parsable, schema, {"escape": '"', "columnNameOfCorruptRecord": CORRUPT})
    texts = {name: F.trim(F.col(f"record.{field}"), F.lit(BLANKS)) for name, field in names.items()}
    fields = [texts.get(column, F.lit(None).cast("string")).alias(column) for column in RAW_COLUMNS if column != STOCK_CODE]
    code = F.upper(texts[STOCK_CODE]) if rules.upper_case else texts[STOCK_CODE]
    # Spark parses an empty line as a record of nulls, not as a corrupt one.
    corrupt = F.col("record").isNull() | F.col(f"record.{CORRUPT}").isNotNull() | (F.col(LINE) == "")
    return lines.withColumn("record", record).select(
        *(PATH, BLOCK, INDEX, LINE),
        corrupt.alias(CORRUPT),
        *fields,
        code.alias(STOCK_CODE),
        _matches(texts[INVOICE], rules.sale_invoice).alias(IS_SALE),
        _is_return(texts, rules).alias(IS_RETURN),
        (_matches(code, rules.product) & ~F.upper(code).isin([word.upper() for word in rules.not_products])).alias(IS_PRODUCT),
    )


def classify_lines(lines: DataFrame, first_date: date) -> DataFrame:
    """One row per line: the typed fields of a sale line, and for a reject its reason and the raw line.

    A value that cannot be converted is null and a reject reason of its line; no line ends the job.
    first_date: the earliest date of a sale
    """
    typed = lines.select(
        PATH,
        BLOCK,
        INDEX,
        LINE,
        CORRUPT,
        F.col(INVOICE).alias("invoice"),
        F.col(STOCK_CODE).alias("product_id"),
        F.coalesce(DESCRIPTION, F.lit("")).alias("description"),
        _whole_number(F.col(QUANTITY)).try_cast("int").alias("quantity"),
        F.col(INVOICE_DATE).try_cast("timestamp_ntz").alias("time"),
        F.col(PRICE).try_cast("decimal(12,4)").alias("price"),
        F.nullif(_whole_number(F.col(CUSTOMER_ID)), F.lit("")).alias("customer_number"),
        F.coalesce(COUNTRY, F.lit("")).alias("country"),
        *(END, IS_SALE, IS_RETURN, IS_PRODUCT),
    )
    is_possible = (F.col("time") >= F.lit(first_date)) & (F.col("time") < F.col(END))
    possible = typed.withColumn("time", F.when(is_possible, F.col("time"))).drop(END)
    dated = possible.withColumn(DATE, F.to_date("time")).withColumn(REASON, _reject_reason())
    return dated.withColumn(LINE, F.when(F.col(REASON).isNotNull(), F.col(LINE))).drop(CORRUPT, IS_SALE, IS_RETURN, IS_PRODUCT)


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
    """One row per sale line that is no repeat, with its month and the number of its copy.

    lines: with the bucket of `partition_by_month`, by invoice
    """
    same = Window.partitionBy(MONTH, BUCKET, *SALE).orderBy("time")
    unique = lines.where(F.col(REASON).isNull() & ~F.col(REPEATED)).select(*SALE, MONTH, BUCKET)
    return unique.withColumn("copy", F.row_number().over(same)).drop(BUCKET)


def rejects(lines: DataFrame) -> DataFrame:
    """One row per rejected line that is no repeat: its file, line number, reject reason, the raw line, its day and its month."""
    return lines.where(F.col(REASON).isNotNull() & ~F.col(REPEATED)).select(FILE, NUMBER, REASON, LINE, DATE, MONTH)


def month_of(date: Column) -> Column:
    """The month of a date as `YYYY-MM`."""
    return F.coalesce(F.substring(date.cast("string"), 1, 7), F.lit(UNDATED))


def _text_lines(spark: SparkSession, files: Sequence[RawFile]) -> DataFrame:
    """One row per line of the files: its position and the line."""
    paths = [escape_path(part.path) for file in files for part in file.parts]
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
        HEADER: ~F.coalesce(F.col("invoice").contains(INVOICE) & F.upper("product_id").contains(STOCK_CODE.upper()), F.lit(False)),
        "invoice": F.col(IS_SALE),
        "return": ~F.col(IS_RETURN),
        "quantity": F.col("quantity").between(1, MAX_QUANTITY),
        "price": (F.col("price") > 0) & (F.col("price") <= F.lit(Decimal(MAX_PRICE))),
        "stock_code": F.col(IS_PRODUCT) & _matches(F.col("product_id"), PRODUCT_ID_PATTERN),
        "date": F.col("time").isNotNull(),
    }
    # A field that could not be parsed makes its rule null, which counts as broken.
    return F.coalesce(*(F.when(~F.coalesce(rule, F.lit(False)), F.lit(name)) for name, rule in rules.items()))


def _matches(text: Column, pattern: str) -> Column:
    return text.rlike(rf"\A(?:{pattern})\z")


def _is_return(texts: Mapping[str, Column], rules: LineRules) -> Column:
    """Whether the column that marks returns says so."""
    if not rules.return_column:
        return F.lit(False)
    return F.coalesce(F.upper(texts[rules.return_column]).isin([word.upper() for word in rules.return_values]), F.lit(False))


def _whole_number(text: Column) -> Column:
    """A number without the zeros of a fraction, as a spreadsheet or a data frame adds them: `13085` for `13085.0`; other text as it is."""
    return F.when(text.contains("."), F.regexp_replace(text, r"^(\d+)\.0*$", "$1")).otherwise(text)


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
