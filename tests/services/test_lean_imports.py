"""What a process that serves a model does not import."""

import os
import subprocess
import sys

import pytest

# Its settings are missing, so that it ends once it has imported all.
PROGRAM = """
import runpy, sys
try:
    runpy.run_module("services.{service}", run_name="__main__")
except SystemExit as end:
    assert "_DATABASE_URL" in str(end), end
print(sorted({{"lightgbm", "pandas", "pygments", "rich", "sklearn"}} & sys.modules.keys()))
import pyarrow
print(pyarrow.array(["a"]).to_pylist())
"""


@pytest.mark.parametrize("service", ["recommender", "forecaster"])
def test_a_service_does_without_optional_libraries_and_so_does_arrow(service: str) -> None:
    command = [sys.executable, "-c", PROGRAM.format(service=service)]
    result = subprocess.run(command, check=False, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, timeout=120)
    assert (result.stdout, result.stderr) == ("['lightgbm']\n['a']\n", "")
