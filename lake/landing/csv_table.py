"""CSV files of any dialect."""

import csv
import io
from collections import deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import IO

from lake.errors import UnreadableFile
from lake.landing.mapping import FileFormat
from lake.landing.packing import Member, ReportProgress
from lake.landing.raw_table import RawTable, Row
from lake.landing.roles import plain_name
from lake.landing.sampling import Sample
from lake.raw_file import BYTE_ORDER_MARK, split_header

# A longer line is no sale, and is not read to its end: a file without line ends may be larger than the memory.
LINE_BYTES = 1024 * 1024
DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe"}
# How programs of DOS end a file: no line of the data.
END_OF_FILE = "\x1a"
# Excel's own first line, which names the delimiter.
SEPARATOR_LINE = "sep="
# The largest number of lines of one record: a field in quotes may have line ends.
RECORD_LINES = 100
UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")
BEGINNING_BYTES = 4096
ENCODING_NAMES = {"utf-8": "UTF-8", "utf-16": "UTF-16", "utf-16-le": "UTF-16", "utf-16-be": "UTF-16", "cp1252": "Windows-1252"}


def csv_table(member: Member, columns: Collection[str], form: FileFormat, report: ReportProgress) -> RawTable:
    """The table in a CSV file, after a look at all of its lines.

    columns: names that its header may have, as `plain_name` writes them

    Raises `UnreadableFile`.
    """
    file = member.path.name
    text = _scan(member, form.encoding, report)
    if not text.first_line:
        split_header(file, text.first_line)
    delimiter, skipped = form.delimiter or "", 0
    if text.first_line.lower().startswith(SEPARATOR_LINE) and len(text.first_line.rstrip("\r\n")) == len(SEPARATOR_LINE) + 1:
        delimiter, skipped = delimiter or text.first_line[len(SEPARATOR_LINE)], 1
    header = text.second_line if skipped else text.first_line
    delimiter = delimiter or _delimiter(header, columns)
    names = split_header(file, header, delimiter)
    sample = [row for line in text.sample.taken if (row := _parse(line, delimiter))]
    is_header = any(plain_name(name) in columns for name in names)
    if is_header and text.line_count == skipped + 1:
        raise UnreadableFile(file, "is empty below its header")
    if is_header and not any(len(row) == len(names) for row in sample) and not _has_whole_line(member, text, delimiter, len(names), report):
        raise UnreadableFile(file, f"has no line with as many fields as its header, which has {len(names)}")
    read_lines = partial(_lines_below, member, text, skipped + 1, report)
    is_canonical = delimiter == "," and text.encoding == "utf-8" and not skipped
    return RawTable(
        name=member.name,
        columns=names,
        traits=(DELIMITERS.get(delimiter, f"delimiter {delimiter}"), ENCODING_NAMES.get(text.encoding, text.encoding)),
        sample=[row for row in sample if len(row) == len(names)],
        rows=lambda: _records(read_lines(), delimiter, len(names)),
        lines=(lambda: _unchanged_lines(text.first_line, read_lines(), len(names))) if is_canonical else None,
    )


@dataclass
class _Text:
    """What a look at all lines of a text shows."""

    encoding: str
    first_line: str = ""
    second_line: str = ""
    line_count: int = 0
    sample: Sample[str] = field(default_factory=Sample)


def _scan(member: Member, encoding: str | None, report: ReportProgress) -> _Text:
    """Reads a text once. Raises `UnreadableFile` for a line that is not in the encoding, or too long to be one of a CSV file."""
    with member.open("checking", report) as stream:
        beginning = stream.read(BEGINNING_BYTES)
    encoding = encoding or _wide_encoding(beginning)
    if encoding is None:
        encoding = _narrow_encoding(member, report)
    text = _Text(encoding)
    for line in _text_lines(member, encoding, "checking", report):
        text.line_count += 1
        if text.line_count == 1:
            text.first_line = line.lstrip(BYTE_ORDER_MARK)
        elif text.line_count == 2:
            text.second_line = line
        if text.line_count > 1:
            text.sample.offer(line)
    return text


def _wide_encoding(beginning: bytes) -> str | None:
    """UTF-16, if a text begins with its mark, or has a zero in every other byte."""
    if beginning.startswith(UTF_16_MARKS):
        return "utf-16"
    half = len(beginning) // 2
    for offset, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        if half and beginning[offset::2].count(0) > 0.9 * half and beginning[1 - offset :: 2].count(0) < 0.1 * half:
            return encoding
    return None


def _narrow_encoding(member: Member, report: ReportProgress) -> str:
    """UTF-8 or Windows-1252. Raises `UnreadableFile` for a text in UTF-8 that has lines in another encoding."""
    has_letters = False
    with member.open("checking", report) as stream:
        for number, line in enumerate(_byte_lines(member, stream), start=1):
            if line.isascii():
                continue
            try:
                line.decode()
                has_letters = True
            except UnicodeDecodeError as error:
                if has_letters or _is_binary(line):
                    raise UnreadableFile(member.path.name, f"is not in UTF-8: line {number} cannot be read") from error
                return "cp1252"
    return "utf-8"


def _is_binary(line: bytes) -> bool:
    return 0 in line


def _byte_lines(member: Member, stream: IO[bytes]) -> Iterator[bytes]:
    """The lines of a stream. Raises `UnreadableFile` for a line that is too long to be one of a CSV file."""
    for number, line in enumerate(iter(partial(stream.readline, LINE_BYTES), b""), start=1):
        if len(line) == LINE_BYTES and not line.endswith(b"\n"):
            raise _overlong_line(member.path.name, number, line.decode(errors="replace"))
        yield line


def _text_lines(member: Member, encoding: str, step: str, report: ReportProgress) -> Iterator[str]:
    """The lines of a text with their ends."""
    number = 0
    with member.open(step, report) as stream:
        try:
            if encoding == "utf-8":
                for number, line in enumerate(_byte_lines(member, stream), start=1):
                    yield line.decode()
                return
            text = io.TextIOWrapper(stream, encoding, newline="\n")
            for number, characters in enumerate(iter(partial(text.readline, LINE_BYTES), ""), start=1):
                if len(characters) == LINE_BYTES and not characters.endswith("\n"):
                    raise _overlong_line(member.path.name, number, characters)
                yield characters
        except UnicodeError as error:
            name = ENCODING_NAMES.get(encoding, encoding)
            raise UnreadableFile(member.path.name, f"is not in {name}: line {number + 1} cannot be read") from error


def _overlong_line(name: str, number: int, beginning: str) -> UnreadableFile:
    if number == 1:
        # Says whether the line ends are those of old Macintosh programs.
        split_header(name, beginning)
    return UnreadableFile(name, f"is no CSV file of sales: its line {number} is longer than {LINE_BYTES:,} bytes")


def _lines_below(member: Member, text: _Text, skipped: int, report: ReportProgress) -> Iterator[str]:
    for number, line in enumerate(_text_lines(member, text.encoding, "landing", report)):
        if number >= skipped and line.rstrip("\r\n") != END_OF_FILE:
            yield line


def _delimiter(header: str, columns: Collection[str]) -> str:
    """The delimiter that gives a header the most names that are known, or else the most columns."""

    def fit(delimiter: str) -> tuple[int, int]:
        names = _parse(header, delimiter)
        return sum(plain_name(name) in columns for name in names), len(names)

    return max(DELIMITERS, key=fit)


def _parse(line: str, delimiter: str) -> list[str]:
    """The fields of a line; the line as one field if it is no line of a CSV file."""
    text = line.rstrip("\r\n")
    try:
        return next(csv.reader([text], delimiter=delimiter), [])
    except csv.Error:
        return [text]


def _has_whole_line(member: Member, text: _Text, delimiter: str, width: int, report: ReportProgress) -> bool:
    """Whether any line has as many fields as the header."""
    return any(len(_parse(line, delimiter)) == width for line in _lines_below(member, text, 1, report))


def _records(lines: Iterator[str], delimiter: str, width: int) -> Iterator[Row]:
    """The fields of each record."""
    for record in _join_records(lines, delimiter, width):
        yield _parse(record, delimiter)


def _unchanged_lines(header: str, lines: Iterator[str], width: int) -> Iterator[bytes]:
    """All lines, unchanged but for records of several lines, whose line ends become spaces."""
    yield header.encode()
    for record in _join_records(lines, ",", width):
        yield record.encode()


def _join_records(lines: Iterator[str], delimiter: str, width: int) -> Iterator[str]:
    """The records of a CSV text, each as one line.

    A quote that is never closed is a fault of its own line, and takes no other lines with it: lines are joined only if they make a record
    of as many fields as the header has.
    """
    waiting: deque[str] = deque()
    while (line := waiting.popleft() if waiting else next(lines, None)) is not None:
        if line.count('"') % 2 and len(_parse(line, delimiter)) != width:
            further = _lines_to_quote(waiting, lines)
            record = " ".join([line.rstrip("\r\n"), *(part.rstrip("\r\n") for part in further)]) + "\n"
            if len(_parse(record, delimiter)) == width:
                line = record
            else:
                waiting.extendleft(reversed(further))
        yield line


def _lines_to_quote(waiting: deque[str], lines: Iterator[str]) -> list[str]:
    """Takes the next lines, up to the one that may close a field in quotes."""
    taken: list[str] = []
    while len(taken) < RECORD_LINES and (line := waiting.popleft() if waiting else next(lines, None)) is not None:
        taken.append(line)
        if line.count('"') % 2:
            break
    return taken
