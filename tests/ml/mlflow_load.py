"""Loading of a packaged model by MLflow in a process of its own, which has none of this repository's code but the model's."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

PROGRAM = """
import json, sys
import mlflow
model = mlflow.pyfunc.load_model(sys.argv[1])
import ml
answer = model.predict(model.input_example, params=json.loads(sys.argv[2]))
print(json.dumps({"code": ml.__file__, "rows": answer.to_dict("records")}, default=str))
"""


def predict_example(uri: str, folder: Path, parameters: dict[str, Any], url: str = "") -> list[dict[str, Any]]:
    """The answer to the input example of a model. folder: to work in; url: of MLflow, for a registered model"""
    environment = {**os.environ, "TMPDIR": str(folder), "MLFLOW_TRACKING_URI": url or f"sqlite:///{folder}/none.db"}
    command = (sys.executable, "-W", "ignore", "-c", PROGRAM, uri, json.dumps(parameters))
    process = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert process.returncode == 0, process.stderr
    answer = json.loads(process.stdout.splitlines()[-1])
    assert Path(answer["code"]).is_relative_to(folder)
    rows: list[dict[str, Any]] = answer["rows"]
    return rows
