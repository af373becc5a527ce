"""Messages of set-up when the machine lacks something."""

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from stack import install
from stack.processes import control
from stack.processes.process import Process
from stack.processes.supervisor import Program
from tests.e2e.stack import ROOT


def test_a_full_disk_is_reported(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=rf"^The disk that holds {tmp_path} has less than 1000000000.0 GB free: make room"):
        install.check_disk_space(tmp_path / "not" / "there" / "yet", 10**18)


def test_too_little_memory_is_reported(tmp_path: Path) -> None:
    process = Process(Program("giant", [sys.executable], {}), {"GIANT_PORT": 1}, 10**9, lambda: True)
    with pytest.raises(control.StartError, match=r"^HashiraMart wants 1000000000 MB of memory, and \d+ MB are free: end other programs"):
        control.check_resources([process], tmp_path)
    control.check_resources([replace(process, memory_mb=1)], tmp_path)


def test_a_missing_java_that_cannot_be_installed_is_reported(tmp_path: Path) -> None:
    program = "from stack.engines import java; java.homes = lambda: iter(()); java.HOME = java.HOME.parent / 'none'; java.install_runtime()"
    process = subprocess.run(
        [sys.executable, "-c", program], check=False, cwd=ROOT, env={**os.environ, "PATH": str(tmp_path)}, capture_output=True, text=True
    )
    assert process.returncode == 1
    assert process.stderr.startswith("Missing on this machine: openjdk-17-jre-headless | openjdk-21-jre-headless. Install")
    assert len(process.stderr.splitlines()) == 1


def test_a_first_set_up_without_a_network_says_what_to_do(tmp_path: Path) -> None:
    for part in ("stack", "requirements", "clients/python"):
        shutil.copytree(ROOT / part, tmp_path / part)
    nowhere = {"PIP_INDEX_URL": "http://127.0.0.1:9/", "PIP_RETRIES": "0", "PIP_CONFIG_FILE": os.devnull}
    process = subprocess.run(
        [sys.executable, "-m", "stack.install"],
        check=False,
        cwd=tmp_path,
        env={**os.environ, **nowhere},
        capture_output=True,
        text=True,
    )
    assert process.returncode == 1
    assert process.stderr.splitlines()[-1].startswith("Could not install uv; the lines above say why. Mend it (is there a network,")
