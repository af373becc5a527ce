"""HDFS and YARN with one node each: configuration, the daemons' commands, and readiness checks."""

import hashlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Mapping
from contextlib import closing
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path
from string import Template
from xml.sax.saxutils import escape

from stack import files
from stack.engines import hadoop_user, jars, java
from stack.processes.probes import http_answers, http_json
from stack.settings import ROOT, Settings

TEMPLATES = ROOT / "compose" / "hadoop" / "conf"
# Owns files and applications in HDFS and YARN, whichever system user starts the daemons.
USER = "hashiramart"
# Class and maximum heap of each daemon. The heaps are small, as there are few files and few applications.
DAEMONS = {
    "namenode": ("org.apache.hadoop.hdfs.server.namenode.NameNode", "256m"),
    "datanode": ("org.apache.hadoop.hdfs.server.datanode.DataNode", "192m"),
    "resourcemanager": ("org.apache.hadoop.yarn.server.resourcemanager.ResourceManager", "256m"),
    "nodemanager": ("org.apache.hadoop.yarn.server.nodemanager.NodeManager", "192m"),
}
# For a JVM that is mostly idle: only the first compiler tier, which starts faster and uses less memory.
QUICK_START = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData", "-XX:+ExitOnOutOfMemoryError")
# Addresses of the daemons, and the name under which each node announces itself.
ONE_MACHINE = dict.fromkeys(("host", "node_name", "namenode_host", "resourcemanager_host"), "127.0.0.1")
NAMENODE_INFO = "/jmx?qry=Hadoop:service=NameNode,name=NameNodeInfo"
DATANODE_INFO = "/jmx?qry=Hadoop:service=DataNode,name=DataNodeInfo"
TIMEOUT_SECONDS = 5
KILL_SECONDS = 30


def configuration_folder(settings: Settings) -> Path:
    """The folder of Hadoop's configuration: HADOOP_CONF_DIR, or the one that the stack writes."""
    return settings.hadoop_conf_dir or settings.stack_folder / "hadoop"


def render_configuration(settings: Settings, data: Path, places: Mapping[str, str]) -> dict[str, str]:
    """The contents of the stack's own configuration files, by file name.

    data: the folder of the daemons' data
    places: addresses and node names, with the keys of `ONE_MACHINE`
    """
    values = {**settings.model_dump(), "user": USER, "data": data, "data_uri": data.as_uri(), **places}
    escaped = {name: escape(str(value)) for name, value in values.items()}
    return {template.name: Template(template.read_text()).substitute(escaped) for template in TEMPLATES.iterdir()}


def prepare(settings: Settings, daemon: str) -> None:
    """Writes the configuration, and hands the daemon's folder over to its user."""
    _write_configuration(settings)
    hadoop_user.hand_over(settings, settings.data / daemon)


def prepare_namenode(settings: Settings) -> None:
    """Does the same for the NameNode, and formats the file system, unless that has been done."""
    _write_configuration(settings)
    hadoop_user.hand_over(settings, settings.data / "tmp")
    _format_namenode(settings)
    hadoop_user.hand_over(settings, settings.data / "namenode")


def command(settings: Settings, daemon: str) -> list[str]:
    """The command that runs a daemon until SIGTERM or the end of its parent process."""
    main, heap = DAEMONS[daemon]
    user = hadoop_user.as_user(settings, environment(settings))
    # The kernel resets the parent-death signal when the user changes, so it is set afterwards.
    return [*user, "setpriv", "--pdeathsig=TERM", "--", *_java_command(settings, heap), main]


def environment(settings: Settings) -> dict[str, str]:
    """The environment of the daemons and of their clients."""
    own = {} if settings.hadoop_conf_dir else {"HADOOP_USER_NAME": USER}
    return own | {"JAVA_HOME": str(java.HOME), "HADOOP_CONF_DIR": str(configuration_folder(settings))}


def daemon_environment(settings: Settings) -> dict[str, str]:
    """The environment of the daemons. It changes with the configuration, so that `up` then restarts them."""
    digest = hashlib.sha256("".join(render_configuration(settings, settings.data, ONE_MACHINE).values()).encode()).hexdigest()
    return environment(settings) | {"CONFIGURATION_DIGEST": digest}


def namenode_ready(settings: Settings) -> bool:
    return http_answers(settings.namenode_port, NAMENODE_INFO)


def datanode_ready(settings: Settings) -> bool:
    """Whether files in HDFS can be read and written."""
    match http_json(settings.namenode_port, NAMENODE_INFO):
        case {"beans": [{"Safemode": "", "LiveNodes": str(text), "TotalBlocks": int(blocks)}]}:
            return any(_is_serving(node, blocks) for node in json.loads(text).values())
    return False


def raw_root(settings: Settings) -> str:
    """The raw zone in HDFS as a WebHDFS URL, for clients without Hadoop's libraries."""
    return f"webhdfs://{USER}@127.0.0.1:{settings.namenode_port}/hashiramart/raw"


def resourcemanager_ready(settings: Settings) -> bool:
    match http_json(settings.resourcemanager_port, "/ws/v1/cluster/info"):
        case {"clusterInfo": {"state": "STARTED"}}:
            return True
    return False


def nodemanager_ready(settings: Settings) -> bool:
    """Whether YARN can run applications."""
    match http_json(settings.resourcemanager_port, "/ws/v1/cluster/metrics"):
        case {"clusterMetrics": {"activeNodes": int(nodes)}}:
            return nodes > 0 and http_answers(settings.nodemanager_port, "/ws/v1/node/info")
    return False


def make_folder(settings: Settings, path: str) -> None:
    """Creates a folder in HDFS, and its parents."""
    _send_put(settings.namenode_port, f"/webhdfs/v1{path}?op=MKDIRS&user.name={USER}")


def kill_applications(settings: Settings) -> None:
    """Kills all applications on YARN. Returns when they have ended, when YARN does not answer, or after 30 seconds."""
    deadline = time.monotonic() + KILL_SECONDS
    while time.monotonic() < deadline:
        match http_json(settings.resourcemanager_port, "/ws/v1/cluster/apps?states=NEW,NEW_SAVING,SUBMITTED,ACCEPTED,RUNNING"):
            case {"apps": {"app": list(applications)}}:
                for application in applications:
                    _kill_application(settings, application["id"])
            case _:
                return
        time.sleep(0.2)


def jvm_options(heap: str, logs: Path) -> list[str]:
    """The options of a daemon's JVM.

    logs: the folder of log files that Hadoop's web pages offer; the daemons themselves log to standard error
    """
    return [f"-Xmx{heap}", *QUICK_START, "-Djava.net.preferIPv4Stack=true", f"-Dhadoop.log.dir={logs}"]


def _write_configuration(settings: Settings) -> None:
    folder = configuration_folder(settings)
    folder.mkdir(parents=True, exist_ok=True)
    # It contains no secret.
    folder.chmod(0o755)
    for name, text in render_configuration(settings, settings.data, ONE_MACHINE).items():
        files.replace(folder / name, text, mode=0o644)


def _format_namenode(settings: Settings) -> None:
    names = settings.data / "namenode"
    if names.exists():
        return
    # Created beside its place and then moved, so that an interruption never leaves a partial folder.
    fresh = names.with_suffix(".new")
    shutil.rmtree(fresh, ignore_errors=True)
    hadoop_user.hand_over(settings, fresh)
    main, heap = DAEMONS["namenode"]
    options = ["-D", f"dfs.namenode.name.dir={fresh.as_uri()}", "-format", "-nonInteractive"]
    command = [*hadoop_user.as_user(settings, environment(settings)), *_java_command(settings, heap), main, *options]
    subprocess.run(command, env=os.environ | environment(settings), check=True, capture_output=True, text=True)
    fresh.rename(names)


def _is_serving(node: Mapping[str, object], blocks: int) -> bool:
    """Whether a DataNode, as the NameNode lists it, is up and has reported its blocks, of which HDFS has `blocks`."""
    # The NameNode lists a dead DataNode as live for a while, and a restarted one serves its pages before it has read its blocks.
    match http_json(int(str(node["infoAddr"]).rpartition(":")[2]), DATANODE_INFO):
        case {"beans": [{"BPServiceActorInfo": str(text)}]}:
            registered = any(actor["ActorState"] == "RUNNING" for actor in json.loads(text))
            return registered and node["capacity"] != 0 and (blocks == 0 or node["numBlocks"] != 0)
    return False


def _kill_application(settings: Settings, application: str) -> None:
    _send_put(settings.resourcemanager_port, f"/ws/v1/cluster/apps/{application}/state?user.name={USER}", b'{"state": "KILLED"}')


def _send_put(port: int, path: str, body: bytes = b"") -> None:
    with closing(HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)) as connection:
        connection.request("PUT", path, body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        if response.status >= HTTPStatus.BAD_REQUEST:
            raise RuntimeError(f"PUT {path} failed with {response.status}: {response.read().decode(errors='replace')}")


def _java_command(settings: Settings, heap: str) -> list[str]:
    path = f"{configuration_folder(settings)}:{jars.PAGES}:{jars.DAEMONS}/*"
    return [str(java.HOME / "bin" / "java"), *jvm_options(heap, settings.data / "tmp"), "-cp", path]
