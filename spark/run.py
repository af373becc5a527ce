"""One run of the ETL, from the files of the raw zone to the manifest of the clean data."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial, reduce
from typing import Any

import structlog
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lake.bucket import Bucket
from lake.columns import CUSTOMER_NUMBER, PRODUCT_ID
from lake.line_rules import FileKey
from lake.manifest import CleaningRules, Content, Counts, Events, Manifest, Month, SourceFile
from lake.publishing import publish, read_publication, write_dataset
from lake.quality import MonthFigures
from lake.raw_file import RawFile
from lake.schemas import EVENTS, EXPOSED_LISTS, MONTHLY, SCHEMA_VERSION, ddl
from spark.cleaning import (
    FILE,
    NUMBER,
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
from spark.errors import DataQualityHeld, NoRawData
from spark.exposures import exposures
from spark.interactions import interactions, purchases_in_sales
from spark.line_counts import adjacent_months, check_rejects, count_file, counts_by_month, month_of_day, sale_days
from spark.live_purchases import INVOICE, as_interactions, as_sales, live_purchases, not_in_sales
from spark.partitioning import BUCKET, MONTH, partition_by_month
from spark.products import products, read_taxonomy
from spark.quality import baseline_months, measure, months_to_measure
from spark.raw_zone import event_files, exposure_files, sales_files, unpacking_errors
from spark.sheets import Block, Tally, find_stretches, overlapping_days, unsorted_blocks
from spark.tables import FilesByMonth, RunTables

Days = Mapping[str, tuple[date, date]]
"""The first and the last day with a sale line, by month."""

RowCounts = Mapping[str, int]
"""About how many rows a table has, by month."""

log = structlog.get_logger()


@dataclass(frozen=True)
class RunSpec:
    """What a run is asked to do."""

    run_id: str
    job_id: str
    create_time: datetime
    code_commit: str
    raw_root: str
    through_date: date | None
    """The last day whose events are included; by default the last day of sales."""
    full: bool
    """Whether every month is cleaned again, rather than those that new files touch."""
    reject_share: float
    """The largest share of a file's lines that may be rejected."""
    rules: CleaningRules
    hold_on_warnings: bool = False
    """Whether data that differs from the months before by more than is usual is not published."""


@dataclass(frozen=True)
class CleanedMonths:
    """The months whose sales and rejects were written again, and the files that were read for it."""

    sources: Mapping[FileKey, SourceFile]
    """The new files."""
    counts: Mapping[str, Counts]
    """The line counts by month."""
    days: Days


class EtlRun:
    """One run. The data published when it is created is what its own replaces."""

    def __init__(self, spec: RunSpec, spark: SparkSession, bucket: Bucket) -> None:
        self._spec = spec
        self._spark = spark
        self._bucket = bucket
        self._tables = RunTables(spark, bucket, spec.run_id)
        self._published = read_publication(bucket)
        published = None if self._published is None else self._published.manifest
        # Months of another schema version, or of other rules, cannot be reused.
        is_base = published is not None and (published.schema_version, published.rules) == (SCHEMA_VERSION, spec.rules)
        self._base = published if is_base else None
        self._base_months = {month.month: month for month in self._base.months} if self._base is not None else {}
        self._base_files = {file.key: file for file in self._base.raw_files} if self._base is not None else {}

    def publish(self) -> tuple[Manifest, bool]:
        """Writes what has changed and publishes it.

        Returns the manifest that is then published, and whether this run published it; equal data is not published again. Raises
        `EtlError`, `LakeError`, and the errors of Spark.
        """
        self._stage("listing raw files")
        files = sales_files(self._spark, self._spec.raw_root)
        if not files:
            raise NoRawData(self._spec.raw_root)
        events, shown = event_files(self._spark, self._spec.raw_root), exposure_files(self._spark, self._spec.raw_root)
        if self._base is not None and self._is_current(self._base, files, events) and self._base.exposure_files == shown:
            write_dataset(self._bucket, self._base.dataset())
            return self._base, False
        manifest = self._write_changes(files, events, shown)
        if self._published is not None and manifest.has_same_data(self._published.manifest):
            self._tables.remove_written()
            write_dataset(self._bucket, self._published.manifest.dataset())
            return self._published.manifest, False
        self._check_quality(manifest)
        self._stage("publishing")
        publish(self._bucket, manifest, self._published)
        return manifest, True

    def _is_current(self, base: Manifest, files: Sequence[RawFile], event_states: Mapping[str, str]) -> bool:
        """Whether the published data is already made of these files."""
        through_date = self._spec.through_date or base.through_date
        same_events = base.events.files == event_states and (not event_states or base.events.through_date == through_date)
        return not self._spec.full and same_events and {file.key for file in files} == self._base_files.keys()

    def _write_changes(self, files: Sequence[RawFile], event_states: Mapping[str, str], exposure_states: Mapping[str, str]) -> Manifest:
        """Writes the tables of the months that have changed, and returns the manifest of the data as it then is."""
        cleaned = self._clean(files)
        untouched = {name: month for name, month in self._base_months.items() if name not in cleaned.counts}
        days = {name: month.days for name, month in untouched.items() if month.days is not None} | dict(cleaned.days)
        if not days:
            raise NoRawData(self._spec.raw_root)
        last_date = max(last for _, last in days.values())
        sale_files: FilesByMonth = {name: month.tables["sales"].files for name, month in untouched.items() if "sales" in month.tables}
        sale_files = {**sale_files, **self._tables.list_written("sales")}

        events = self._included_events(event_states, last_date)
        row_counts = {name: month.counts.lines_in for name, month in untouched.items()}
        row_counts |= {name: counts.lines_in for name, counts in cleaned.counts.items()}
        rewritten = self._write_derived_tables(sale_files, set(cleaned.counts), events, last_date, row_counts)
        self._write_exposures(exposure_states, events)
        self._stage("checking the written files")
        contents, figures = _run_concurrently(self._tables.read_contents, partial(self._measure, sale_files, cleaned.counts))
        merged = self._merge_months(cleaned.counts, days, events, rewritten, contents)
        months = [month.model_copy(update={"figures": figures.get(month.month)}) for month in merged]
        return Manifest(
            schema_version=SCHEMA_VERSION,
            run_id=self._spec.run_id,
            job_id=self._spec.job_id,
            code_commit=self._spec.code_commit,
            create_time=self._spec.create_time,
            raw_files=tuple(cleaned.sources.get(file.key) or self._base_files[file.key] for file in files),
            events=events,
            counts=Counts.total(month.counts for month in months),
            first_date=min(first for first, _ in days.values()),
            through_date=last_date,
            months=tuple(months),
            rules=self._spec.rules,
            products=_reuse_files(self._base.products if self._base is not None else None, contents["products", ""]),
            exposures=_reuse_files(self._base.exposures if self._base is not None else None, contents.get(("exposures", ""))),
            exposure_files=dict(exposure_states),
        )

    def _merge_months(
        self,
        counts: Mapping[str, Counts],
        days: Days,
        events: Events,
        rewritten: Mapping[str, set[str]],
        contents: Mapping[tuple[str, str], Content],
    ) -> list[Month]:
        """The months of the new manifest: what was rewritten, and what stays of the published data.

        rewritten: by table, the months that the run wrote again
        contents: what it wrote, by table and month
        """
        months = []
        for name in sorted({*self._base_months, *counts, *events.months}):
            base = self._base_months.get(name) or Month(month=name, counts=Counts(), days=None, tables={})
            written = {table: contents.get((table, name)) for table in MONTHLY if name in rewritten[table]}
            month = _update_month(base, counts.get(name, base.counts), days.get(name), written)
            month.check()
            if month.tables or month.counts.lines_in:
                months.append(month)
        return months

    def _check_quality(self, manifest: Manifest) -> None:
        """Raises `DataQualityHeld` for warnings that the published data does not have, if the run has to; its files are removed."""
        if self._published is None or not self._spec.hold_on_warnings:
            return
        known = {(warning.month, warning.measure) for warning in self._published.manifest.warnings()}
        if new := [warning for warning in manifest.warnings() if (warning.month, warning.measure) not in known]:
            self._tables.remove_written()
            raise DataQualityHeld(new)

    def _measure(self, sale_files: FilesByMonth, counts: Mapping[str, Counts]) -> dict[str, MonthFigures]:
        """The figures of each month with sales, measured where the cleaned months may have changed them.

        counts: the line counts of the cleaned months
        """
        self._stage("measuring the data's quality")
        base = {name: month.figures for name, month in self._base_months.items() if name in sale_files and month.figures is not None}
        measured = months_to_measure(sale_files, base, counts)
        if not measured:
            return base
        sold = self._tables.read("sales", sale_files, baseline_months(sale_files, measured))
        described = self._tables.read("products", self._tables.list_written("products"), [""])
        all_counts = {name: counts[name] if name in counts else self._base_months[name].counts for name in measured}
        return base | measure(sold, described, all_counts, min(sale_files))

    def _clean(self, files: Sequence[RawFile]) -> CleanedMonths:
        """Writes the sales and rejects of the months that new or removed files touch, from all files with lines in those months."""
        self._stage("reading raw files")
        known = {} if self._spec.full else self._base_files
        new = [file for file in files if file.key not in known]
        new_frames, new_tallies = self._inspect(new)
        sources = {file.key: count_file(file, new_tallies) for file in new}
        for source in sources.values():
            check_rejects(source, self._spec.reject_share)
        removed = known.keys() - {file.key for file in files}
        months = {month for source in [*sources.values(), *(known[key] for key in removed)] for month in source.months}
        if self._spec.full:
            months |= self._base_months.keys()
        older = [file for file in files if file.key in known and months.intersection(known[file.key].months)]
        older_frames, older_tallies = self._inspect(older)
        frames, counted = [*new_frames, *older_frames], [*new_tallies, *older_tallies]
        read = [file for file in files if file in new or file in older]
        if not read:
            return CleanedMonths({}, dict.fromkeys(months, Counts()), {})
        counts = self._write_lines(read, reduce(DataFrame.unionByName, frames), counted, months)
        for frame in frames:
            frame.unpersist()
        return CleanedMonths(sources, counts, sale_days(counted, months))

    def _write_lines(self, files: Sequence[RawFile], lines: DataFrame, counted: Sequence[Tally], months: set[str]) -> dict[str, Counts]:
        """Writes the sales and rejects of these months; returns their line counts.

        lines: the classified lines of the files
        counted: their tallies
        """
        self._stage("finding repeated lines")
        stretches = find_stretches(files, counted, self._find_jumps(lines, counted))
        overlap = overlapping_days(stretches, counted)
        marked = mark_repeats(assign_sheets(lines, stretches).where(F.col(MONTH).isin(*months)), sorted(overlap))
        repeats = marked.where(REPEATED).groupBy(MONTH, REASON).count().collect() if overlap else []
        counts = counts_by_month(files, counted, {(row[MONTH], row[REASON]): row["count"] for row in repeats}, months)
        row_counts = {month: count.lines_in for month, count in counts.items()}
        _run_concurrently(partial(self._write_sales, marked, row_counts), partial(self._write_rejects, marked, row_counts))
        return counts

    def _inspect(self, files: Sequence[RawFile]) -> tuple[list[DataFrame], list[Tally]]:
        """The classified lines of these files, cached in one frame if there are any files, and their tallies."""
        if not files:
            return [], []
        rules = self._spec.rules
        lines = classify_lines(raw_lines(self._spark, files, rules.future_days), rules.first_date).persist()
        with unpacking_errors(files):
            return [lines], [Tally(*row) for row in tallies(lines).collect()]

    def _find_jumps(self, lines: DataFrame, counted: Sequence[Tally]) -> dict[Block, list[int]]:
        """The places of the lines at which the clock goes back within a block, in order."""
        jumps: dict[Block, list[int]] = defaultdict(list)
        if blocks := unsorted_blocks(counted):
            for path, start, index in sorted(clock_jumps(lines, blocks).collect()):
                jumps[path, start].append(index)
        return jumps

    def _included_events(self, event_states: Mapping[str, str], last_date: date) -> Events:
        """The recorded events that the data includes."""
        if not event_states:
            return Events()
        through_date = self._spec.through_date or last_date
        purchases = live_purchases(self._read_events(event_states), through_date, self._spec.rules.time_zone)
        months = sorted(row[MONTH] for row in purchases.select(MONTH).distinct().collect())
        return Events(through_date=through_date, files=dict(event_states), months=tuple(months))

    def _write_derived_tables(
        self, sale_files: FilesByMonth, cleaned_months: set[str], events: Events, last_date: date, row_counts: RowCounts
    ) -> dict[str, set[str]]:
        """Writes the tables that are made of the sales; returns the months that the run has rewritten of each monthly table."""
        interaction_months, daily_months, _ = _run_concurrently(
            partial(self._write_interactions, sale_files, cleaned_months, events, row_counts),
            partial(self._write_daily_sales, sale_files, cleaned_months, events, last_date, row_counts),
            partial(self._write_products, sale_files),
        )
        return {"sales": cleaned_months, "rejects": cleaned_months, "interactions": interaction_months, "daily_sales": daily_months}

    def _write_sales(self, lines: DataFrame, row_counts: RowCounts) -> None:
        self._stage("writing sales")
        self._tables.write("sales", sales(partition_by_month(lines, row_counts, INVOICE)))

    def _write_rejects(self, lines: DataFrame, row_counts: RowCounts) -> None:
        self._stage("writing rejects")
        self._tables.write("rejects", partition_by_month(rejects(lines), row_counts, FILE, NUMBER).drop(BUCKET))

    def _write_products(self, sale_files: FilesByMonth) -> None:
        self._stage("describing products")
        self._tables.write("products", products(self._tables.read("sales", sale_files, sale_files), read_taxonomy()))

    def _write_exposures(self, states: Mapping[str, str], events: Events) -> None:
        """Writes what shoppers saw of lists. Without events, nothing is known to have been seen."""
        if not states or events.through_date is None:
            return
        self._stage("attributing what followed from lists")
        lists = self._spark.read.schema(ddl(EXPOSED_LISTS)).json(list(states))
        followed = exposures(lists, self._read_events(events.files), events.through_date, self._spec.rules.time_zone)
        self._tables.write("exposures", followed)

    def _write_interactions(self, sale_files: FilesByMonth, cleaned_months: set[str], events: Events, row_counts: RowCounts) -> set[str]:
        """Writes the interactions of the cleaned months, and of those whose live purchases may have changed; returns these months."""
        self._stage("summing interactions")
        months = cleaned_months | self._months_of_live_purchases(cleaned_months, events)
        purchases = purchases_in_sales(self._tables.read("sales", sale_files, months))
        if events.months:
            purchases = purchases.unionByName(as_interactions(self._live_purchases(sale_files, events, months)))
        self._tables.write("interactions", interactions(partition_by_month(purchases, row_counts, CUSTOMER_NUMBER)))
        return months

    def _write_daily_sales(
        self, sale_files: FilesByMonth, cleaned_months: set[str], events: Events, last_date: date, row_counts: RowCounts
    ) -> set[str]:
        """Writes the daily sales of the cleaned months, and of those whose live purchases may have changed; returns these months.

        The last day may be incomplete and has no daily sales: the old one becomes complete when a later one follows.
        """
        self._stage("summing daily sales")
        months = cleaned_months | self._months_of_live_purchases(cleaned_months, events)
        if self._base is not None and self._base.through_date != last_date:
            months |= {month_of_day(self._base.through_date), month_of_day(last_date)}
        sold = self._tables.read("sales", sale_files, months)
        if events.months:
            live = self._live_purchases(sale_files, events, months)
            sold = sold.unionByName(as_sales(live, self._tables.read("sales", sale_files, sale_files)), allowMissingColumns=True)
        self._tables.write("daily_sales", daily_sales(partition_by_month(sold, row_counts, PRODUCT_ID), last_date))
        return months

    def _months_of_live_purchases(self, cleaned_months: set[str], events: Events) -> set[str]:
        """The months whose live purchases may differ from the published ones.

        If the events have changed, all of them; otherwise those whose orders may be in the cleaned months, also around midnight.
        """
        base = Events() if self._base is None else self._base.events
        if events != base:
            return {*base.months, *events.months}
        return {month for month in events.months if cleaned_months.intersection(adjacent_months(month))}

    def _live_purchases(self, sale_files: FilesByMonth, events: Events, months: set[str]) -> DataFrame:
        """One row per live purchase in these months that the files do not have."""
        if events.through_date is None:
            raise ValueError("no events are included")
        recorded = live_purchases(self._read_events(events.files), events.through_date, self._spec.rules.time_zone)
        around = {near for month in months.intersection(events.months) for near in adjacent_months(month)}
        return not_in_sales(recorded.where(F.col(MONTH).isin(*months)), self._tables.read("sales", sale_files, around))

    def _read_events(self, addresses: Mapping[str, str]) -> DataFrame:
        """One row per recorded event in the files at these addresses."""
        return self._spark.read.schema(ddl(EVENTS)).json(list(addresses))

    def _stage(self, description: str) -> None:
        """Reports what the run does next, on Spark's web pages and in the log."""
        self._spark.sparkContext.setJobDescription(description)
        log.info(description)


def _run_concurrently(*functions: Callable[[], Any]) -> list[Any]:
    """The results of functions called at the same time: the last tasks of one Spark job seldom occupy all cores."""
    with ThreadPoolExecutor(len(functions)) as threads:
        return [future.result() for future in [threads.submit(function) for function in functions]]


def _update_month(base: Month, counts: Counts, days: tuple[date, date] | None, written: Mapping[str, Content | None]) -> Month:
    """The month with the tables that were written again; those without rows are left out."""
    tables = {**base.tables, **{table: _reuse_files(base.tables.get(table), content) for table, content in written.items()}}
    present = {table: content for table, content in tables.items() if content is not None}
    return Month(month=base.month, counts=counts, days=days, tables=present)


def _reuse_files(old: Content | None, new: Content | None) -> Content | None:
    """The new content, in the files of the old one if the rows are equal."""
    return old if old is not None and new is not None and old.sha256 == new.sha256 else new
