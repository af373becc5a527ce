"""The manifest: what the clean data is, down to the last file."""

import hashlib
from collections import Counter
from collections.abc import Iterable
from datetime import date, datetime
from typing import Self

from pydantic import BaseModel

from lake.schemas import MONTHLY, TABLES

# The refused lines are accounted for, and no part of the data.
CLEAN_TABLES = [name for name in MONTHLY if name != "rejects"]


class Record(BaseModel, frozen=True, extra="forbid"):
    """A part of the manifest: written as JSON, and never changed."""


class DataFile(Record):
    """A file of the clean data or the quarantine, by its key in the bucket."""

    key: str
    byte_count: int


class Content(Record):
    """What a set of files holds. The hash is of the rows alone: not of their order, nor of how they are laid out in files."""

    row_count: int
    sha256: str
    files: tuple[DataFile, ...]


class Counts(Record):
    """What became of lines: those in are those out, the duplicates and the refused."""

    lines_in: int = 0
    sale_lines: int = 0
    duplicates: int = 0
    refused: dict[str, int] = {}

    @classmethod
    def total(cls, counts: "Iterable[Counts]") -> "Counts":
        """The sum."""
        listed = list(counts)
        refused = sum((Counter(each.refused) for each in listed), Counter[str]())
        return Counts(
            lines_in=sum(each.lines_in for each in listed),
            sale_lines=sum(each.sale_lines for each in listed),
            duplicates=sum(each.duplicates for each in listed),
            refused=dict(sorted(refused.items())),
        )


class Month(Record):
    """The lines of one month, and the tables made of them; a table without rows in the month is not there."""

    month: str
    counts: Counts
    # The first and the last day with a sale line.
    days: tuple[date, date] | None
    tables: dict[str, Content]

    def check(self) -> None:
        """Holds the files that were written against the lines that were read."""
        written = {name: content.row_count for name, content in self.tables.items()}
        refused = sum(self.counts.refused.values())
        balanced = self.counts.lines_in == self.counts.sale_lines + self.counts.duplicates + refused
        if not balanced or written.get("sales", 0) != self.counts.sale_lines or written.get("rejects", 0) != refused:
            raise AssertionError(f"{self.month}: {self.counts} were read, and {written} were written")


class SourceFile(Record):
    """A raw file that the data was made of. Lines are counted as they are in the file, duplicates of other files included."""

    name: str
    sha256: str
    line_count: int
    refused: dict[str, int]
    months: tuple[str, ...]
    extra_columns: tuple[str, ...]


class Events(Record):
    """The recorded events that the data was made of: each file with its state, and up to which day they were taken in."""

    through_date: date | None = None
    files: dict[str, str] = {}
    months: tuple[str, ...] = ()


class Manifest(Record):
    """The clean data: readers take the files that it names, and no other."""

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
    months: tuple[Month, ...]
    products: Content

    def same_data(self, other: Self) -> bool:
        """Whether the two say the same of the data, whichever run they are of."""
        run = {"run_id", "job_id", "code_commit", "create_time"}
        return self.model_dump(exclude=run) == other.model_dump(exclude=run)

    def keys(self) -> set[str]:
        """The keys of all files named."""
        contents = [self.products, *(content for month in self.months for content in month.tables.values())]
        return {file.key for content in contents for file in content.files}

    def dataset(self) -> "Dataset":
        """What is to be said of the content alone."""
        contents = {
            name: {month.month: month.tables[name].sha256 for month in self.months if name in month.tables} for name in CLEAN_TABLES
        }
        contents["products"] = {"": self.products.sha256}
        told = Dataset(
            schema_version=self.schema_version,
            sha256="",
            first_date=self.first_date,
            through_date=self.through_date,
            columns={name: dict(TABLES[name].columns) for name in contents},
            contents=contents,
        )
        return told.model_copy(update={"sha256": hashlib.sha256(told.model_dump_json().encode()).hexdigest()})


class Dataset(Record):
    """The content of the clean data and its shape, and nothing of how it came about: equal on every machine for equal data."""

    schema_version: int
    # Of all the rest.
    sha256: str
    first_date: date
    through_date: date
    # By table: its columns with their types, and by month the hash of its rows.
    columns: dict[str, dict[str, str]]
    contents: dict[str, dict[str, str]]
