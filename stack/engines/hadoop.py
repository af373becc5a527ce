"""HDFS and YARN, of one node each: their configuration, the commands of their daemons, and what they say of themselves."""

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
from stack.engines import jars, java
from stack.processes.probes import http_answers, http_json
from stack.settings import ROOT, Settings

TEMPLATES = ROOT / "compose" / "hadoop" / "conf"
# Whoever starts the daemons, this is who they and the applications are.
USER = "hashiramart"
# Class and heap of each daemon, which is little: there are few files and few applications.
DAEMONS = {
    "namenode": ("org.apache.hadoop.hdfs.server.namenode.NameNode", "256m"),
    "datanode": ("org.apache.hadoop.hdfs.server.datanode.DataNode", "192m"),
    "resourcemanager": ("org.apache.hadoop.yarn.server.resourcemanager.ResourceManager", "256m"),
    "nodemanager": ("org.apache.hadoop.yarn.server.nodemanager.NodeManager", "192m"),
}
# Started with the quick compiler alone: a JVM that is mostly idle.
QUICK_START = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData", "-XX:+ExitOnOutOfMemoryError")
# Where the daemons are, and under which name each node tells others of itself.
ONE_MACHINE = dict.fromkeys(("host", "node_name", "namenode_host", "resourcemanager_host"), "127.0.0.1")
NAMENODE_INFO = "/jmx?qry=Hadoop:service=NameNode,name=NameNodeInfo"
DATANODE_INFO = "/jmx?qry=Hadoop:service=DataNode,name=DataNodeInfo"
TIMEOUT_SECONDS = 5
KILL_SECONDS = 30


def configuration(settings: Settings) -> Path:
    """The folder of Hadoop's configuration: that of the cluster to use, or that of our own."""
    return settings.hadoop_conf_dir or settings.stack_folder / "hadoop"


def configured(settings: Settings, data: Path, places: Mapping[str, str]) -> dict[str, str]:
    """The files of our own configuration, by name, for daemons that keep what they know in this folder."""
    values = {**settings.model_dump(), "user": USER, "data": data, "data_uri": data.as_uri(), **places}
    escaped = {name: escape(str(value)) for name, value in values.items()}
    return {template.name: Template(template.read_text()).substitute(escaped) for template in TEMPLATES.iterdir()}


def configure(settings: Settings) -> None:
    """Writes our own configuration."""
    folder = configuration(settings)
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in configured(settings, settings.data, ONE_MACHINE).items():
        files.replace(folder / name, text)


def command(settings: Settings, daemon: str) -> list[str]:
    """Runs a daemon until it gets SIGTERM or who started it is gone."""
    main, heap = DAEMONS[daemon]
    return ["setpriv", "--pdeathsig=TERM", "--", *jvm(settings, heap), main]


def environment(settings: Settings) -> dict[str, str]:
    """What the daemons, and whoever speaks to them, find in their environment."""
    own = {} if settings.hadoop_conf_dir else {"HADOOP_USER_NAME": USER}
    return own | {"JAVA_HOME": str(java.HOME), "HADOOP_CONF_DIR": str(configuration(settings))}


def daemon_environment(settings: Settings) -> dict[str, str]:
    # With a configuration that changed the daemons are to be started anew.
    digest = hashlib.sha256("".join(configured(settings, settings.data, ONE_MACHINE).values()).encode()).hexdigest()
    return environment(settings) | {"CONFIGURATION_DIGEST": digest}


def format_namenode(settings: Settings) -> None:
    """Makes an empty file system. One that is there already is left as it is."""
    configure(settings)
    names = settings.data / "namenode"
    if names.exists():
        return
    # Made beside its place and then moved, so that an interruption leaves nothing that looks whole.
    fresh = names.with_suffix(".new")
    shutil.rmtree(fresh, ignore_errors=True)
    main, heap = DAEMONS["namenode"]
    command = [*jvm(settings, heap), main, "-D", f"dfs.namenode.name.dir={fresh.as_uri()}", "-format", "-nonInteractive"]
    subprocess.run(command, env=os.environ | environment(settings), check=True, capture_output=True, text=True)
    fresh.rename(names)


def namenode_ready(settings: Settings) -> bool:
    return http_answers(settings.namenode_port, NAMENODE_INFO)


def datanode_ready(settings: Settings) -> bool:
    """Whether files can be read and written."""
    match http_json(settings.namenode_port, NAMENODE_INFO):
        case {"beans": [{"Safemode": "", "LiveNodes": str(text), "TotalBlocks": int(blocks)}]}:
            return any(serves(node, blocks) for node in json.loads(text).values())
    return False


def serves(node: Mapping[str, object], blocks: int) -> bool:
    """Whether a DataNode, as the NameNode knows it, has told what it stores of so many blocks, and is there to give it."""
    # One that died is taken for alive a while longer; one that came back serves its pages before it knows its blocks.
    match http_json(int(str(node["infoAddr"]).rpartition(":")[2]), DATANODE_INFO):
        case {"beans": [{"BPServiceActorInfo": str(text)}]}:
            registered = any(actor["ActorState"] == "RUNNING" for actor in json.loads(text))
            return registered and node["capacity"] != 0 and (blocks == 0 or node["numBlocks"] != 0)
    return False


def raw_root(settings: Settings) -> str:
    """Where files are landed in HDFS, as those without a Hadoop of their own reach it."""
    return f"webhdfs://{USER}@127.0.0.1:{settings.namenode_port}/hashiramart/raw"


def resourcemanager_ready(settings: Settings) -> bool:
    match http_json(settings.resourcemanager_port, "/ws/v1/cluster/info"):
        case {"clusterInfo": {"state": "STARTED"}}:
            return True
    return False


def nodemanager_ready(settings: Settings) -> bool:
    """Whether applications can be run."""
    match http_json(settings.resourcemanager_port, "/ws/v1/cluster/metrics"):
        case {"clusterMetrics": {"activeNodes": int(nodes)}}:
            return nodes > 0 and http_answers(settings.nodemanager_port, "/ws/v1/node/info")
    return False


def make_folder(settings: Settings, path: str) -> None:
    """Makes a folder of HDFS and those above it, unless it is there."""
    put(settings.namenode_port, f"/webhdfs/v1{path}?op=MKDIRS&user.name={USER}")


def kill_applications(settings: Settings) -> None:
    """Ends what runs on YARN, so that nothing is half done when it is stopped. Returns when it is gone, or YARN says nothing."""
    deadline = time.monotonic() + KILL_SECONDS
    while time.monotonic() < deadline:
        match http_json(settings.resourcemanager_port, "/ws/v1/cluster/apps?states=NEW,NEW_SAVING,SUBMITTED,ACCEPTED,RUNNING"):
            case {"apps": {"app": list(applications)}}:
                for application in applications:
                    kill_application(settings, application["id"])
            case _:
                return
        time.sleep(0.2)


def kill_application(settings: Settings, application: str) -> None:
    put(settings.resourcemanager_port, f"/ws/v1/cluster/apps/{application}/state?user.name={USER}", b'{"state": "KILLED"}')


def put(port: int, path: str, body: bytes = b"") -> None:
    with closing(HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)) as connection:
        connection.request("PUT", path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        if answer.status >= HTTPStatus.BAD_REQUEST:
            raise RuntimeError(f"PUT {path} was answered {answer.status}: {answer.read().decode(errors='replace')}")


def jvm(settings: Settings, heap: str) -> list[str]:
    path = f"{configuration(settings)}:{jars.PAGES}:{jars.DAEMONS}/*"
    return [str(java.HOME / "bin" / "java"), *options(heap, settings.logs), "-cp", path]


def options(heap: str, logs: Path) -> list[str]:
    """How Java runs a daemon."""
    # Hadoop's pages read this folder, where our daemons, who log to their output, write nothing.
    return [f"-Xmx{heap}", *QUICK_START, "-Djava.net.preferIPv4Stack=true", f"-Dhadoop.log.dir={logs}"]
