"""Packaging of an artifact as a model that MLflow itself can load, on a machine without a checkout of this code."""

import json
import shutil
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import mlflow.pyfunc
from mlflow.entities import Dataset as LoggedDataset
from mlflow.entities import DatasetInput, InputTag

from lake.manifest import Dataset
from ml.registry.client import PACKAGED_ARTIFACT

# What the code of a model imports: libraries, and modules of ours.
LIBRARIES = ("holidays", "lightgbm", "mlflow", "numpy", "pandas", "pyarrow", "pydantic", "python-dateutil", "scipy")
MODULES = ("lake/__init__", "lake/columns", "ml/__init__", "ml/registry/__init__", "ml/registry/artifact", "ml/registry/errors")
# MLflow takes no longer digest of a data set.
DIGEST_LENGTH = 36


def package(artifact: Path, pyfunc: ModuleType, work: Path) -> Path:
    """Writes an MLflow model to a folder in `work`: the artifact, the code that loads it, versions of libraries, signature and example.

    pyfunc: the module of the model's code, with its `SIGNATURE` and `input_example`
    work: an empty folder
    """
    # MLflow keeps the name of the folder that an artifact comes from.
    named, folder = work / Path(PACKAGED_ARTIFACT).name, work / "package"
    shutil.copytree(artifact, named)
    mlflow.pyfunc.save_model(
        folder,
        python_model=str(pyfunc.__file__),
        artifacts={"model": str(named)},
        code_paths=[str(path) for path in _copy_code(Path(str(pyfunc.__file__)).parent, work / "code")],
        signature=pyfunc.SIGNATURE,
        input_example=pyfunc.input_example(artifact),
        pip_requirements=[f"{name}=={version(name)}" for name in LIBRARIES],
    )
    return folder


def dataset_input(dataset: Dataset, bucket: str) -> DatasetInput:
    """The clean data as an input of a run. bucket: of the lake"""
    columns = [{"name": f"{table}.{name}", "type": kind} for table, types in dataset.columns.items() for name, kind in types.items()]
    logged = LoggedDataset(
        name=f"clean data through {dataset.through_date}",
        digest=dataset.sha256[:DIGEST_LENGTH],
        source_type="s3",
        source=json.dumps({"uri": f"s3://{bucket}/clean"}),
        schema=json.dumps({"columns": columns}),
        profile=json.dumps({"first_date": str(dataset.first_date), "through_date": str(dataset.through_date), "sha256": dataset.sha256}),
    )
    return DatasetInput(logged, [InputTag("mlflow.data.context", "training")])


def _copy_code(package: Path, folder: Path) -> list[Path]:
    """Copies MODULES and the package of a model to a folder, and returns the packages at its top."""
    root = Path(__file__).parents[2]
    for name in (f"{module}.py" for module in MODULES):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / name, folder / name)
    shutil.copytree(package, folder / "ml" / package.name, ignore=shutil.ignore_patterns("__pycache__"))
    return sorted(folder.iterdir())
