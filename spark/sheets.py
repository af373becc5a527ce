"""Sheets: the parts of the raw files within which the clock never goes back to an earlier day.

A file may hold several exports in a row, and exports may overlap. A new sheet begins where the clock jumps back.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

from lake.errors import UnreadableFile
from lake.raw_file import RawFile

# A file with more jumps is not sorted by time at all. It is one sheet, since nothing shows where an export begins.
MAX_JUMPS = 50

Block = tuple[str, int]
"""A block of a file: the file's path, and the offset at which the block begins."""


@dataclass(frozen=True)
class Tally:
    """The lines of one block with the same date and reject reason: how many, and the places of the first and the last."""

    path: str
    block: int
    date: date | None
    reason: str | None
    line_count: int
    first_index: int
    last_index: int


@dataclass(frozen=True)
class Stretch:
    """Consecutive lines of one block that belong to one sheet."""

    path: str
    block: int
    first_index: int
    last_index: int
    file: str
    line_offset: int
    """The line number of a line minus its index."""
    sheet: int


@dataclass(frozen=True)
class _Day:
    """The places of the first and the last line of a day in a block."""

    date: date
    first: int
    last: int


@dataclass(frozen=True)
class _BlockLines:
    """The lines of a block: the line number of the first, the places of the first and the last, and of those where the clock goes back."""

    path: str
    start: int
    first_line: int
    first_index: int
    last_index: int
    jumps: tuple[int, ...]


def unsorted_blocks(tallies: Iterable[Tally]) -> list[Block]:
    """The blocks whose days overlap: only their lines show where the clock goes back."""
    return [block for block, days in _days_by_block(tallies).items() if any(later.first < day.last for day, later in pairwise(days))]


def find_stretches(files: Sequence[RawFile], tallies: Sequence[Tally], jumps: Mapping[Block, Sequence[int]]) -> list[Stretch]:
    """The stretches of all lines below the headers, in the order of files and lines.

    jumps: the places of the lines at which the clock goes back to an earlier day, in order, for each of the unsorted blocks

    Raises `UnreadableFile` for a file that lacks lines.
    """
    stretches: list[Stretch] = []
    sheet = 0
    for file in files:
        blocks = _blocks(file, tallies, jumps)
        is_sorted = sum(len(block.jumps) for block in blocks) <= MAX_JUMPS
        for block in blocks:
            # The header is a file's first line, and no line of the data.
            start = block.first_index + (block.first_line == 1)
            for end in [*(block.jumps if is_sorted else ()), block.last_index + 1]:
                if start < end:
                    offset = block.first_line - block.first_index
                    stretches.append(Stretch(block.path, block.start, start, end - 1, file.name, offset, sheet))
                sheet += end <= block.last_index
                start = max(start, end)
        sheet += 1
    return stretches


def overlapping_days(stretches: Sequence[Stretch], tallies: Iterable[Tally]) -> set[date]:
    """The days of which more than one sheet has lines."""
    stretches_by_block: dict[Block, list[Stretch]] = defaultdict(list)
    for stretch in stretches:
        stretches_by_block[stretch.path, stretch.block].append(stretch)
    sheets_by_day: dict[date, set[int]] = defaultdict(set)
    for tally in tallies:
        if tally.date is not None:
            for stretch in stretches_by_block[tally.path, tally.block]:
                if tally.first_index <= stretch.last_index and stretch.first_index <= tally.last_index:
                    sheets_by_day[tally.date].add(stretch.sheet)
    return {day for day, sheets in sheets_by_day.items() if len(sheets) > 1}


def _blocks(file: RawFile, tallies: Iterable[Tally], jumps: Mapping[Block, Sequence[int]]) -> list[_BlockLines]:
    """The blocks of a file that have lines, in order. Raises `UnreadableFile` if lines are missing between its parts."""
    paths = {part.path for part in file.parts}
    file_tallies = [tally for tally in tallies if tally.path in paths]
    days = _days_by_block(file_tallies)
    places: dict[str, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
    for tally in file_tallies:
        places[tally.path][tally.block] += [tally.first_index, tally.last_index]
    blocks: list[_BlockLines] = []
    line, day = 1, date.min
    for part in file.parts:
        if part.first_line != line:
            raise UnreadableFile(file.name, f"is not whole: {part.path} should begin with its line {line}")
        for start, indices in sorted(places[part.path].items()):
            block = part.path, start
            first, last = min(indices), max(indices)
            jumps_at_start = []
            if block in days:
                jumps_at_start = [first] if min(days[block], key=lambda d: d.first).date < day else []
                day = max(days[block], key=lambda d: d.last).date
            blocks.append(_BlockLines(*block, line, first, last, (*jumps_at_start, *jumps.get(block, ()))))
            line += last - first + 1
    return blocks


def _days_by_block(tallies: Iterable[Tally]) -> dict[Block, list[_Day]]:
    """The days of each block that has any, in order."""
    places: dict[Block, dict[date, list[int]]] = defaultdict(lambda: defaultdict(list))
    for tally in tallies:
        if tally.date is not None:
            places[tally.path, tally.block][tally.date] += [tally.first_index, tally.last_index]
    return {
        block: sorted((_Day(day, min(indices), max(indices)) for day, indices in days.items()), key=lambda day: day.date)
        for block, days in places.items()
    }
