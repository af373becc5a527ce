"""Writes the configuration of the Hadoop images: `python -m stack.containers.cluster FOLDER`.

The folder then has Hadoop's own files, and for each daemon a file of arguments for Java: `java @FOLDER/namenode.arguments`.
"""

import sys
from pathlib import Path

from stack.engines import hadoop, spark
from stack.settings import Settings

DATA = Path("/var/lib/hadoop")
# Hadoop substitutes environment variables. A node announces itself by the name of its container.
CONTAINERS = {
    "host": "0.0.0.0",  # noqa: S104 the containers' network is private
    "node_name": "${env.HOSTNAME}",
    "namenode_host": "namenode",
    "resourcemanager_host": "resourcemanager",
    "yarn_memory_mb": "${env.YARN_MEMORY_MB:-1536}",
}
# A daemon uses about 100 MB besides its heap; the memory limits of the containers are the sum of both.
HEAPS = {"namenode": "144m", "datanode": "128m", "resourcemanager": "192m", "nodemanager": "160m", "history": "160m"}


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    settings = Settings()
    for name, text in hadoop.render_configuration(settings, DATA, CONTAINERS).items():
        (folder / name).write_text(text)
    for daemon, (main_class, _) in hadoop.DAEMONS.items():
        (folder / f"{daemon}.arguments").write_text("\n".join([*hadoop.jvm_options(HEAPS[daemon], Path("/tmp")), main_class]))  # noqa: S108
    history = spark.history_options(settings.history_port, HEAPS["history"])
    (folder / "history.arguments").write_text("\n".join([*history, spark.HISTORY_SERVER]))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
