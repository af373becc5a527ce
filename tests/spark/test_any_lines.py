"""Whatever the lines of a file are, each becomes a sale, a duplicate or a reject."""

import re
from datetime import date
from pathlib import Path
from secrets import token_hex

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from lake.raw_file import Part, RawFile, parse_header
from spark.cleaning import (
    REASON,
    REPEATED,
    assign_sheets,
    classify_lines,
    clock_jumps,
    mark_repeats,
    raw_lines,
    rejects,
    sales,
    tallies,
)
from spark.daily_sales import daily_sales
from spark.line_counts import counts_by_month, month_of_day
from spark.partitioning import MONTH, partition_by_month
from spark.products import products, read_taxonomy
from spark.sheets import Tally, find_stretches, overlapping_days, unsorted_blocks
from tests.spark.shop import HEADER, TODAY, line

CATALOGUE_NAME = r"[^\x00-\x1f\x7f]{1,200}"
FIRST_DATE = date(2000, 1, 1)
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n"), max_size=12)
NUMBERS = st.one_of(
    st.integers(-(2**70), 2**70), st.integers(1, 9), st.decimals(allow_nan=True), st.floats(), st.sampled_from(["6.0", "1e99999", "0x1F"])
).map(str)
YEARS = st.one_of(st.integers(-9_999, 999_999), st.integers(1999, 2027))
TIMES = st.one_of(
    st.datetimes().map(str), st.builds("{}-{:02}-{:02} {}:00".format, YEARS, st.integers(0, 13), st.integers(0, 32), ANY_TEXT)
)
SALES = st.builds(line, quantity=st.integers(1, 2), time=st.integers(1, 9).map("2011-01-0{} 10:00:00".format))
LINES = st.one_of(
    SALES,
    st.builds(line, name=ANY_TEXT, quantity=NUMBERS, customer=ANY_TEXT),
    st.builds(line, price=NUMBERS, country=ANY_TEXT),
    st.builds(line, time=TIMES),
    st.builds(line, invoice=ANY_TEXT, product=ANY_TEXT),
    st.sampled_from([HEADER, f"\ufeff{HEADER}", "", " ", '"', "," * 30_000, "x" * 30_000, "\ufeff" + line()]),
    ANY_TEXT,
).map(str.encode)


# What holds of any line has to hold of the code that is generated for a plan as well.
@pytest.mark.usefixtures("compiled_plans")
# Several files in one example: Spark takes seconds for each, and hardly longer for many lines.
@settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(
    files=st.lists(
        st.lists(st.one_of(LINES, LINES, st.binary(max_size=20).filter(lambda text: b"\n" not in text)), min_size=40),
        min_size=2,
        max_size=3,
    )
)
def test_every_line_is_a_sale_a_duplicate_or_a_reject(spark: SparkSession, tmp_path: Path, files: list[list[bytes]]) -> None:
    raw = [_put(tmp_path, content) for content in files]
    lines = classify_lines(raw_lines(spark, raw, future_days=1), FIRST_DATE).persist()
    counted = [Tally(*row) for row in tallies(lines).collect()]
    jumps: dict[tuple[str, int], list[int]] = {}
    for path, block, index in sorted(clock_jumps(lines, unsorted_blocks(counted)).collect()):
        jumps.setdefault((path, block), []).append(index)
    stretches = find_stretches(raw, counted, jumps)
    overlap = sorted(overlapping_days(stretches, counted))
    marked = mark_repeats(assign_sheets(lines, stretches), overlap).persist()
    repeats = {(row[MONTH], row[REASON]): row["count"] for row in marked.where(REPEATED).groupBy(MONTH, REASON).count().collect()}
    counts = counts_by_month(raw, counted, repeats, {month_of_day(tally.date) for tally in counted})
    assert sum(month.lines_in for month in counts.values()) == sum(map(len, files))
    sold = sales(partition_by_month(marked, {}, "invoice"))
    assert sum(month.sale_lines for month in counts.values()) == sold.count()
    assert sum(sum(month.refused.values()) for month in counts.values()) == rejects(marked).count()
    for month in counts.values():
        assert month.lines_in == month.sale_lines + month.duplicates + sum(month.refused.values())
    # What is made of the sales does not end the job either.
    daily_sales(partition_by_month(sold, {}, "product_id"), TODAY).select(F.sum("revenue")).collect()
    assert all(re.fullmatch(CATALOGUE_NAME, row["name"]) for row in products(sold, read_taxonomy()).collect())
    lines.unpersist()
    marked.unpersist()


def _put(folder: Path, lines: list[bytes]) -> RawFile:
    path = folder / f"{token_hex(4)}.csv"
    path.write_bytes(b"\n".join([HEADER.encode(), *lines, b""]))
    return RawFile(path.name, path.name, parse_header(path.name, HEADER), (Part(f"file://{path}", 1),), TODAY)
