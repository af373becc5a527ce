"""Lands a file of sales in the raw zone: complete, checked, and equal content only once.

    python -m spark.land FILE [--raw-root webhdfs://127.0.0.1:9870/hashiramart/raw]

The lines are stored unchanged, unpacked and divided into parts that a cluster can read in parallel.
"""

import csv
import gzip
import hashlib
import json
import sys
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path

import fsspec
from fsspec import AbstractFileSystem
from pydantic import Field
from pydantic_settings import BaseSettings, CliPositionalArg

from spark.errors import UnreadableFile
from spark.raw_file import ORIGINAL, SALES, parse_header

PART_BYTES = 32 * 1024 * 1024
GZIP_MAGIC = b"\x1f\x8b"
PROGRESS_LINES = 10_000
# A longer line is no sale, and is not read to its end: a file without line ends may be larger than the memory.
LINE_BYTES = 1024 * 1024

ReportProgress = Callable[[str, float], None]
"""Called with the current step and the share of it that is done, from 0 to 1."""


class Landing(BaseSettings, env_prefix="LANDING_", cli_kebab_case=True, frozen=True):
    """Lands a file of sales in the raw zone."""

    file: CliPositionalArg[Path] = Field(description="A CSV file of sales, plain or compressed by gzip.")
    raw_root: str = Field("webhdfs://127.0.0.1:9870/hashiramart/raw", description="The raw zone, as an fsspec URL.")


def main(arguments: list[str]) -> int:
    """Lands a file and prints the outcome; returns the exit code."""
    landing = Landing(_cli_parse_args=arguments)
    report = _show_progress if sys.stderr.isatty() else lambda *_: None
    try:
        print(land(landing.file, landing.raw_root, datetime.now(UTC).date(), report))
    except UnreadableFile as error:
        print(error.message, file=sys.stderr)
        return 1
    # fsspec raises RuntimeError for errors of WebHDFS.
    except (OSError, RuntimeError) as error:
        print(f"{landing.file} could not be landed: {error}. The raw zone is unchanged; the same command tries again.", file=sys.stderr)
        return 1
    return 0


def land(file: Path, raw_root: str, today: date, report: ReportProgress) -> str:
    """Puts a file into the raw zone, and returns a sentence that says where it is.

    The file is written to a hidden folder and read back before one rename puts it in place, so the raw zone never holds a partial file.

    Raises `UnreadableFile` if the ETL could not read the file, and `OSError` or `RuntimeError` if the raw zone cannot be written.
    """
    header, sha256 = check_file(file, report)
    files, root = fsspec.core.url_to_fs(raw_root)
    zone = f"{root.rstrip('/')}/{SALES}"
    if landed := files.glob(f"{zone}/ingest_date=*/{sha256[:16]}/{ORIGINAL}"):
        return f"{file.name} was landed before: its content is in {landed[0].rpartition('/')[0]}."
    hidden = f"{zone}/.landing/{sha256}"
    parts = _write_parts(files, hidden, file, report)
    if _stored_hash(files, [f"{hidden}/{part['name']}" for part in parts], report) != sha256:
        raise OSError("what was read back is not what was written")
    original = {"name": file.name, "sha256": sha256, "header": header, "parts": parts}
    files.pipe_file(f"{hidden}/{ORIGINAL}", json.dumps(original, indent=1).encode())
    place = f"{zone}/ingest_date={today}/{sha256[:16]}"
    _rename(files, hidden, place)
    return f"{file.name} is in {place}, in {len(parts)} part{'s' if len(parts) > 1 else ''}."


def check_file(file: Path, report: ReportProgress) -> tuple[str, str]:
    """The header of a file, and the SHA-256 of its unpacked content. Raises `UnreadableFile` if the ETL could not read the file."""
    digest = hashlib.sha256()
    first, number = "", 0
    columns: tuple[str, ...] = ()
    has_whole_line = False
    for number, line in enumerate(_read_lines(file, "checking", report), start=1):
        try:
            text = line.decode()
        except UnicodeDecodeError as error:
            raise UnreadableFile(file.name, f"is not in UTF-8: line {number} cannot be read") from error
        if number == 1:
            first = text.rstrip("\r\n")
            columns = parse_header(file.name, first)
        else:
            has_whole_line = has_whole_line or _count_fields(text) == len(columns)
        digest.update(line)
    if number == 0:
        parse_header(file.name, first)
    if number == 1:
        raise UnreadableFile(file.name, "is empty below its header")
    if not has_whole_line:
        raise UnreadableFile(file.name, f"has no line with as many fields as its header, which has {len(columns)}")
    return first, digest.hexdigest()


def _count_fields(line: str) -> int:
    """The number of fields of a line; 0 if it is no line of a CSV file."""
    try:
        return len(next(csv.reader([line.rstrip("\r\n")]), []))
    except csv.Error:
        return 0


def _write_parts(files: AbstractFileSystem, folder: str, file: Path, report: ReportProgress) -> list[dict[str, object]]:
    """Writes a file in parts; returns the name and the first line of each. Replaces what an interrupted landing has left."""
    if files.exists(folder):
        files.rm(folder, recursive=True)
    files.makedirs(folder)
    parts: list[dict[str, object]] = []
    for first_line, content in _split(file, report):
        name = f"part-{first_line:012d}.csv"
        files.pipe_file(f"{folder}/{name}", content)
        parts.append({"name": name, "first_line": first_line})
    return parts


def _rename(files: AbstractFileSystem, hidden: str, place: str) -> None:
    files.makedirs(place.rpartition("/")[0], exist_ok=True)
    files.mv(hidden, place, recursive=True)
    # WebHDFS reports no error for a rename that HDFS did not do.
    if not files.exists(f"{place}/{ORIGINAL}"):
        raise OSError(f"it could not be moved to {place}")


def _split(file: Path, report: ReportProgress) -> Iterator[tuple[int, bytes]]:
    """The file in parts of whole lines, each with the number of its first line."""
    part: list[bytes] = []
    first_line, size = 1, 0
    for number, line in enumerate(_read_lines(file, "landing", report), start=1):
        if part and size + len(line) > PART_BYTES:
            yield first_line, b"".join(part)
            first_line, part, size = number, [], 0
        part.append(line)
        size += len(line)
    yield first_line, b"".join(part)


def _read_lines(file: Path, step: str, report: ReportProgress) -> Iterator[bytes]:
    """The lines of a file, unpacked. Raises `UnreadableFile` for a line that is too long to be one of a CSV file."""
    size = max(file.stat().st_size, 1)
    with file.open("rb") as raw:
        packed = raw.read(len(GZIP_MAGIC)) == GZIP_MAGIC
        raw.seek(0)
        stream = gzip.GzipFile(fileobj=raw) if packed else raw
        try:
            for number, line in enumerate(iter(partial(stream.readline, LINE_BYTES), b"")):
                if len(line) == LINE_BYTES and not line.endswith(b"\n"):
                    raise _overlong_line(file.name, number + 1, line)
                if number % PROGRESS_LINES == 0:
                    report(step, raw.tell() / size)
                yield line
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise UnreadableFile(file.name, "is cut off or damaged: it cannot be unpacked") from error
    report(step, 1.0)


def _overlong_line(name: str, number: int, beginning: bytes) -> UnreadableFile:
    if number == 1:
        # Says whether the line ends are those of old Macintosh programs.
        parse_header(name, beginning.decode(errors="replace"))
    return UnreadableFile(name, f"is no CSV file of sales: its line {number} is longer than {LINE_BYTES:,} bytes")


def _stored_hash(files: AbstractFileSystem, paths: list[str], report: ReportProgress) -> str:
    """The SHA-256 of the content of stored files, one after the other."""
    digest = hashlib.sha256()
    for done, path in enumerate(paths, start=1):
        digest.update(files.cat_file(path))
        report("reading back", done / len(paths))
    return digest.hexdigest()


def _show_progress(step: str, share: float) -> None:
    """Shows progress in one line of the terminal."""
    print(f"\r{step:>14} {share:4.0%} ", end="\n" if share == 1 else "", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
