"""Runs programs of Spark and Hadoop: the one that submits an application to YARN, the one that reads gathered logs."""

from __future__ import annotations

import asyncio
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path

from services.jobs.yarn import EngineUnavailable


class Spark:
    """An installed Spark with Hadoop's jars beside it, and how both reach the cluster."""

    def __init__(
        self, home: Path, hadoop_jars: Path, properties: Path, environment: Mapping[str, str], longest_submission: timedelta
    ) -> None:
        self._home = home
        self._hadoop_jars = hadoop_jars
        self._properties = properties
        self._environment = environment
        # No program that submits lives longer than this.
        self.longest_submission = longest_submission

    async def submit(self, tags: Sequence[str], code: Path, script: Path, arguments: Sequence[str]) -> Submission:
        """Begins to submit a script, whose modules lie in the zip file `code`."""
        # The program ends with its worker, and after its time whatever becomes of the worker: each of these sees to the next.
        bounded = (
            "setpriv",
            "--pdeathsig=KILL",
            "timeout",
            "--signal=KILL",
            str(self.longest_submission.total_seconds()),
            "setpriv",
            "--pdeathsig=KILL",
        )
        options = {"yarn.tags": ",".join(tags), "yarn.submit.waitAppCompletion": "false", "yarn.maxAppAttempts": "1"}
        process = await asyncio.create_subprocess_exec(
            *bounded,
            str(self._home / "bin" / "spark-submit"),
            *("--master", "yarn", "--deploy-mode", "cluster", "--properties-file", str(self._properties)),
            *(word for name, value in options.items() for word in ("--conf", f"spark.{name}={value}")),
            *("--py-files", str(code), str(script), *arguments),
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=STDOUT,
            env=self._environment,
        )
        return Submission(process)

    async def gathered_logs(self, application_id: str, size: int) -> bytes:
        """The last `size` bytes of each file that an application wrote, as YARN has gathered and shows them. Raises `EngineUnavailable`."""
        # Spark has Hadoop's client within it, but without all that this part of it needs.
        java = Path(self._environment["JAVA_HOME"]) / "bin" / "java"
        path = f"{self._environment['HADOOP_CONF_DIR']}:{self._hadoop_jars}/*"
        process = await asyncio.create_subprocess_exec(
            *("setpriv", "--pdeathsig=KILL", str(java), "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", path),
            *("org.apache.hadoop.yarn.client.cli.LogsCLI", "-applicationId", application_id, "-size", str(-size)),
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=DEVNULL,
            env=self._environment,
        )
        try:
            async with asyncio.timeout(_LOGS_SECONDS):
                output, _ = await process.communicate()
        except TimeoutError:
            raise EngineUnavailable("HDFS does not give the logs") from None
        finally:
            if process.returncode is None:
                process.kill()
        if process.returncode:
            raise EngineUnavailable("HDFS does not give the logs")
        return output


class Submission:
    """A submission under way."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._lines: list[str] = []
        self._reading = asyncio.create_task(self._read())
        # What it said last, of all that went wrong.
        self.complaint = ""

    @property
    def running(self) -> bool:
        return not self._reading.done()

    def said(self) -> list[str]:
        """The lines that it wrote since the last call."""
        lines, self._lines = self._lines, []
        return lines

    async def kill(self) -> None:
        """Returns when it is gone."""
        if self._process.returncode is None:
            self._process.kill()
        await self._reading

    async def _read(self) -> None:
        if self._process.stdout is None:
            raise RuntimeError("the output is read")
        async for line in self._process.stdout:
            text = line.decode(errors="replace").rstrip()
            self._lines.append(text)
            if "Exception" in text or "Error" in text:
                self.complaint = text
        await self._process.wait()


_LOGS_SECONDS = 60
