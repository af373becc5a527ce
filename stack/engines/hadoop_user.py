"""The system user that runs HDFS, YARN, its applications and Spark's history server if root starts the stack.

Hadoop believes every local caller any name. So whatever these programs can read and do, every user of the machine can.
"""

import os
import shlex
import shutil
import stat
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from pwd import getpwnam

from stack import install
from stack.settings import Settings

NAME = "hashiramart-hadoop"
# The environment of root's shell may hold secrets, and an application can read that of the daemon that runs it.
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
# File descriptors of the folders in the shell that makes them reachable.
FIRST_DESCRIPTOR = 3


def obstacle(settings: Settings) -> str | None:
    """Why Hadoop runs as root in spite of the user; None if it does not."""
    if not _has_user(settings):
        return None
    if not _is_open(Path(sys.prefix)):
        return f"other users cannot read {sys.prefix}"
    if (hidden := _unreachable(_folders(settings))) and not _can_mount():
        return f"other users cannot enter {next(iter(hidden.values()))}"
    return None


def create(settings: Settings) -> None:
    """Creates the user if it is needed and missing, or prints why Hadoop runs as root."""
    if reason := obstacle(settings):
        print(f"Hadoop runs as root, as {reason}: every user of this machine can run commands as root on YARN. See docs/security.md.")
    elif _has_user(settings) and not _exists():
        nowhere = ["--no-create-home", "--home-dir=/nonexistent", "--shell=/usr/sbin/nologin"]
        # Two stacks may start at once: it does not matter which of them creates it.
        subprocess.run(["/usr/sbin/useradd", "--system", "--user-group", *nowhere, NAME], check=False)
        if not _exists():
            sys.exit(f"Could not create the user {NAME}; the lines above say why.")


def as_user(settings: Settings, environment: Mapping[str, str]) -> list[str]:
    """The prefix of a command that runs as the user with this environment alone; empty unless root starts the stack."""
    if not _has_user(settings) or obstacle(settings):
        return []
    variables = [f"{name}={value}" for name, value in {**ENVIRONMENT, **environment}.items()]
    capabilities = [f"--{kind}=-all" for kind in ("inh-caps", "ambient-caps", "bounding-set")]
    user = ["setpriv", f"--reuid={NAME}", f"--regid={NAME}", "--clear-groups", "--no-new-privs", *capabilities, "--"]
    return [*_reaching(_unreachable(_folders(settings))), *user, "env", "--ignore-environment", "--chdir=/", *variables]


def hand_over(settings: Settings, *folders: Path) -> None:
    """Creates folders that are missing, and makes the user the owner of all that is in them, unless it is."""
    for folder in folders:
        folder.mkdir(mode=stat.S_IRWXU, parents=True, exist_ok=True)
    if not _has_user(settings) or obstacle(settings):
        return
    settings.data.chmod(stat.S_IRWXU | stat.S_IXGRP | stat.S_IXOTH)
    user = getpwnam(NAME)
    for folder in folders:
        if folder.stat().st_uid == user.pw_uid:
            continue
        for path, _, names in os.walk(folder, topdown=False):
            for name in names:
                os.chown(Path(path, name), user.pw_uid, user.pw_gid, follow_symlinks=False)
            # The folder itself comes last, so that an interruption leaves it to the next start.
            os.chown(path, user.pw_uid, user.pw_gid, follow_symlinks=False)


def _exists() -> bool:
    try:
        getpwnam(NAME)
    except KeyError:
        return False
    return True


def _has_user(settings: Settings) -> bool:
    """Whether Hadoop is the stack's own, and root starts it."""
    return os.geteuid() == 0 and settings.hadoop_conf_dir is None


def _folders(settings: Settings) -> list[Path]:
    """What the programs read and write, in which no secret is open to all."""
    return [Path(sys.prefix), Path(sys.base_prefix), install.TOOLS, settings.stack_folder / "hadoop", settings.data]


def _unreachable(folders: Sequence[Path]) -> dict[Path, Path]:
    """The folders that other users cannot reach, with the uppermost folder above that they cannot enter."""
    closed = {folder: [above for above in folder.parents if above.exists() and not _is_open(above)] for folder in folders}
    return {folder: above[-1] for folder, above in closed.items() if above}


def _is_open(folder: Path) -> bool:
    return bool(folder.stat().st_mode & stat.S_IXOTH)


@cache
def _can_mount() -> bool:
    """Whether processes can have mounts of their own, which root in a container may not."""
    if shutil.which("unshare") is None:
        return False
    script = "mount -t tmpfs none /mnt"
    return subprocess.run(["unshare", "--mount", "--", "sh", "-c", script], check=False, capture_output=True).returncode == 0


def _reaching(hidden: Mapping[Path, Path]) -> list[str]:
    """The prefix of a command that sees, in place of each folder that nobody else may enter, one with the hidden folders alone.

    The mounts are those of the command, and end with it.
    """
    if not hidden:
        return []
    opened = {folder: FIRST_DESCRIPTOR + index for index, folder in enumerate(hidden)}
    steps = [
        "set -e",
        *(f"exec {descriptor}<{shlex.quote(str(folder))}" for folder, descriptor in opened.items()),
        *(f"mount -t tmpfs -o mode=755,size=1m none {shlex.quote(str(above))}" for above in dict.fromkeys(hidden.values())),
        *(f"(umask 022; mkdir -p {shlex.quote(str(folder))})" for folder in hidden),
        # By the descriptor, as the new mount covers the path. So the path must not be resolved by `mount` itself.
        *(f"mount --no-canonicalize --bind /proc/self/fd/{descriptor} {shlex.quote(str(folder))}" for folder, descriptor in opened.items()),
        *(f"exec {descriptor}<&-" for descriptor in opened.values()),
        'exec "$@"',
    ]
    return ["unshare", "--mount", "--", "sh", "-c", "; ".join(steps), "sh"]
