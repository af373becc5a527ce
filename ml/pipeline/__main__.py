"""The pipeline in a folder of its own: for a job, or with another recipe than that of the checkout, which stays as it is.

    python -m ml.pipeline --recipe quick recommender forecaster

Runs in a copy of the pipeline's files that the working directory holds. DVC's cache is shared, so that what was done before, of equal
data and numbers, is not done again; the models are registered anew, but once for a job. Ends with 75 when MLflow or the store is away,
so that it is worth another try.
"""

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NoReturn

import httpx

from ml.pipeline import parameters
from ml.pipeline.parameters import Recipe
from ml.pipeline.registration import Registration, commit, registered
from ml.pipeline.settings import Settings
from ml.registry.client import RegistryUnavailable

# What the pipeline consists of. The lock is there only where it has run before.
PARTS = (".dvc/config", ".dvcignore", "dvc.lock", "dvc.yaml", "lake", "ml", "params.yaml")


def copy(root: Path, folder: Path, recipe: Recipe) -> None:
    """Makes a folder where the pipeline of a checkout can be run by this recipe, beside others and without git."""
    for part in PARTS:
        source, target = root / part, folder / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            shutil.copyfile(source, target)
    parameters.choose(folder / parameters.FILE, recipe)
    _dvc(folder, "config", "--quiet", "--local", "core.no_scm", "true")


def run(folder: Path, models: Sequence[str]) -> list[Registration]:
    """Trains and registers these models. Raises `CalledProcessError` when a stage fails.

    What they come from is in DVC's remote before they are registered, so that nothing is left to do once one is promoted.
    """
    evaluating = [f"evaluate_{model}" for model in models]
    _dvc(folder, "repro", *evaluating)
    _dvc(folder, "push", "--with-deps", *evaluating)
    _dvc(folder, "repro", "--force", "--single-item", *(f"register_{model}" for model in models))
    return [Registration.model_validate_json((folder / "registered" / f"{model}.json").read_bytes()) for model in models]


def trained(root: Path, recipe: Recipe, models: Sequence[str]) -> list[Registration]:
    """What comes of these models, trained by this recipe in a copy of the checkout. Raises `CalledProcessError` when a stage fails."""
    os.environ.setdefault("PIPELINE_CODE_COMMIT", commit(root))
    with TemporaryDirectory(prefix="training-") as folder:
        copy(root, Path(folder), recipe)
        return run(Path(folder), models)


def away(settings: Settings) -> str:
    """Which engine cannot be reached, for people; empty if all can."""
    # MLflow answers this well only if its database is there.
    mlflow = f"{settings.mlflow_url}/api/2.0/mlflow/experiments/search?max_results=1"
    for engine, url in (("MLflow", mlflow), ("the store", settings.store_url)):
        try:
            if httpx.get(url, timeout=_TIMEOUT_SECONDS).is_server_error:
                return engine
        except httpx.HTTPError:
            return engine
    return ""


def give_up(engine: str) -> NoReturn:
    print(f"{engine} cannot be reached", file=sys.stderr)
    sys.exit(os.EX_TEMPFAIL)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m ml.pipeline", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--recipe", choices=("quick", "full"), default="full")
    parser.add_argument("--result", type=Path, help="a file for what came of it: one registration as JSON a line")
    parser.add_argument("models", nargs="+", choices=("recommender", "forecaster"))
    arguments = parser.parse_args()
    settings = Settings()
    try:
        known = {model: registered(model, settings) for model in arguments.models}
        missing = [model for model, registration in known.items() if registration is None]
        if missing:
            known.update(zip(missing, trained(Path.cwd(), arguments.recipe, missing), strict=True))
    except RegistryUnavailable:
        give_up("MLflow")
    except subprocess.CalledProcessError as error:
        if engine := away(settings):
            give_up(engine)
        # DVC has ended by itself, or by a signal, which is told as a shell does.
        sys.exit(1 if error.returncode > 0 else _SIGNALLED - error.returncode)
    if arguments.result:
        lines = [registration.model_dump_json() for registration in known.values() if registration]
        arguments.result.write_text("".join(f"{line}\n" for line in lines))


_TIMEOUT_SECONDS = 10
_SIGNALLED = 128


def _dvc(folder: Path, *words: str) -> None:
    subprocess.run([sys.executable, "-m", "dvc", *words], check=True, cwd=folder)


if __name__ == "__main__":
    main()
