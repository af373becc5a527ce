"""Free ports of the loopback, and settings of a stack beside others that uses them."""

import socket
from collections.abc import Sequence
from pathlib import Path

from stack.engines import seaweedfs
from stack.settings import Settings

NAMES = tuple(name for name in Settings.model_fields if name.endswith("_port"))
# SeaweedFS takes the last ones.
COUNT = len(NAMES) + seaweedfs.PORTS


def are_free(ports: Sequence[int]) -> bool:
    """Whether nothing listens on any of these ports."""
    return all(map(_is_free, ports))


def settings_with_ports(folder: Path, ports: Sequence[int], **others: object) -> Settings:
    """Settings of a stack with this folder and these ports, of which there are at least `COUNT`.

    others: further settings
    """
    values = dict(zip(NAMES, ports, strict=False)) | {"seaweedfs_port": ports[-seaweedfs.PORTS]}
    return Settings.model_validate({"stack_folder": folder, **values, **others})


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
