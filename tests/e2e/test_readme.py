"""What the README tells a newcomer to type."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.stack import ETL, ROOT, Stack, own_stack, running
from tests.spark.shop import HEADER, line


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """All that the README calls."""
    with running(own_stack(tmp_path_factory.mktemp("stack"), (*ETL, "minio"))) as stack:
        yield stack


def test_its_first_calls_answer_as_a_newcomer_would_hope(stack: Stack, tmp_path: Path) -> None:
    sales = tmp_path / "sales.csv"
    sales.write_text("\n".join([HEADER, *(line(time=f"2011-02-{day:02} 10:00:00") for day in range(1, 11))]))
    script = "\n".join(re.findall(r"^```sh\n(.*?)^```", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE))
    for address, name in (("127.0.0.1:8000", "GATEWAY"), ("127.0.0.1:50051", "AUTH"), ("127.0.0.1:50052", "CATALOG")):
        assert address in script
        script = script.replace(address, f"127.0.0.1:{stack.environment[f'{name}_PORT']}")
    environment = {**os.environ, **stack.environment, "FILE": str(sales)}
    command = ["bash", "-euo", "pipefail", "-c", script.replace("curl -s", "curl -s --fail-with-body")]
    answer = subprocess.run(command, check=False, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=400)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    for told in ('"display_name":"Ann"', '"id":"85123A"', "rpc ListProducts", '"sale_count":10', '"email": "ann@example.com"'):
        assert told in answer.stdout
