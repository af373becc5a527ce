"""Log files of YARN's containers: how YARN prints them, and how they are read once YARN has aggregated them in HDFS."""

import asyncio
import re
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from services.jobs.errors import EngineUnavailable

# What the application itself writes; containers have other files as well.
LOG_FILES = ("stderr", "stdout")
READ_SECONDS = 60

# What Hadoop's client prints, and then fails, if an application has left no log.
_NOTHING = b"Can not find any log file"
# Printed before the content of each file.
_HEADER = re.compile(
    rb"^Container: (?P<container>\S+) on .*\nLogAggregationType: .*\n=+\nLogType:(?P<name>.*)\n"
    rb"(?:LogLastModifiedTime:.*\n)?LogLength:(?P<byte_count>\d+)\nLogContents:\n",
    re.MULTILINE,
)


class LogFile(NamedTuple):
    """A log file of a running container."""

    container: str
    node: str
    """The address of its NodeManager."""
    name: str
    byte_count: int

    @property
    def key(self) -> str:
        return f"{self.container}/{self.name}"


class LogPart(NamedTuple):
    """The content of a log file, or its last bytes."""

    container: str
    name: str
    byte_count: int
    """Of the whole file."""
    content: bytes

    @property
    def key(self) -> str:
        return f"{self.container}/{self.name}"

    @property
    def start(self) -> int:
        """The position of the content in the file."""
        return self.byte_count - len(self.content)


def parse_logs(text: bytes, size: int) -> list[LogPart]:
    """The log files in YARN's response to a request for the last `size` bytes of each."""
    parts = []
    position = 0
    while header := _HEADER.search(text, position):
        byte_count = int(header["byte_count"])
        position = header.end() + min(byte_count, size)
        parts.append(LogPart(header["container"].decode(), header["name"].decode(), byte_count, text[header.end() : position]))
    return parts


class AggregatedLogs:
    """The logs that YARN has aggregated, read by Hadoop's own client.

    hadoop_jars: the folder of Hadoop's jars
    environment: with JAVA_HOME and HADOOP_CONF_DIR
    """

    def __init__(self, hadoop_jars: Path, environment: Mapping[str, str]) -> None:
        self._hadoop_jars = hadoop_jars
        self._environment = environment

    async def read(self, application_id: str, size: int) -> list[LogPart]:
        """The last `size` bytes of each of an application's log files. Raises `EngineUnavailable`."""
        # The jars that Spark brings lack what this client needs.
        java = Path(self._environment["JAVA_HOME"]) / "bin" / "java"
        path = f"{self._environment['HADOOP_CONF_DIR']}:{self._hadoop_jars}/*"
        process = await asyncio.create_subprocess_exec(
            *("setpriv", "--pdeathsig=KILL", str(java), "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", path),
            *("org.apache.hadoop.yarn.client.cli.LogsCLI", "-applicationId", application_id, "-size", str(-size)),
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=PIPE,
            env=self._environment,
        )
        try:
            async with asyncio.timeout(READ_SECONDS):
                output, errors = await process.communicate()
        except TimeoutError:
            raise _unavailable() from None
        finally:
            if process.returncode is None:
                process.kill()
        if process.returncode:
            # So it is for an application that was killed before its first container started.
            if _NOTHING in errors:
                return []
            raise _unavailable()
        return parse_logs(output, size)


def _unavailable() -> EngineUnavailable:
    return EngineUnavailable("HDFS does not return the logs")
