"""The raw zone: the files of sales and of recorded events that it holds."""

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, date, datetime
from urllib.parse import unquote

from py4j.java_gateway import JavaObject
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from lake.errors import UnreadableFile
from lake.line_rules import ONLINE_RETAIL, LineRules
from lake.raw_file import EVENTS, EXPOSURES, OPTIONAL_COLUMNS, ORIGINAL, SALES, Part, RawFile, parse_header
from spark.content_hash import PATH, content_hash, file_sums

# Enough for any header or `_ORIGINAL.json`, and a bound on what is read of a foreign file that has no line ends.
TEXT_BYTES = 1024 * 1024
PART_NAME = re.compile(r"part-(\d+)\.csv")
# What Hadoop reads as a pattern in a path.
PATTERN_CHARACTERS = "\\[]{}*?"
INGEST_DATE = re.compile(r"/ingest_date=(\d{4}-\d\d-\d\d)/")


def sales_files(spark: SparkSession, root: str) -> list[RawFile]:
    """The files of sales below the root, in the order in which they were landed; equal content counts once.

    Files that were not landed are read by a Spark job, which finds their hashes.
    """
    found = list(RawZone(spark, f"{root}/{SALES}").sales_files())
    hashes = _content_hashes(spark, [file for file in found if not file.sha256])
    files: dict[str, RawFile] = {}
    for file in found:
        whole = file if file.sha256 else replace(file, sha256=hashes[file.parts[0].path])
        files.setdefault(whole.sha256, whole)
    return list(files.values())


@contextmanager
def unpacking_errors(files: Sequence[RawFile]) -> Iterator[None]:
    """Translates Spark's error for a damaged file into `UnreadableFile`."""
    try:
        yield
    except (Py4JJavaError, PySparkException) as error:
        packed = (file for file in files if file.parts[0].path.endswith(".gz"))
        if damaged := [file.name for file in packed if "FAILED_READ_FILE" in str(error) and file.parts[0].path in str(error)]:
            raise UnreadableFile(damaged[0], "is cut off or damaged: it cannot be unpacked") from error
        raise


def escape_path(address: str) -> str:
    """An address as a path in which Hadoop takes no character for a pattern."""
    return "".join(f"\\{letter}" if letter in PATTERN_CHARACTERS else letter for letter in unquote(address))


def _content_hashes(spark: SparkSession, files: Sequence[RawFile]) -> dict[str, str]:
    """The hash of each file's lines, by address."""
    if not files:
        return {}
    lines = spark.read.text([escape_path(file.parts[0].path) for file in files], lineSep="\n")
    with unpacking_errors(files):
        return {row[PATH]: content_hash(row) for row in file_sums(lines, F.input_file_name()).collect()}


def event_files(spark: SparkSession, root: str) -> dict[str, str]:
    """The files of recorded events below the root: the state of each by its address."""
    return dict(RawZone(spark, f"{root}/{EVENTS}").file_states())


def exposure_files(spark: SparkSession, root: str) -> dict[str, str]:
    """The files of exposures below the root: the state of each by its address."""
    return dict(RawZone(spark, f"{root}/{EXPOSURES}").file_states())


class RawZone:
    """A folder of the raw zone, on any file system that Hadoop can read."""

    def __init__(self, spark: SparkSession, root: str) -> None:
        context = spark.sparkContext
        # PySpark has no public way to Hadoop's FileSystem API.
        assert context._jvm is not None, "Spark's context in this process has its JVM"  # noqa: S101
        self._jvm = context._jvm
        self._hadoop = context._jsc.hadoopConfiguration()
        self._root = self._jvm.org.apache.hadoop.fs.Path(root)
        self._file_system = self._root.getFileSystem(self._hadoop)

    def sales_files(self) -> Iterator[RawFile]:
        """The files of sales. A folder with `_ORIGINAL.json` is one landed file; any other file is taken as it is, without a hash."""
        return self._sales_files(self._root)

    def file_states(self) -> Iterator[tuple[str, str]]:
        """The address of each file, and its state: its length and the time of its last change."""
        for status in self._files_below(self._root):
            yield _address(status.getPath()), f"{status.getLen()} {status.getModificationTime()}"

    def _sales_files(self, folder: JavaObject) -> Iterator[RawFile]:
        original = self._jvm.org.apache.hadoop.fs.Path(folder, ORIGINAL)
        if self._file_system.exists(original):
            yield self._read_landed_file(folder, original)
            return
        for status in self._children(folder):
            if status.isDirectory():
                yield from self._sales_files(status.getPath())
            else:
                yield self._read_foreign_file(status)

    def _files_below(self, folder: JavaObject) -> Iterator[JavaObject]:
        for status in self._children(folder):
            if status.isDirectory():
                yield from self._files_below(status.getPath())
            else:
                yield status

    def _children(self, folder: JavaObject) -> list[JavaObject]:
        """The files and folders in a folder, by name; hidden ones are unfinished writes."""
        if not self._file_system.exists(folder):
            return []
        children = sorted(self._file_system.listStatus(folder), key=lambda status: str(status.getPath().getName()))
        return [status for status in children if not status.getPath().getName().startswith(("_", "."))]

    def _read_landed_file(self, folder: JavaObject, original_path: JavaObject) -> RawFile:
        original = json.loads(self._read_beginning(original_path))
        name = original["name"]
        paths = [status.getPath() for status in self._children(folder)]
        parts = tuple(Part(_address(path), int(part[1])) for path in paths if (part := PART_NAME.fullmatch(str(path.getName()))))
        # Earlier landings listed the parts.
        expected = original["part_count"] if "part_count" in original else len(original["parts"])
        if len(parts) != expected:
            raise UnreadableFile(name, f"is not whole: {_address(folder)} has {len(parts)} of its {expected} parts")
        rules = LineRules.model_validate(original["rules"]) if "rules" in original else ONLINE_RETAIL
        header = parse_header(name, original["header"], OPTIONAL_COLUMNS)
        landed = _landing_date(self._file_system.getFileStatus(original_path))
        return RawFile(name, original["sha256"], header, parts, landed, rules)

    def _read_foreign_file(self, status: JavaObject) -> RawFile:
        path = status.getPath()
        name = str(path.getName())
        return RawFile(name, "", parse_header(name, self._first_line(name, path)), (Part(_address(path), 1),), _landing_date(status))

    def _first_line(self, name: str, path: JavaObject) -> str:
        codec = self._jvm.org.apache.hadoop.io.compress.CompressionCodecFactory(self._hadoop).getCodec(path)
        try:
            return self._read_beginning(path, codec).partition("\n")[0]
        except Py4JJavaError as error:
            raise UnreadableFile(name, "is cut off or damaged: it cannot be unpacked") from error

    def _read_beginning(self, path: JavaObject, codec: JavaObject | None = None) -> str:
        """The first mebibyte of a file, unpacked, as text."""
        stream = self._file_system.open(path)
        try:
            unpacked = stream if codec is None else codec.createInputStream(stream)
            beginning = self._jvm.org.apache.commons.io.input.BoundedInputStream(unpacked, TEXT_BYTES)
            return str(self._jvm.org.apache.commons.io.IOUtils.toString(beginning, "UTF-8"))
        finally:
            stream.close()


def _landing_date(status: JavaObject) -> date:
    """The day in the name of a file's folder, or else of its last change."""
    if named := INGEST_DATE.search(_address(status.getPath())):
        with suppress(ValueError):
            return date.fromisoformat(named[1])
    return datetime.fromtimestamp(status.getModificationTime() / 1000, UTC).date()


def _address(path: JavaObject) -> str:
    """A path as Spark names the file of a row."""
    return str(path.toUri().toString())
