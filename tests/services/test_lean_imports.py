"""What a process that serves a model does not import."""

import subprocess
import sys

import pytest

PROGRAM = """
import sys
import services.{service}.__main__
import pyarrow as pa
assert pa.array(["a"]).to_pylist() == ["a"]
print(sorted({{"pandas", "pygments", "rich", "sklearn"}} & sys.modules.keys()))
"""


@pytest.mark.parametrize("service", ["recommender", "forecaster"])
def test_a_service_does_without_optional_libraries_and_arrow_works_without_them(service: str) -> None:
    command = [sys.executable, "-c", PROGRAM.format(service=service)]
    assert subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout == "[]\n"
