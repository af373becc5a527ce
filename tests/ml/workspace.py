"""A checkout of the pipeline with stand-ins for the models, to run commands in."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from stack import training
from stack.engines.object_store import ObjectStore
from stack.settings import ROOT, Settings
from tests.engines.mlflow import Mlflow

MODELS = ("recommender", "forecaster")
STANDIN = ROOT / "tests" / "ml" / "standin"
RULES = [{"metric": "test.score", "better": "higher", "beats": {"the baseline": "test.baseline.score"}}]
RECIPES = {"full": {"quality": 0.9}, "quick": {"quality": 0.8}}


class Workspace:
    """A git repository with a DVC cache of its own: it shares data with other workspaces only through the store."""

    def __init__(self, folder: Path, machine: Path, store: ObjectStore, mlflow: Mlflow) -> None:
        self.folder = folder
        settings = Settings.model_validate({"stack_folder": machine})
        training.configure(settings, store)
        here = {"PIPELINE_MLFLOW_URL": mlflow.url, "DVC_NO_ANALYTICS": "1"}
        here |= training.secret_environment(mlflow.secrets)
        self.environment = training.environment(settings, store) | here

    def create(self) -> None:
        """Copies the pipeline, with the stand-ins in place of the models, and writes parameters for them."""
        for name in (".dvc/config", ".dvc/.gitignore", ".dvcignore", ".gitignore", "dvc.yaml"):
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, self.folder / name)
        for part in ("lake", "ml/registry", "ml/pipeline"):
            shutil.copytree(ROOT / part, self.folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "ml" / "__init__.py", self.folder / "ml")
        for model in MODELS:
            shutil.copytree(STANDIN, self.folder / "ml" / model, ignore=shutil.ignore_patterns("__pycache__"))
        plots = [{model: {"template": "bar_horizontal", "x": "score", "y": {f"plots/{model}/score.csv": "recipe"}}} for model in MODELS]
        self._set("dvc.yaml", plots=plots)
        gate = {"noise": 0.02, "limits_of": "", "recommender": RULES, "forecaster": RULES}
        self.set(recipe="full", gate=gate, recommender=RECIPES, forecaster=RECIPES)
        self.run("git", "init", "--quiet")
        self.commit()

    def set(self, **parameters: Any) -> None:
        """Changes parameters in `params.yaml`."""
        self._set("params.yaml", **parameters)

    def commit(self) -> None:
        self.run("git", "add", "--all")
        self.run("git", "-c", "user.name=test", "-c", "user.email=test@example.com", "commit", "--quiet", "--message", "work")

    def run(self, *command: str, **environment: str) -> str:
        """Runs a command, which must succeed, and returns its output."""
        process = subprocess.run(
            command,
            check=False,
            cwd=self.folder,
            env=os.environ | self.environment | environment,
            capture_output=True,
            text=True,
            timeout=900,
        )
        assert process.returncode == 0, process.stdout + process.stderr
        return process.stdout + process.stderr

    def dvc(self, *words: str) -> str:
        return self.run(sys.executable, "-m", "dvc", *words)

    def stages_run(self, *words: str) -> list[str]:
        """Runs `dvc repro`, and returns the stages that it ran."""
        return [line.split("'")[1] for line in self.dvc("repro", *words).splitlines() if line.startswith("Running stage")]

    def _set(self, name: str, **content: Any) -> None:
        file, yaml = self.folder / name, YAML(typ="safe", pure=True)
        yaml.dump({**(yaml.load(file) if file.exists() else {}), **content}, file)

    def registration(self, model: str) -> Mapping[str, Any]:
        registration: Mapping[str, Any] = json.loads((self.folder / "registered" / f"{model}.json").read_text())
        return registration
