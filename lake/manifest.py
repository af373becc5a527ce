"""The manifest: which files make up the clean data, and what they were made of."""

import hashlib
from collections import Counter
from collections.abc import Iterable
from datetime import date, datetime
from typing import Self

from pydantic import BaseModel

from lake.line_rules import ONLINE_RETAIL, FileKey, LineRules
from lake.quality import MonthFigures, QualityWarning, find_warnings
from lake.schemas import MONTHLY, TABLES

MANIFEST_KEY, DATASET_KEY = "clean/_MANIFEST.json", "clean/_DATASET.json"
# Rejected lines are accounted for, but are no part of the data.
CLEAN_MONTHLY = [name for name in MONTHLY if name != "rejects"]
# What tells one run's manifest from another's of the same data.
RUN_FIELDS = {"run_id", "job_id", "code_commit", "create_time"}


class DataFile(BaseModel, frozen=True):
    """A Parquet file of the clean or the quarantine zone."""

    key: str
    """The key of the object in the bucket."""
    byte_count: int


class Content(BaseModel, frozen=True):
    """The rows of a table: those of one month, or all of a table that is not stored by month."""

    row_count: int
    sha256: str
    """A hash of the rows alone: neither their order nor their division into files changes it."""
    files: tuple[DataFile, ...]


class Counts(BaseModel, frozen=True):
    """What became of raw lines: each is a sale line, a duplicate or a reject."""

    lines_in: int = 0
    sale_lines: int = 0
    duplicates: int = 0
    refused: dict[str, int] = {}
    """Rejected lines by reject reason."""

    @classmethod
    def total(cls, counts: "Iterable[Counts]") -> "Counts":
        """The sum of several counts."""
        listed = list(counts)
        rejects = sum((Counter(each.refused) for each in listed), Counter[str]())
        return Counts(
            lines_in=sum(each.lines_in for each in listed),
            sale_lines=sum(each.sale_lines for each in listed),
            duplicates=sum(each.duplicates for each in listed),
            refused=dict(sorted(rejects.items())),
        )


class Month(BaseModel, frozen=True):
    """The lines of one month and the tables made of them; a table without rows in the month is missing."""

    month: str
    """`YYYY-MM`, or `undated` for rejected lines without a valid date."""
    counts: Counts
    days: tuple[date, date] | None
    """The first and the last day with a sale line."""
    tables: dict[str, Content]
    figures: MonthFigures | None = None
    """What was measured of the sales; None for a month without sales, or one that was published before there were figures."""

    def check(self) -> None:
        """Compares the rows written with the lines read; a difference is a bug of the ETL and raises `AssertionError`."""
        written = {name: content.row_count for name, content in self.tables.items()}
        rejects = sum(self.counts.refused.values())
        balanced = self.counts.lines_in == self.counts.sale_lines + self.counts.duplicates + rejects
        if not balanced or written.get("sales", 0) != self.counts.sale_lines or written.get("rejects", 0) != rejects:
            raise AssertionError(f"{self.month}: {self.counts} were read, and {written} were written")


class CleaningRules(BaseModel, frozen=True):
    """What decides, besides the raw files, which of their lines become sales: months of other rules cannot be reused."""

    version: int
    first_date: date = date(2000, 1, 1)
    """The earliest date of a sale."""
    future_days: int = 1
    """How many days after its file was landed a sale may be dated."""
    time_zone: str = "UTC"
    """The shop's time zone, in which a recorded event has its day: an IANA name."""


class SourceFile(BaseModel, frozen=True):
    """A raw file that the data was made of."""

    name: str
    sha256: str
    line_count: int
    """All lines below the header, including those that duplicate lines of other files."""
    refused: dict[str, int]
    """Rejected lines by reject reason."""
    months: tuple[str, ...]
    extra_columns: tuple[str, ...]
    """Columns of the header that the ETL does not use."""
    rules: LineRules = ONLINE_RETAIL
    """What decided which of its lines are sales."""

    @property
    def key(self) -> FileKey:
        """What tells the file, as it was judged, from others."""
        return self.sha256, self.rules


class Events(BaseModel, frozen=True):
    """The recorded events that the data was made of."""

    through_date: date | None = None
    """The last day whose events are included."""
    files: dict[str, str] = {}
    """The state of each file when it was read, by address."""
    months: tuple[str, ...] = ()
    """The months in which the events have purchases."""


class Manifest(BaseModel, frozen=True):
    """The clean data as published: readers read the files that it names, and no others."""

    schema_version: int
    run_id: str
    job_id: str
    code_commit: str
    create_time: datetime
    raw_files: tuple[SourceFile, ...]
    events: Events
    counts: Counts
    first_date: date
    through_date: date
    """The last day with a sale line; it may be incomplete."""
    months: tuple[Month, ...]
    products: Content
    exposures: Content | None = None
    """What shoppers saw of lists. None if there is nothing of it, and for data that was published before there was this table."""
    exposure_files: dict[str, str] = {}
    """The files of exposures that the data was made of: the state of each when it was read, by address."""
    rules: CleaningRules | None = None
    """None for data that was published before rules were recorded."""

    def has_same_data(self, other: Self) -> bool:
        """Whether two manifests describe the same data, made of the same files, whichever runs wrote them."""
        return self.model_dump(exclude=RUN_FIELDS) == other.model_dump(exclude=RUN_FIELDS)

    def warnings(self) -> tuple[QualityWarning, ...]:
        """The months that differ from the months before them."""
        return find_warnings({month.month: month.figures for month in self.months if month.figures is not None})

    def contents(self, table: str) -> dict[str, Content]:
        """The contents of a table by month; products and exposures have one at most, under the empty string."""
        if table == "products":
            return {"": self.products}
        if table == "exposures":
            return {"": self.exposures} if self.exposures is not None else {}
        return {month.month: month.tables[table] for month in self.months if table in month.tables}

    def row_hashes(self, table: str) -> dict[str, str]:
        """The hash of a table's rows by month."""
        return {month: content.sha256 for month, content in self.contents(table).items()}

    def keys(self) -> set[str]:
        """The keys of all files that the manifest names."""
        contents = [
            self.products,
            *self.contents("exposures").values(),
            *(content for month in self.months for content in month.tables.values()),
        ]
        return {file.key for content in contents for file in content.files}

    def dataset(self) -> "Dataset":
        """The description of the data that is equal for equal data."""
        # Data without exposures keeps the hash that it had before there were any.
        names = [*CLEAN_MONTHLY, "products", *(["exposures"] if self.exposures is not None else [])]
        unhashed = Dataset(
            schema_version=self.schema_version,
            sha256="",
            first_date=self.first_date,
            through_date=self.through_date,
            columns={name: dict(TABLES[name].columns) for name in names},
            contents={name: self.row_hashes(name) for name in names},
        )
        return unhashed.model_copy(update={"sha256": hashlib.sha256(unhashed.model_dump_json().encode()).hexdigest()})


class Dataset(BaseModel, frozen=True):
    """The content and the columns of the clean data, without how it came about: equal on every machine for equal data."""

    schema_version: int
    sha256: str
    """The data hash: of all other fields."""
    first_date: date
    through_date: date
    columns: dict[str, dict[str, str]]
    """SQL types by table and column."""
    contents: dict[str, dict[str, str]]
    """Hashes of the rows by table and month."""
