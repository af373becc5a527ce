"""Runs the pipeline in a copy of the checkout: for a job, or with another recipe than the checkout's.

    python -m ml.pipeline --recipe quick recommender forecaster

Copies share DVC's cache, so stages whose data and parameters have not changed are not run again; the models are registered anew, once for
each job. Exits with 75 when MLflow or the store cannot be reached, so that the caller tries again.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NoReturn

import httpx

from ml.pipeline.checkout import code_commit, copy_pipeline, run_dvc
from ml.pipeline.lease import LeaseLost
from ml.pipeline.parameters import RecipeName
from ml.pipeline.registration import Registration, find_registration
from ml.pipeline.settings import Settings
from ml.registry.client import ChampionChanged, RegistryUnavailable

TIMEOUT_SECONDS = 10
# A shell adds this to the number of the signal that ended a process.
SIGNAL_OFFSET = 128


def train(root: Path, recipe: RecipeName, models: Sequence[str]) -> list[Registration]:
    """Trains and registers models in a copy of the checkout. Raises `CalledProcessError` when a stage fails."""
    os.environ.setdefault("PIPELINE_CODE_COMMIT", code_commit(root))
    with TemporaryDirectory(prefix="training-") as name:
        folder = Path(name)
        copy_pipeline(root, folder, recipe)
        run_stages(folder, models)
        return [Registration.model_validate_json((folder / "registered" / f"{model}.json").read_bytes()) for model in models]


def run_stages(folder: Path, models: Sequence[str]) -> None:
    """Runs the stages of models. Raises `CalledProcessError` when one fails.

    Data and models are pushed to DVC's remote before registration, so that nothing is left to do once a version is promoted.
    """
    evaluations = [f"evaluate_{model}" for model in models]
    run_dvc(folder, "repro", *evaluations)
    run_dvc(folder, "push", "--with-deps", *evaluations)
    run_dvc(folder, "repro", "--force", "--single-item", *(f"register_{model}" for model in models))


def unreachable_engine(settings: Settings) -> str:
    """The name of an engine that cannot be reached, or empty."""
    # MLflow succeeds here only if its database is up.
    mlflow = f"{settings.mlflow_url}/api/2.0/mlflow/experiments/search?max_results=1"
    for engine, url, auth in (("MLflow", mlflow, settings.mlflow_auth), ("the store", settings.store_url, None)):
        try:
            if httpx.get(url, auth=auth, timeout=TIMEOUT_SECONDS).is_server_error:
                return engine
        except httpx.HTTPError:
            return engine
    return ""


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m ml.pipeline", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--recipe", choices=("quick", "full"), default="full")
    parser.add_argument("--result", type=Path, help="a file to write the registrations to, one JSON object a line")
    parser.add_argument("models", nargs="+", choices=("recommender", "forecaster"))
    arguments = parser.parse_args()
    settings = Settings()
    try:
        registrations = {model: find_registration(model, settings) for model in arguments.models}
        missing = [model for model, registration in registrations.items() if registration is None]
        if missing:
            registrations.update(zip(missing, train(Path.cwd(), arguments.recipe, missing), strict=True))
    except RegistryUnavailable:
        _exit_unreachable("MLflow")
    except (ChampionChanged, LeaseLost) as error:
        print(f"the model was not promoted: {error!r}", file=sys.stderr)
        sys.exit(os.EX_TEMPFAIL)
    except subprocess.CalledProcessError as error:
        if engine := unreachable_engine(settings):
            _exit_unreachable(engine)
        # A negative code is the number of the signal that ended DVC; it is passed on as a shell does.
        sys.exit(1 if error.returncode > 0 else SIGNAL_OFFSET - error.returncode)
    if arguments.result:
        lines = [registration.model_dump_json() for registration in registrations.values() if registration]
        arguments.result.write_text("".join(f"{line}\n" for line in lines))


def _exit_unreachable(engine: str) -> NoReturn:
    print(f"{engine} cannot be reached", file=sys.stderr)
    sys.exit(os.EX_TEMPFAIL)


if __name__ == "__main__":
    main()
