"""Lands a file of sales in the raw zone: whole, checked, and only once.

    python -m spark.land FILE [--raw-root webhdfs://127.0.0.1:9870/hashiramart/raw]

The lines stay as they came; they are only unpacked, and cut into parts that a cluster can read side by side.
"""

import gzip
import hashlib
import json
import sys
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import fsspec
from fsspec import AbstractFileSystem
from pydantic import Field
from pydantic_settings import BaseSettings, CliPositionalArg

from spark.errors import UnreadableFile
from spark.raw_file import ORIGINAL, SALES, header

PART_BYTES = 32 * 1024 * 1024
GZIP_MAGIC = b"\x1f\x8b"

# Told what is being done, and which share of it is done.
Progress = Callable[[str, float], None]


class Landing(BaseSettings, env_prefix="LANDING_", cli_kebab_case=True, frozen=True):
    """What is landed, and where."""

    file: CliPositionalArg[Path] = Field(description="A CSV file of sales, as it is or packed by gzip.")
    raw_root: str = Field("webhdfs://127.0.0.1:9870/hashiramart/raw", description="The raw zone, as fsspec names it.")


def main(arguments: list[str]) -> int:
    """Lands a file and says what came of it; answers the exit code."""
    landing = Landing(_cli_parse_args=arguments)
    try:
        print(land(landing.file, landing.raw_root, datetime.now(UTC).date(), show if sys.stderr.isatty() else lambda *_: None))
    except UnreadableFile as refused:
        print(refused.message, file=sys.stderr)
        return 1
    # fsspec gives what WebHDFS refuses as RuntimeError.
    except (OSError, RuntimeError) as error:
        print(f"{landing.file} could not be landed, and nothing of it counts: {error}. Mend that and run the same again.", file=sys.stderr)
        return 1
    return 0


def land(file: Path, raw_root: str, today: date, progress: Progress) -> str:
    """Puts a file into the raw zone, and answers with a sentence that says where it is.

    It is written aside and read back before it gets its place by one renaming: what is in the zone is whole, however this ends.
    """
    columns, sha256 = checked(file, progress)
    files, root = fsspec.core.url_to_fs(raw_root)
    zone = f"{root.rstrip('/')}/{SALES}"
    if landed := files.glob(f"{zone}/ingest_date=*/{sha256[:16]}/{ORIGINAL}"):
        return f"{file.name} was landed before: its content is in {landed[0].rpartition('/')[0]}."
    # What an interrupted landing of the same content has left is written over.
    aside = f"{zone}/.landing/{sha256}"
    if files.exists(aside):
        files.rm(aside, recursive=True)
    files.makedirs(aside)
    parts = []
    for first_line, part in cut(file, progress):
        name = f"part-{first_line:012d}.csv"
        files.pipe_file(f"{aside}/{name}", part)
        parts.append({"name": name, "first_line": first_line})
    if stored_hash(files, [f"{aside}/{part['name']}" for part in parts], progress) != sha256:
        raise OSError("what was read back is not what was written")
    original = {"name": file.name, "sha256": sha256, "header": columns, "parts": parts}
    files.pipe_file(f"{aside}/{ORIGINAL}", json.dumps(original, indent=1).encode())
    place = f"{zone}/ingest_date={today}/{sha256[:16]}"
    files.makedirs(place.rpartition("/")[0], exist_ok=True)
    files.mv(aside, place, recursive=True)
    # HDFS answers a renaming that it did not do as it answers one that it did.
    if not files.exists(f"{place}/{ORIGINAL}"):
        raise OSError(f"{place} could not be given to it")
    return f"{file.name} is in {place}, in {len(parts)} part{'s' if len(parts) > 1 else ''}."


def checked(file: Path, progress: Progress) -> tuple[str, str]:
    """The header of a file and the SHA-256 of its content, unpacked; refuses a file that the ETL would refuse."""
    digest = hashlib.sha256()
    first, number = "", 0
    for number, line in enumerate(lines(file, "checking", progress), start=1):
        try:
            text = line.decode()
        except UnicodeDecodeError as error:
            raise UnreadableFile(file.name, f"is not in UTF-8: line {number} cannot be read") from error
        if number == 1:
            first = text.rstrip("\r\n")
            header(file.name, first)
        digest.update(line)
    if number == 0:
        header(file.name, first)
    if number == 1:
        raise UnreadableFile(file.name, "is empty below its header")
    return first, digest.hexdigest()


def cut(file: Path, progress: Progress) -> Iterator[tuple[int, bytes]]:
    """The file in parts of whole lines, each with the number of its first line."""
    held: list[bytes] = []
    first_line, size = 1, 0
    for number, line in enumerate(lines(file, "landing", progress), start=1):
        if held and size + len(line) > PART_BYTES:
            yield first_line, b"".join(held)
            first_line, held, size = number, [], 0
        held.append(line)
        size += len(line)
    yield first_line, b"".join(held)


def lines(file: Path, doing: str, progress: Progress) -> Iterator[bytes]:
    """The lines of a file, unpacked."""
    size = max(file.stat().st_size, 1)
    with file.open("rb") as raw:
        packed = raw.read(len(GZIP_MAGIC)) == GZIP_MAGIC
        raw.seek(0)
        stream = gzip.GzipFile(fileobj=raw) if packed else raw
        try:
            for number, line in enumerate(stream):
                if number % 10_000 == 0:
                    progress(doing, raw.tell() / size)
                yield line
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise UnreadableFile(file.name, "is cut off or damaged: it cannot be unpacked") from error
    progress(doing, 1.0)


def stored_hash(files: AbstractFileSystem, paths: list[str], progress: Progress) -> str:
    """The SHA-256 of what is stored in these files, one after the other."""
    digest = hashlib.sha256()
    for done, path in enumerate(paths, start=1):
        digest.update(files.cat_file(path))
        progress("reading back", done / len(paths))
    return digest.hexdigest()


def show(doing: str, share: float) -> None:
    """Shows progress in one line of the terminal."""
    print(f"\r{doing:>14} {share:4.0%} ", end="\n" if share == 1 else "", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
