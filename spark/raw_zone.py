"""The raw zone: which files of sales it holds, and what each was before it was landed."""

import json
from collections.abc import Iterator

from py4j.java_gateway import JavaObject
from py4j.protocol import Py4JJavaError
from pyspark.sql import SparkSession

from spark.errors import UnreadableFile
from spark.raw_file import EVENTS, ORIGINAL, SALES, Part, RawFile, header

# More than any header or account of a landing, and no burden when a foreign file has no line end for gigabytes.
TEXT_BYTES = 1024 * 1024


def sales_files(spark: SparkSession, root: str) -> list[RawFile]:
    """The files of sales below the root, in the order in which they came; the same content counts once."""
    files: dict[str, RawFile] = {}
    for file in RawZone(spark, f"{root}/{SALES}").files():
        files.setdefault(file.sha256, file)
    return list(files.values())


def event_files(spark: SparkSession, root: str) -> dict[str, str]:
    """The files of recorded events below the root, and what tells one state of a file from another."""
    return dict(RawZone(spark, f"{root}/{EVENTS}").states())


class RawZone:
    """A folder of the raw zone, on whatever file system Hadoop finds there."""

    def __init__(self, spark: SparkSession, root: str) -> None:
        context = spark.sparkContext
        assert context._jvm is not None, "Spark's context in this process has its JVM"  # noqa: S101
        self._jvm = context._jvm
        self._hadoop = context._jsc.hadoopConfiguration()
        self._root = self._jvm.org.apache.hadoop.fs.Path(root)
        self._store = self._root.getFileSystem(self._hadoop)

    def files(self) -> Iterator[RawFile]:
        """The files of sales. What was landed is a folder with an account of itself; any other file is taken as it is."""
        return self._files(self._root)

    def states(self) -> Iterator[tuple[str, str]]:
        """The address of each file, with its length and the time of its last change."""
        for status in self._below(self._root):
            yield address(status.getPath()), f"{status.getLen()} {status.getModificationTime()}"

    def _files(self, folder: JavaObject) -> Iterator[RawFile]:
        original = self._jvm.org.apache.hadoop.fs.Path(folder, ORIGINAL)
        if self._store.exists(original):
            yield self._landed(folder, original)
            return
        for status in self._children(folder):
            if status.isDirectory():
                yield from self._files(status.getPath())
            else:
                yield self._found(status.getPath())

    def _below(self, folder: JavaObject) -> Iterator[JavaObject]:
        for status in self._children(folder):
            if status.isDirectory():
                yield from self._below(status.getPath())
            else:
                yield status

    def _children(self, folder: JavaObject) -> list[JavaObject]:
        """What is in a folder, by name; hidden things are someone's work in progress."""
        if not self._store.exists(folder):
            return []
        found = sorted(self._store.listStatus(folder), key=lambda status: str(status.getPath().getName()))
        return [status for status in found if not status.getPath().getName().startswith(("_", "."))]

    def _landed(self, folder: JavaObject, original: JavaObject) -> RawFile:
        told = json.loads(self._text(original))
        name, stored = told["name"], {status.getPath().getName(): address(status.getPath()) for status in self._children(folder)}
        if lost := [part["name"] for part in told["parts"] if part["name"] not in stored]:
            raise UnreadableFile(name, f"is not whole: {', '.join(lost)} is missing in {address(folder)}")
        parts = tuple(Part(stored[part["name"]], part["first_line"]) for part in told["parts"])
        return RawFile(name, told["sha256"], header(name, told["header"]), parts)

    def _found(self, path: JavaObject) -> RawFile:
        name = str(path.getName())
        stream = self._store.open(path)
        try:
            sha256 = str(self._jvm.org.apache.commons.codec.digest.DigestUtils.sha256Hex(stream))
        finally:
            stream.close()
        return RawFile(name, sha256, header(name, self._first_line(name, path)), (Part(address(path), 1),))

    def _first_line(self, name: str, path: JavaObject) -> str:
        codec = self._jvm.org.apache.hadoop.io.compress.CompressionCodecFactory(self._hadoop).getCodec(path)
        try:
            return self._text(path, codec).partition("\n")[0]
        except Py4JJavaError as error:
            raise UnreadableFile(name, "is cut off or damaged: it cannot be unpacked") from error

    def _text(self, path: JavaObject, codec: JavaObject | None = None) -> str:
        """The beginning of a file, as text."""
        stream = self._store.open(path)
        try:
            plain = stream if codec is None else codec.createInputStream(stream)
            beginning = self._jvm.org.apache.commons.io.input.BoundedInputStream(plain, TEXT_BYTES)
            return str(self._jvm.org.apache.commons.io.IOUtils.toString(beginning, "UTF-8"))
        finally:
            stream.close()


def address(path: JavaObject) -> str:
    """A path as Spark names the file of a row."""
    return str(path.toUri().toString())
