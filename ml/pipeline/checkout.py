"""Checkouts that the pipeline runs in: their commit, and copies of them."""

import shutil
import subprocess
import sys
from pathlib import Path

from ml.pipeline import parameters
from ml.pipeline.parameters import RecipeName

# The files of the pipeline. The lock exists only where it has run before.
PARTS = (".dvc/config", ".dvcignore", "dvc.lock", "dvc.yaml", "lake", "ml", "params.yaml")


def copy_pipeline(root: Path, folder: Path, recipe: RecipeName) -> None:
    """Copies the pipeline from a checkout to a folder where it runs with this recipe, beside others and without git."""
    for part in PARTS:
        source, target = root / part, folder / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            shutil.copyfile(source, target)
    parameters.select_recipe(folder / parameters.FILE, recipe)
    run_dvc(folder, "config", "--quiet", "--local", "core.no_scm", "true")


def run_dvc(folder: Path, *arguments: str) -> None:
    """Runs a DVC command in a folder. Raises `CalledProcessError`."""
    subprocess.run([sys.executable, "-m", "dvc", *arguments], check=True, cwd=folder)


def code_commit(folder: Path) -> str:
    """The commit that is checked out, with `-dirty` if the models' code differs from it; empty outside of a git checkout."""

    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], check=True, cwd=folder, capture_output=True, text=True).stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("-dirty" if git("status", "--porcelain", "--", "lake", "ml", "dvc.yaml") else "")
    except (FileNotFoundError, subprocess.CalledProcessError):
        return ""
