"""A service that serves a model starts without the libraries that it does not need."""

import subprocess
import sys

import pytest

SCRIPT = """
import sys, importlib
importlib.import_module(sys.argv[1])
print(*[name for name in ("pandas", "sklearn", "scipy.stats", "rich", "opentelemetry.sdk", "implicit", "mlflow") if sys.modules.get(name)])
"""


@pytest.mark.parametrize("service", ["recommender", "forecaster"])
def test_a_model_service_imports_no_library_for_training(service: str) -> None:
    command = [sys.executable, "-c", SCRIPT, f"services.{service}.__main__"]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout.split() == []
