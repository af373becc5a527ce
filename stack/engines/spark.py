"""Spark: how applications are submitted to YARN, and the history server."""

import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from string import Template

from lake.hadoop.kerberos import KerberosSettings
from stack.engines import hadoop, hadoop_user, jars, java
from stack.engines.object_store import ObjectStore
from stack.settings import ROOT, Settings

TEMPLATES = ROOT / "compose" / "spark"
# The folder of the applications' event logs in HDFS.
EVENT_LOG = "/hashiramart/spark-history"
HISTORY_SERVER = "org.apache.spark.deploy.history.HistoryServer"


def submit_configuration(settings: Settings) -> Path:
    """The properties file for `spark-submit --properties-file`."""
    return settings.stack_folder / "spark" / "submit.conf"


def credentials_file(settings: Settings) -> Path:
    """The credentials file of applications and of the process that submits them."""
    return submit_configuration(settings).with_name("s3.credentials")


def packages_file(settings: Settings) -> Path:
    """The archive of Python packages for a cluster that is not the stack's own."""
    return submit_configuration(settings).with_name("packages.tar.gz")


def configure(settings: Settings, store: ObjectStore) -> None:
    """Writes the properties file and the credentials file that it names."""
    file = submit_configuration(settings)
    file.parent.mkdir(parents=True, exist_ok=True)
    credentials = credentials_file(settings)
    store.write_credentials("spark", credentials)
    values = {
        "s3a": str(jars.S3A),
        "packages": str(packages_file(settings)),
        "s3_endpoint": store.endpoint,
        "s3_region": store.region,
        "credentials": str(credentials),
        "credentials_name": credentials.name,
        "history_address": f"127.0.0.1:{settings.history_port}",
    }
    templates = ("any-cluster.conf",) if settings.hadoop_conf_dir else ("every-node.conf", "one-machine.conf")
    file.write_text(properties(values, templates))


def properties(values: Mapping[str, str], templates: Sequence[str]) -> str:
    """The contents of the properties file: those for every cluster, and those of these templates.

    values: for the variables in the templates
    """
    values = {"pyspark": str(package()), "python": sys.executable, "event_log": EVENT_LOG, **values}
    return "".join(Template((TEMPLATES / name).read_text()).substitute(values) for name in ("submit.conf", *templates))


def submit_environment(settings: Settings) -> dict[str, str]:
    """The environment of the process that submits applications."""
    local = {} if settings.hadoop_conf_dir else {"PYSPARK_ARCHIVES_PATH": python_archives(), "SPARK_LOCAL_IP": "127.0.0.1"}
    return hadoop.environment(settings) | {"SPARK_HOME": str(package())} | local


def python_archives() -> str:
    """Spark's Python libraries, which are at the same path on every node of the stack's own cluster, for PYSPARK_ARCHIVES_PATH."""
    libraries = package() / "python" / "lib"
    return ",".join(f"local:{archive}" for archive in sorted(libraries.glob("*.zip")))


def submit_command(settings: Settings) -> list[str]:
    """The command that submits an application and ends when YARN has accepted it; the application and its arguments follow."""
    return [str(package() / "bin" / "spark-submit"), "--properties-file", str(submit_configuration(settings))]


def history_command(settings: Settings) -> list[str]:
    """The command that serves the history of applications until SIGTERM or the end of its parent process."""
    path = f"{hadoop.configuration_folder(settings)}:{package()}/jars/*"
    command = [str(java.HOME / "bin" / "java"), *history_options(settings.history_port, "256m"), "-cp", path, HISTORY_SERVER]
    return [*hadoop_user.as_user(settings, history_environment(settings)), "setpriv", "--pdeathsig=TERM", "--", *command]


def history_options(port: int, heap: str) -> list[str]:
    """The JVM options of the history server."""
    properties = {
        "spark.history.fs.logDirectory": f"hdfs://{EVENT_LOG}",
        "spark.history.fs.cleaner.enabled": "true",
        "spark.history.fs.update.interval": "5s",
        "spark.history.retainedApplications": "10",
        "spark.history.ui.port": str(port),
    }
    return [f"-Xmx{heap}", *hadoop.QUICK_START, *(f"-D{name}={value}" for name, value in properties.items())]


def history_environment(settings: Settings) -> dict[str, str]:
    login = KerberosSettings().login if settings.hadoop_conf_dir else None
    return hadoop.environment(settings) | {"SPARK_LOCAL_IP": "127.0.0.1"} | (login.java_environment if login else {})


def package() -> Path:
    """The folder of PySpark's wheel, which contains a complete Spark."""
    found = find_spec("pyspark")
    if found is None or not found.submodule_search_locations:
        raise ModuleNotFoundError("Spark's wheel is not installed: run `make setup`")
    return Path(found.submodule_search_locations[0])
