"""Puts files of sales into the raw zone: complete, checked, and equal content only once."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from fsspec import AbstractFileSystem

from lake.errors import UnreadableFile
from lake.hadoop import webhdfs
from lake.hadoop.kerberos import KerberosLogin
from lake.landing.canonical import CanonicalFile, examine
from lake.landing.mapping import Mapping
from lake.landing.packing import ReportProgress
from lake.raw_file import ORIGINAL, SALES

PART_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True)
class _Parts:
    """What was written of a file."""

    header: str
    names: list[str]
    sha256: str
    line_count: int


def land(
    file: Path, raw_root: str, today: date, report: ReportProgress, mapping: Mapping | None = None, login: KerberosLogin | None = None
) -> str:
    """Puts a file into the raw zone, and returns a sentence that says where it is and how it was read.

    The lines are written in parts, which a cluster can read in parallel, to a hidden folder and read back before one rename puts them in
    place, so the raw zone never holds a partial file. Equal content is landed once; with other rules, it is judged by these from then on.

    login: signs in to a secured HDFS

    Raises `UnreadableFile` if it is no file of sales, `KerberosError` if nobody can be signed in, and `OSError` or `RuntimeError` if the
    raw zone cannot be written.
    """
    source = examine(file, mapping, report)
    files, root = webhdfs.connect(raw_root, login)
    zone = f"{root}/{SALES}"
    hidden = f"{zone}/.landing/{_token(file)}"
    if files.exists(hidden):
        # What an interrupted landing has left.
        files.rm(hidden, recursive=True)
    try:
        parts = _write_parts(files, hidden, source.lines())
        if landed := files.glob(f"{zone}/ingest_date=*/{parts.sha256[:16]}/{ORIGINAL}"):
            files.rm(hidden, recursive=True)
            return _land_again(files, landed[0], source)
    except UnreadableFile:
        files.rm(hidden, recursive=True)
        raise
    if _stored_hash(files, [f"{hidden}/{name}" for name in parts.names], report) != parts.sha256:
        raise OSError("what was read back is not what was written")
    files.pipe_file(f"{hidden}/{ORIGINAL}", json.dumps(_account(source, parts), indent=1).encode())
    place = f"{zone}/ingest_date={today}/{parts.sha256[:16]}"
    _rename(files, hidden, place)
    count = len(parts.names)
    return f"{file.name} is in {place}, in {count} part{'s' if count > 1 else ''}. It was read as {source.description}."


def content_sha256(file: Path, mapping: Mapping | None, report: ReportProgress) -> str:
    """The hash by which the raw zone knows a file. Raises `UnreadableFile` if it is no file of sales."""
    digest = hashlib.sha256()
    for line in examine(file, mapping, report).lines():
        digest.update(line)
    return digest.hexdigest()


def _token(file: Path) -> str:
    """The name of a file's hidden folder: equal for the same file, so that what an interrupted landing has left is replaced."""
    status = file.stat()
    return hashlib.sha256(f"{file.resolve()} {status.st_size} {status.st_mtime_ns}".encode(errors="surrogateescape")).hexdigest()


def _account(source: CanonicalFile, parts: _Parts) -> dict[str, Any]:
    return {
        "name": source.name,
        "sha256": parts.sha256,
        "header": parts.header,
        "rules": source.rules.model_dump(mode="json"),
        "description": source.description,
        "part_count": len(parts.names),
        "line_count": parts.line_count,
    }


def _land_again(files: AbstractFileSystem, original: str, source: CanonicalFile) -> str:
    """Has a file that was landed before judged by the rules of today's mapping, if they are others."""
    account, place = json.loads(files.cat_file(original)), original.rpartition("/")[0]
    rules = source.rules.model_dump(mode="json")
    if account.get("rules", rules) == rules:
        return f"{source.name} was landed before: its content is in {place}."
    files.pipe_file(original, json.dumps({**account, "rules": rules}, indent=1).encode())
    return f"{source.name} was landed before: its content is in {place}, and the next ETL judges it by the rules of the new mapping."


def _write_parts(files: AbstractFileSystem, folder: str, lines: Iterator[bytes]) -> _Parts:
    """Writes lines in parts of whole lines, each named by the number of its first line."""
    files.makedirs(folder, exist_ok=True)
    digest, names = hashlib.sha256(), []
    part: list[bytes] = []
    number, first_line, size = 0, 1, 0

    def write() -> None:
        names.append(f"part-{first_line:012d}.csv")
        files.pipe_file(f"{folder}/{names[-1]}", b"".join(part))

    header = ""
    for number, line in enumerate(lines, start=1):
        header = header or line.decode().rstrip("\r\n")
        if part and size + len(line) > PART_BYTES:
            write()
            first_line, part, size = number, [], 0
        part.append(line)
        size += len(line)
        digest.update(line)
    write()
    return _Parts(header, names, digest.hexdigest(), number)


def _rename(files: AbstractFileSystem, hidden: str, place: str) -> None:
    files.makedirs(place.rpartition("/")[0], exist_ok=True)
    files.mv(hidden, place, recursive=True)
    # WebHDFS reports no error for a rename that HDFS did not do.
    if not files.exists(f"{place}/{ORIGINAL}"):
        raise OSError(f"it could not be moved to {place}")


def _stored_hash(files: AbstractFileSystem, paths: list[str], report: ReportProgress) -> str:
    """The SHA-256 of the content of stored files, one after the other."""
    digest = hashlib.sha256()
    for done, path in enumerate(paths, start=1):
        digest.update(files.cat_file(path))
        report("reading back", done / len(paths))
    return digest.hexdigest()
