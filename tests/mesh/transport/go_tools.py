"""Programs that Go fetches and builds, once, into the project's own folder."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

TOOLS = Path(__file__).resolve().parents[3] / ".local" / "tools" / "bin"


def go_tool(package: str, version: str, name: str) -> Path:
    """The path of a program, which is built where it is missing.

    name: what it is called here
    """
    path = TOOLS / f"{name}-{version}"
    if not path.exists():
        folder = TOOLS / f"{path.name}.building"
        subprocess.run([_go(), "install", f"{package}@{version}"], check=True, env=os.environ | {"GOBIN": str(folder)})
        (folder / package.rpartition("/")[2]).rename(path)
        folder.rmdir()
    return path


def module_folder(module: str, version: str) -> Path:
    """Where the sources of a module lie, which are fetched where they are missing."""
    found = subprocess.run([_go(), "mod", "download", "-json", f"{module}@{version}"], check=True, capture_output=True)
    return Path(json.loads(found.stdout)["Dir"])


def _go() -> str:
    return shutil.which("go") or str(Path(sys.executable).with_name("go"))
