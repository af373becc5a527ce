"""Accounts: what became of the lines, by file and by month."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date

from lake.manifest import Counts, SourceFile
from spark.cleaning import ENCODING, HEADER, UNDATED
from spark.errors import TooManyRejects, UnreadableFile
from spark.raw_file import RawFile
from spark.sheets import Tally


def source(file: RawFile, tallies: Iterable[Tally]) -> SourceFile:
    """What was counted of a file."""
    lines = data_lines([file], tallies)
    refused: Counter[str] = Counter()
    for tally in lines:
        if tally.reason is not None:
            refused[tally.reason] += tally.line_count
    return SourceFile(
        name=file.name,
        sha256=file.sha256,
        line_count=sum(tally.line_count for tally in lines),
        refused=dict(sorted(refused.items())),
        months=tuple(sorted({month_of_day(tally.date) for tally in lines})),
        extra_columns=tuple(file.extra_columns),
    )


def check(file: SourceFile, reject_share: float) -> None:
    """Refuses a file that is damaged as a whole, not here and there."""
    if not file.line_count:
        raise UnreadableFile(file.name, "is empty below its header")
    if damaged := file.refused.get(ENCODING):
        raise UnreadableFile(file.name, f"is not in UTF-8: {damaged} of its lines cannot be read")
    share = sum(file.refused.values()) / file.line_count
    if share > reject_share:
        raise TooManyRejects(file.name, share, reject_share)


def counts_by_month(
    files: Sequence[RawFile], tallies: Iterable[Tally], repeats: Mapping[tuple[str, str | None], int], months: Iterable[str]
) -> dict[str, Counts]:
    """What became of the lines of these months.

    repeats: how many lines of a month that are refused for a reason, or sold for none, repeat a line of an earlier sheet
    """
    found: dict[str, Counter[str | None]] = {month: Counter() for month in months}
    for tally in data_lines(files, tallies):
        if (month := month_of_day(tally.date)) in found:
            found[month][tally.reason] += tally.line_count
    counts = {}
    for month, lines in found.items():
        again = Counter({reason: count for (of_month, reason), count in repeats.items() if of_month == month})
        once = lines - again
        counts[month] = Counts(
            lines_in=lines.total(),
            sale_lines=once[None],
            duplicates=again.total(),
            refused={reason: once[reason] for reason in sorted(filter(None, once))},
        )
    return counts


def sale_days(tallies: Iterable[Tally], months: Iterable[str]) -> dict[str, tuple[date, date]]:
    """The first and the last day with a sale line, of each of these months that has one."""
    days: dict[str, list[date]] = {}
    for tally in tallies:
        if tally.date is not None and tally.reason is None:
            days.setdefault(month_of_day(tally.date), []).append(tally.date)
    return {month: (min(days[month]), max(days[month])) for month in months if month in days}


def month_of_day(day: date | None) -> str:
    """The month of a day as `YYYY-MM`."""
    return UNDATED if day is None else f"{day:%Y-%m}"


def data_lines(files: Iterable[RawFile], tallies: Iterable[Tally]) -> list[Tally]:
    """The tallies of these files without their first lines, the headers."""
    first_parts = {file.parts[0].path for file in files}
    paths = {part.path for file in files for part in file.parts}
    lines = []
    for tally in tallies:
        if tally.path in paths:
            is_header = tally.reason == HEADER and tally.path in first_parts and tally.block == 0
            lines.append(replace(tally, line_count=tally.line_count - 1) if is_header else tally)
    return [tally for tally in lines if tally.line_count]
