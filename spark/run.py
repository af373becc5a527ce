"""One run of the ETL, from what the raw zone holds to the manifest of the clean data."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial, reduce
from typing import Any

import structlog
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lake.manifest import Content, Counts, Events, Manifest, Month, SourceFile
from lake.publishing import Lake
from lake.schemas import EVENTS, MONTHLY, SCHEMA_VERSION, ddl
from spark.accounts import check, counts_by_month, month_of_day, sale_days, source
from spark.cleaning import MONTH, REASON, REPEATED, counted_once, judged, jumps, placed, raw_lines, rejects, sales, tallies
from spark.daily_sales import daily_sales
from spark.errors import NoRawData, UnreadableFile
from spark.interactions import interactions, recorded, sold
from spark.products import products, taxonomy
from spark.raw_file import RawFile
from spark.raw_zone import event_files, sales_files
from spark.sheets import Block, Tally, days_of_several_sheets, disordered, stretches
from spark.tables import Files, Tables

log = structlog.get_logger()


@dataclass(frozen=True)
class Order:
    """What a run was asked for."""

    run_id: str
    job_id: str
    create_time: datetime
    code_commit: str
    raw_root: str
    through_date: date | None
    full: bool
    reject_share: float


@dataclass(frozen=True)
class Cleaned:
    """What became of the lines that were read: of each file, and of each month that was written anew."""

    sources: Mapping[str, SourceFile]
    counts: Mapping[str, Counts]
    # The first and the last day with a sale line.
    days: Mapping[str, tuple[date, date]]


class Run:
    """One run. What it is called with is fixed, and so is what was published when it began."""

    def __init__(self, order: Order, spark: SparkSession, lake: Lake) -> None:
        self._order = order
        self._spark = spark
        self._lake = lake
        self._tables = Tables(spark, lake, order.run_id)
        self._published = lake.published()
        # Of data in another shape nothing can stay.
        fits = self._published is not None and self._published.schema_version == SCHEMA_VERSION
        self._base = self._published if fits else None
        self._before = {month.month: month for month in self._base.months} if self._base is not None else {}

    def publish(self) -> tuple[Manifest, bool]:
        """The manifest of the data as it stands after the run, and whether the run published it."""
        self._stage("listing raw files")
        files = sales_files(self._spark, self._order.raw_root)
        if not files:
            raise NoRawData(self._order.raw_root)
        events = event_files(self._spark, self._order.raw_root)
        if self._base is not None and self._has_all(self._base, files, events):
            self._lake.describe(self._base.dataset())
            return self._base, False
        manifest = self._manifest(files, events)
        if self._published is not None and manifest.same_data(self._published):
            self._tables.discard()
            self._lake.describe(self._published.dataset())
            return self._published, False
        self._stage("publishing")
        self._lake.publish(manifest)
        return manifest, True

    def _has_all(self, base: Manifest, files: Sequence[RawFile], events: Mapping[str, str]) -> bool:
        through = self._order.through_date or base.through_date
        same_events = base.events.files == events and (not events or base.events.through_date == through)
        return not self._order.full and same_events and {file.sha256 for file in files} == {file.sha256 for file in base.raw_files}

    def _manifest(self, files: Sequence[RawFile], events: Mapping[str, str]) -> Manifest:
        """Writes what has changed, and says what the data has become."""
        cleaned = self._clean(files)
        untouched = {name: month for name, month in self._before.items() if name not in cleaned.counts}
        days = {month.month: month.days for month in untouched.values() if month.days is not None} | dict(cleaned.days)
        if not days:
            raise NoRawData(self._order.raw_root)
        last_date = max(last for _, last in days.values())
        sale_files: Files = {name: month.tables["sales"].files for name, month in untouched.items() if "sales" in month.tables}
        sale_files = {**sale_files, **self._tables.written("sales")}

        taken = self._taken(events, last_date)
        cleaned_months = set(cleaned.counts)
        interacted, totalled, _ = together(
            partial(self._write_interactions, sale_files, cleaned_months, taken),
            partial(self._write_daily_sales, sale_files, cleaned_months, last_date),
            partial(self._write_products, sale_files),
        )
        touched = {"sales": cleaned_months, "rejects": cleaned_months, "interactions": interacted, "daily_sales": totalled}

        self._stage("checking what was written")
        contents = self._tables.contents()
        months = []
        for name in sorted({*self._before, *cleaned.counts, *taken.months}):
            before = self._before.get(name) or Month(month=name, counts=Counts(), days=None, tables={})
            written = {table: contents.get((table, name)) for table in MONTHLY if name in touched[table]}
            month = renewed(before, cleaned.counts.get(name, before.counts), days.get(name), written)
            month.check()
            if month.tables or month.counts.lines_in:
                months.append(month)
        known = {file.sha256: file for file in self._base.raw_files} if self._base is not None else {}
        return Manifest(
            schema_version=SCHEMA_VERSION,
            run_id=self._order.run_id,
            job_id=self._order.job_id,
            code_commit=self._order.code_commit,
            create_time=self._order.create_time,
            raw_files=tuple(cleaned.sources.get(file.sha256) or known[file.sha256] for file in files),
            events=taken,
            counts=Counts.total(month.counts for month in months),
            first_date=min(first for first, _ in days.values()),
            through_date=last_date,
            months=tuple(months),
            products=kept(self._base.products if self._base is not None else None, contents["products", ""]),
        )

    def _clean(self, files: Sequence[RawFile]) -> Cleaned:
        """Writes the sales and rejects of the months that new files touch, of all files that have lines in them."""
        self._stage("reading raw files")
        known = {} if self._base is None or self._order.full else {file.sha256: file for file in self._base.raw_files}
        new = [file for file in files if file.sha256 not in known]
        gone = known.keys() - {file.sha256 for file in files}
        lines, found = self._inspected(new)
        sources = {file.sha256: source(file, found) for file in new}
        for file in sources.values():
            check(file, self._order.reject_share)
        months = {month for file in [*sources.values(), *(known[sha256] for sha256 in gone)] for month in file.months}
        if self._order.full:
            months |= self._before.keys()
        older = [file for file in files if file.sha256 in known and months.intersection(known[file.sha256].months)]
        older_lines, older_found = self._inspected(older)
        lines, found = [*lines, *older_lines], [*found, *older_found]
        read = [file for file in files if file in new or file in older]
        if not read:
            return Cleaned({}, dict.fromkeys(months, Counts()), {})

        self._stage("finding what was there before")
        united = reduce(DataFrame.unionByName, lines)
        pieces = stretches(read, found, self._jumps(united, found))
        overlap = days_of_several_sheets(pieces, found)
        marked = counted_once(placed(united, pieces).where(F.col(MONTH).isin(*months)), sorted(overlap))
        repeats = marked.where(REPEATED).groupBy(MONTH, REASON).count().collect() if overlap else []
        counts = counts_by_month(read, found, {(row[MONTH], row[REASON]): row["count"] for row in repeats}, months)
        together(partial(self._write_sales, marked), partial(self._write_rejects, marked))
        for frame in lines:
            frame.unpersist()
        return Cleaned(sources, counts, sale_days(found, months))

    def _inspected(self, files: Sequence[RawFile]) -> tuple[list[DataFrame], list[Tally]]:
        """The judged lines of these files, held for what follows, and what was counted of them."""
        if not files:
            return [], []
        lines = judged(raw_lines(self._spark, files)).persist()
        try:
            return [lines], [Tally(*row) for row in tallies(lines).collect()]
        except (Py4JJavaError, PySparkException) as error:
            packed = (file for file in files if file.parts[0].path.endswith(".gz"))
            if damaged := [file.name for file in packed if "FAILED_READ_FILE" in str(error) and file.parts[0].path in str(error)]:
                raise UnreadableFile(damaged[0], "is cut off or damaged: it cannot be unpacked") from error
            raise

    def _jumps(self, lines: DataFrame, found: Sequence[Tally]) -> dict[Block, list[int]]:
        """Where the clock goes back within a block."""
        back: dict[Block, list[int]] = defaultdict(list)
        if blocks := disordered(found):
            for path, start, index in sorted(jumps(lines, blocks).collect()):
                back[path, start].append(index)
        return back

    def _taken(self, events: Mapping[str, str], last_date: date) -> Events:
        """The recorded events that are taken in."""
        if not events:
            return Events()
        through = self._order.through_date or last_date
        bought = recorded(self._events(events), through)
        months = sorted(row[MONTH] for row in bought.select(MONTH).distinct().collect())
        return Events(through_date=through, files=dict(events), months=tuple(months))

    def _write_sales(self, lines: DataFrame) -> None:
        self._stage("writing sales")
        self._tables.write("sales", sales(lines.repartition(MONTH)))

    def _write_rejects(self, lines: DataFrame) -> None:
        self._stage("writing what was refused")
        self._tables.write("rejects", rejects(lines).repartition(MONTH))

    def _write_products(self, sale_files: Files) -> None:
        self._stage("describing products")
        self._tables.write("products", products(self._tables.read("sales", sale_files, sale_files), taxonomy()))

    def _write_interactions(self, sale_files: Files, touched: set[str], taken: Events) -> set[str]:
        """Writes the interactions of the months that sales or events have touched; answers which."""
        self._stage("summing interactions")
        before = Events() if self._base is None else self._base.events
        months = touched if taken == before else touched.union(before.months, taken.months)
        purchases = sold(self._tables.read("sales", sale_files, months).repartition(MONTH))
        if taken.through_date is not None:
            bought = recorded(self._events(taken.files), taken.through_date).where(F.col(MONTH).isin(*months))
            purchases = purchases.unionByName(bought).repartition(MONTH)
        self._tables.write("interactions", interactions(purchases))
        return months

    def _write_daily_sales(self, sale_files: Files, touched: set[str], last_date: date) -> set[str]:
        """Writes the daily sales of the months touched, and of those whose last day is now complete, or no longer is; answers which."""
        self._stage("summing daily sales")
        ends = {month_of_day(day) for day in (self._base.through_date, last_date)} if self._base is not None else set()
        moved = self._base is not None and self._base.through_date != last_date
        months = touched | ends if moved else touched
        self._tables.write("daily_sales", daily_sales(self._tables.read("sales", sale_files, months).repartition(MONTH), last_date))
        return months

    def _events(self, files: Mapping[str, str]) -> DataFrame:
        """One row per event recorded live."""
        return self._spark.read.schema(ddl(EVENTS)).json(list(files))

    def _stage(self, description: str) -> None:
        """Says what comes now, to Spark's pages and the log."""
        self._spark.sparkContext.setJobDescription(description)
        log.info(description)


def together(*works: Callable[[], Any]) -> list[Any]:
    """What each of these works answers, done at the same time: one alone seldom has tasks for all cores to its end."""
    with ThreadPoolExecutor(len(works)) as threads:
        return [future.result() for future in [threads.submit(work) for work in works]]


def renewed(before: Month, counts: Counts, days: tuple[date, date] | None, written: Mapping[str, Content | None]) -> Month:
    """The month with those of its tables that were written anew, or have no rows left."""
    tables = {**before.tables, **{table: kept(before.tables.get(table), content) for table, content in written.items()}}
    present = {table: content for table, content in tables.items() if content is not None}
    return Month(month=before.month, counts=counts, days=days, tables=present)


def kept(old: Content | None, new: Content | None) -> Content | None:
    """The new content; in the files of the old where the rows are the same."""
    return old if old is not None and new is not None and old.sha256 == new.sha256 else new
