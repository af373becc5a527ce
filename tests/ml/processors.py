"""Loading a model as another processor would."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]


def check_on_another_processor(model: str, folder: Path) -> None:
    """Loads and checks an artifact in a process in which NumPy and OpenBLAS use none of the newer instructions of this processor.

    model: the class, as `ml.forecaster.model.Forecaster`
    """
    module, name = model.rsplit(".", 1)
    extensions = np.show_config(mode="dicts")["SIMD Extensions"]["found"]
    environment = {**os.environ, "NPY_DISABLE_CPU_FEATURES": " ".join(extensions), "OPENBLAS_CORETYPE": "Nehalem"}
    program = f"from {module} import {name}; from pathlib import Path; {name}.load(Path({str(folder)!r})).check()"
    subprocess.run([sys.executable, "-c", program], check=True, env=environment, cwd=ROOT)
