"""Sheets: the stretches of the raw files within which the clock never goes back to an earlier day.

A file may be several exports in a row, and exports may overlap. Where one begins is where the clock jumps back.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

from spark.errors import UnreadableFile
from spark.raw_file import RawFile

# A file whose clock goes back more often is in no order of time, and is one sheet: there are no exports to tell apart.
JUMPS_AT_MOST = 50


@dataclass(frozen=True)
class Tally:
    """How many lines of one block have one date and one reason, and the first and last place of them."""

    path: str
    block: int
    date: date | None
    reason: str | None
    line_count: int
    first_index: int
    last_index: int


@dataclass(frozen=True)
class Stretch:
    """Lines that follow each other in one block and belong to one sheet; their numbers are their index plus an offset."""

    path: str
    block: int
    first_index: int
    last_index: int
    file: str
    line_offset: int
    sheet: int


# A block of a file: the file's path, and where in it the block begins.
Block = tuple[str, int]


def disordered(tallies: Iterable[Tally]) -> list[Block]:
    """The blocks whose days do not plainly follow each other: only their lines tell where the clock goes back."""
    return [block for block, days in days_by_block(tallies).items() if any(later.first < day.last for day, later in pairwise(days))]


def stretches(files: Sequence[RawFile], tallies: Sequence[Tally], jumps: Mapping[Block, Sequence[int]]) -> list[Stretch]:
    """The lines below the headers, in the order of files and lines.

    jumps: of the disordered blocks, the places of the lines at which the clock goes back to an earlier day, in order
    """
    found: list[Stretch] = []
    sheet = 0
    for file in files:
        blocks = blocks_of(file, tallies, jumps)
        ordered = sum(len(block.jumps) for block in blocks) <= JUMPS_AT_MOST
        for block in blocks:
            # The header is a file's first line, and no line of the data.
            start = block.first_index + (block.first_line == 1)
            for end in [*(block.jumps if ordered else ()), block.last_index + 1]:
                if start < end:
                    offset = block.first_line - block.first_index
                    found.append(Stretch(block.path, block.start, start, end - 1, file.name, offset, sheet))
                sheet += end <= block.last_index
                start = max(start, end)
        sheet += 1
    return found


def days_of_several_sheets(found: Sequence[Stretch], tallies: Iterable[Tally]) -> set[date]:
    """The days of which more than one sheet has lines."""
    stretches_of: dict[Block, list[Stretch]] = defaultdict(list)
    for stretch in found:
        stretches_of[stretch.path, stretch.block].append(stretch)
    sheets: dict[date, set[int]] = defaultdict(set)
    for tally in tallies:
        if tally.date is not None:
            for stretch in stretches_of[tally.path, tally.block]:
                if tally.first_index <= stretch.last_index and stretch.first_index <= tally.last_index:
                    sheets[tally.date].add(stretch.sheet)
    return {day for day, of_day in sheets.items() if len(of_day) > 1}


@dataclass(frozen=True)
class BlockLines:
    """The lines of one block: the number of the first in its file, their places, and those where the clock goes back."""

    path: str
    start: int
    first_line: int
    first_index: int
    last_index: int
    jumps: tuple[int, ...]


def blocks_of(file: RawFile, tallies: Iterable[Tally], jumps: Mapping[Block, Sequence[int]]) -> list[BlockLines]:
    """The blocks of a file that have lines, in order; refuses a file that has lost some."""
    paths = {part.path for part in file.parts}
    of_file = [tally for tally in tallies if tally.path in paths]
    days = days_by_block(of_file)
    places: dict[str, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
    for tally in of_file:
        places[tally.path][tally.block] += [tally.first_index, tally.last_index]
    found: list[BlockLines] = []
    line, day = 1, date.min
    for part in file.parts:
        if part.first_line != line:
            raise UnreadableFile(file.name, f"is not whole: {part.path} should begin with its line {line}")
        for start, indices in sorted(places[part.path].items()):
            block = part.path, start
            first, last = min(indices), max(indices)
            back = []
            if block in days:
                back = [first] if min(days[block], key=lambda d: d.first).date < day else []
                day = max(days[block], key=lambda d: d.last).date
            found.append(BlockLines(*block, line, first, last, (*back, *jumps.get(block, ()))))
            line += last - first + 1
    return found


@dataclass(frozen=True)
class Day:
    """The first and last place in a block of a line of one day."""

    date: date
    first: int
    last: int


def days_by_block(tallies: Iterable[Tally]) -> dict[Block, list[Day]]:
    """The days of each block that has any, the earliest first."""
    places: dict[Block, dict[date, list[int]]] = defaultdict(lambda: defaultdict(list))
    for tally in tallies:
        if tally.date is not None:
            places[tally.path, tally.block][tally.date] += [tally.first_index, tally.last_index]
    return {
        block: sorted((Day(day, min(indices), max(indices)) for day, indices in days.items()), key=lambda day: day.date)
        for block, days in places.items()
    }
