"""Runs programs of Spark and Hadoop: the one that submits an application to YARN, the one that reads gathered logs."""

import asyncio
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path

from services.jobs.program import Program
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

    async def submit(self, tags: Sequence[str], code: Path, script: Path, arguments: Sequence[str]) -> Program:
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
        return await Program.begin(
            *bounded,
            str(self._home / "bin" / "spark-submit"),
            *("--master", "yarn", "--deploy-mode", "cluster", "--properties-file", str(self._properties)),
            *(word for name, value in options.items() for word in ("--conf", f"spark.{name}={value}")),
            *("--py-files", str(code), str(script), *arguments),
            environment=self._environment,
        )

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


_LOGS_SECONDS = 60
