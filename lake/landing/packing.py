"""Files as they are handed over: plain, or packed by gzip, Zstandard or zip."""

import gzip
import io
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import pyarrow as pa

from lake.errors import UnreadableFile

GZIP_MAGIC, ZSTD_MAGIC, ZIP_MAGIC = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PK\x03\x04"
MAGIC_BYTES = 4
BUFFER_BYTES = 1024 * 1024
# What Macintosh computers add to the zip files that they write.
RESOURCE_FORKS = "__MACOSX/"
WORKBOOK = "xl/workbook.xml"

ReportProgress = Callable[[str, float], None]
"""Called with the current step and the share of it that is done, from 0 to 1."""


@dataclass(frozen=True)
class Member:
    """One unpacked file: the file itself, or a file in a zip archive."""

    path: Path
    name: str
    """The name in the archive; empty for the file itself."""

    @property
    def is_packed(self) -> bool:
        """Whether the content is not that of the file itself."""
        with self.path.open("rb") as file:
            return bool(self.name) or file.read(MAGIC_BYTES).startswith((GZIP_MAGIC, ZSTD_MAGIC))

    @contextmanager
    def open(self, step: str, report: ReportProgress) -> Iterator[IO[bytes]]:
        """The unpacked content as a stream. Raises `UnreadableFile` if it cannot be unpacked."""
        with ExitStack() as stack:
            raw = stack.enter_context(_open_reporting(self.path, step, report))
            try:
                yield self._unpack(raw, stack)
            except (EOFError, gzip.BadGzipFile, zlib.error, zipfile.BadZipFile, NotImplementedError) as error:
                raise UnreadableFile(self.path.name, "is cut off or damaged: it cannot be unpacked") from error
            except OSError as error:
                # Arrow reports a damaged stream without a number.
                if error.errno is None:
                    raise UnreadableFile(self.path.name, "is cut off or damaged: it cannot be unpacked") from error
                raise
            except RuntimeError as error:
                # How zipfile reports an archive with a password.
                if "password" in str(error):
                    raise UnreadableFile(self.path.name, "is protected by a password") from error
                raise
            report(step, 1.0)

    def _unpack(self, raw: "io.BufferedReader[io.FileIO]", stack: ExitStack) -> IO[bytes]:
        magic = raw.peek(MAGIC_BYTES)[:MAGIC_BYTES]
        if self.name:
            archive = stack.enter_context(zipfile.ZipFile(raw))
            return stack.enter_context(archive.open(self.name))
        if magic.startswith(GZIP_MAGIC):
            return cast(IO[bytes], gzip.GzipFile(fileobj=raw))
        if magic == ZSTD_MAGIC:
            stream = stack.enter_context(pa.CompressedInputStream(pa.PythonFile(raw, "r"), "zstd"))
            return io.BufferedReader(stream, BUFFER_BYTES)
        return raw


def members(path: Path) -> list[Member]:
    """The files in a zip archive, by name, or the file itself. Raises `UnreadableFile`."""
    with path.open("rb") as file:
        if file.read(MAGIC_BYTES) != ZIP_MAGIC:
            return [Member(path, "")]
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except zipfile.BadZipFile as error:
        raise UnreadableFile(path.name, "is cut off or damaged: it cannot be unpacked") from error
    if WORKBOOK in names:
        return [Member(path, "")]
    files = sorted(name for name in names if not name.endswith("/") and not name.startswith(RESOURCE_FORKS))
    if not files:
        raise UnreadableFile(path.name, "is a zip archive without files")
    return [Member(path, name) for name in files]


def _open_reporting(path: Path, step: str, report: ReportProgress) -> "io.BufferedReader[io.FileIO]":
    return io.BufferedReader(_ReportingFile(path, step, report), BUFFER_BYTES)


class _ReportingFile(io.FileIO):
    """A file that reports how much of it has been read."""

    def __init__(self, path: Path, step: str, report: ReportProgress) -> None:
        super().__init__(path)
        self._size = max(path.stat().st_size, 1)
        self._step = step
        self._report = report

    def readinto(self, buffer: Any) -> int:
        count = super().readinto(buffer) or 0
        self._report(self._step, min(self.tell() / self._size, 0.99))
        return count
