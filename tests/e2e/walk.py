"""Runs schemathesis: checks the REST API's responses to generated requests against its OpenAPI document."""

import os
import subprocess
import sys
from pathlib import Path

from tests.e2e.stack import ROOT, Stack

# The checks on which the document and the responses have to agree.
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance"
# Paths that answer 503 as long as there is no model.
OF_MODELS = r"^/(customers|models|forecasts|reorder/(suggestions|backtest))"
# Paths that answer 503 without HDFS and the store.
OF_THE_LAKE = r"^/(raw-files|rejected-lines|data-quality)"
# After it, no other call of the user would come any further.
LAST_CALL = "DELETE /users/me"
# Paths of endless streams.
ENDLESS = ":watch$"
# The phase of coverage sends each limit of each parameter, which the gateway and the services treat alike whoever calls.
ALL_PHASES, OF_A_FURTHER_ROLE = "examples,coverage,fuzzing", "examples,fuzzing"


def walk(stack: Stack, token: str, *paths: str, phases: str = ALL_PHASES) -> None:
    """Checks the paths that these options of schemathesis select; no response may contradict the document or be a server error."""
    schemathesis = [str(Path(sys.executable).with_name("schemathesis")), "run", f"{stack.rest}/openapi.json"]
    options = ["--checks", CHECKS, *paths, "--exclude-name", LAST_CALL, "--phases", phases, "--max-examples", "15"]
    repeatable = ["--seed", "1", "--generation-database", "none", "--suppress-health-check", "all", "--no-color"]
    command = [*schemathesis, *options, *repeatable, "--header", f"authorization: Bearer {token}"]
    # The project's `tests` comes before packages of that name in the environment.
    environment = {**os.environ, "SCHEMATHESIS_HOOKS": "tests.e2e.lines", "PYTHONPATH": str(ROOT)}
    process = subprocess.run(command, check=False, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600)
    # Its failures come first, then warnings and a summary.
    assert process.returncode == 0, process.stdout.partition("FAILURES")[2][:8000] + process.stdout[-1000:] + process.stderr
