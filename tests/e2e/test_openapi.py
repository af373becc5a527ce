"""The API does what its OpenAPI document says, whatever it is sent."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.shop import Shop
from tests.e2e.stack import ROOT, Stack

# Of what can be checked against a document, all that the document and its answers must agree on.
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance"
# What is unavailable as long as there is no model, and a stream without an end.
LEFT_OUT = r"^/(customers|models|forecasts)|:watch$"


@pytest.mark.parametrize("role", ["customer", "admin"])
def test_no_answer_breaks_the_document_and_none_is_a_fault_of_the_server(stack: Stack, shop: Shop, role: str) -> None:
    schemathesis = [str(Path(sys.executable).with_name("schemathesis")), "run", f"{stack.rest}/openapi.json"]
    options = ["--checks", CHECKS, "--exclude-path-regex", LEFT_OUT, "--phases", "examples,coverage,fuzzing", "--max-examples", "15"]
    settled = ["--seed", "1", "--generation-database", "none", "--suppress-health-check", "all", "--no-color"]
    headers = ["--header", f"authorization: Bearer {shop.tokens[role]}"]
    command = [*schemathesis, *options, *settled, *headers]
    # A package of ours, before any of that name that came with another.
    environment = {**os.environ, "SCHEMATHESIS_HOOKS": "tests.e2e.lines", "PYTHONPATH": str(ROOT)}
    answer = subprocess.run(command, check=False, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600)
    assert answer.returncode == 0, answer.stdout[-8000:] + answer.stderr
