"""A walk over the API by its own document: whatever is sent, the answers are as the document says."""

import os
import subprocess
import sys
from pathlib import Path

from tests.e2e.stack import ROOT, Stack

# Of what can be checked against a document, all that the document and its answers must agree on.
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance"
# What answers 503 as long as there is no model.
OF_MODELS = r"^/(customers|models|forecasts)"
# A stream without an end.
ENDLESS = ":watch$"


def walk(stack: Stack, token: str, *paths: str) -> None:
    """Walks over these paths, told as schemathesis is told; no answer may break the document or be a fault of the server."""
    schemathesis = [str(Path(sys.executable).with_name("schemathesis")), "run", f"{stack.rest}/openapi.json"]
    options = ["--checks", CHECKS, *paths, "--phases", "examples,coverage,fuzzing", "--max-examples", "15"]
    settled = ["--seed", "1", "--generation-database", "none", "--suppress-health-check", "all", "--no-color"]
    command = [*schemathesis, *options, *settled, "--header", f"authorization: Bearer {token}"]
    # A package of ours, before any of that name that came with another.
    environment = {**os.environ, "SCHEMATHESIS_HOOKS": "tests.e2e.lines", "PYTHONPATH": str(ROOT)}
    answer = subprocess.run(command, check=False, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600)
    assert answer.returncode == 0, answer.stdout[-8000:] + answer.stderr
