"""Line counts: what became of the raw lines, by file and by month."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta

from lake.errors import UnreadableFile
from lake.manifest import Counts, SourceFile
from lake.raw_file import RawFile
from spark.cleaning import COLUMNS, ENCODING, UNDATED
from spark.errors import TooManyRejects
from spark.sheets import Tally


def count_file(file: RawFile, tallies: Iterable[Tally]) -> SourceFile:
    """A raw file with its line counts, for the manifest."""
    lines = _data_lines([file], tallies)
    rejects: Counter[str] = Counter()
    for tally in lines:
        if tally.reason is not None:
            rejects[tally.reason] += tally.line_count
    return SourceFile(
        name=file.name,
        sha256=file.sha256,
        line_count=sum(tally.line_count for tally in lines),
        refused=dict(sorted(rejects.items())),
        months=tuple(sorted({month_of_day(tally.date) for tally in lines})),
        extra_columns=tuple(file.extra_columns),
        rules=file.rules,
    )


def check_rejects(file: SourceFile, reject_share: float) -> None:
    """Raises `UnreadableFile` or `TooManyRejects` for a file that is damaged as a whole rather than in single lines."""
    if not file.line_count:
        raise UnreadableFile(file.name, "is empty below its header")
    if damaged := file.refused.get(ENCODING):
        raise UnreadableFile(file.name, f"is not in UTF-8: {damaged} of its lines cannot be read")
    if file.refused.get(COLUMNS) == file.line_count:
        raise UnreadableFile(file.name, "has no line with as many fields as its header")
    share = sum(file.refused.values()) / file.line_count
    if share > reject_share:
        raise TooManyRejects(file.name, share, reject_share)


def counts_by_month(
    files: Sequence[RawFile], tallies: Iterable[Tally], repeats: Mapping[tuple[str, str | None], int], months: Iterable[str]
) -> dict[str, Counts]:
    """What became of the lines of these months.

    repeats: lines that repeat a line of an earlier sheet, by month and reject reason; None is the reason of a sale line
    """
    by_reason: dict[str, Counter[str | None]] = {month: Counter() for month in months}
    for tally in _data_lines(files, tallies):
        if (month := month_of_day(tally.date)) in by_reason:
            by_reason[month][tally.reason] += tally.line_count
    counts = {}
    for month, lines in by_reason.items():
        repeated = Counter({reason: count for (repeat_month, reason), count in repeats.items() if repeat_month == month})
        once = lines - repeated
        counts[month] = Counts(
            lines_in=lines.total(),
            sale_lines=once[None],
            duplicates=repeated.total(),
            refused={reason: once[reason] for reason in sorted(filter(None, once))},
        )
    return counts


def sale_days(tallies: Iterable[Tally], months: Iterable[str]) -> dict[str, tuple[date, date]]:
    """The first and the last day with a sale line, by month; a month without sales is missing."""
    days: dict[str, list[date]] = {}
    for tally in tallies:
        if tally.date is not None and tally.reason is None:
            days.setdefault(month_of_day(tally.date), []).append(tally.date)
    return {month: (min(days[month]), max(days[month])) for month in months if month in days}


def month_of_day(day: date | None) -> str:
    """The month of a day as `YYYY-MM`."""
    return UNDATED if day is None else f"{day:%Y-%m}"


def adjacent_months(month: str) -> set[str]:
    """The month itself, the one before and the one after, each as `YYYY-MM`."""
    first = date.fromisoformat(f"{month}-01")
    return {month, month_of_day(first - timedelta(days=1)), month_of_day(first + timedelta(days=31))}


def _data_lines(files: Iterable[RawFile], tallies: Iterable[Tally]) -> list[Tally]:
    """The tallies of these files, without the header that is each file's first line."""
    lines = []
    by_path: dict[str, list[Tally]] = defaultdict(list)
    for tally in tallies:
        by_path[tally.path].append(tally)
    for file in files:
        header = min(by_path[file.parts[0].path], key=lambda tally: (tally.block, tally.first_index), default=None)
        for tally in (tally for part in file.parts for tally in by_path[part.path]):
            lines.append(replace(tally, line_count=tally.line_count - 1) if tally is header else tally)
    return [tally for tally in lines if tally.line_count]
