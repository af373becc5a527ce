"""Submits Spark applications to YARN."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path

from services.jobs.child_process import ChildProcess


class SparkSubmit:
    """An installed Spark's `spark-submit`.

    home: Spark's folder
    properties: the file of the applications' properties
    environment: with JAVA_HOME and HADOOP_CONF_DIR
    timeout: after which a process that submits is killed
    """

    def __init__(self, home: Path, properties: Path, environment: Mapping[str, str], timeout: timedelta) -> None:
        self._home = home
        self._properties = properties
        self._environment = environment
        self.timeout = timeout

    async def start(self, tags: Sequence[str], code: Path, script: Path, arguments: Sequence[str]) -> ChildProcess:
        """Starts to submit a script; the process ends when YARN has accepted the application.

        code: the zip file with the modules of the script
        """
        # `setpriv` kills the process with its worker; `timeout` kills it in time even if the worker never looks at it again.
        bounded = (
            *("setpriv", "--pdeathsig=KILL"),
            *("timeout", "--signal=KILL", str(self.timeout.total_seconds())),
            *("setpriv", "--pdeathsig=KILL"),
        )
        options = {"yarn.tags": ",".join(tags), "yarn.submit.waitAppCompletion": "false", "yarn.maxAppAttempts": "1"}
        return await ChildProcess.start(
            *bounded,
            str(self._home / "bin" / "spark-submit"),
            *("--master", "yarn", "--deploy-mode", "cluster", "--properties-file", str(self._properties)),
            *(word for name, value in options.items() for word in ("--conf", f"spark.{name}={value}")),
            *("--py-files", str(code), str(script), *arguments),
            environment=self._environment,
        )
