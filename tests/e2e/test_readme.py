"""What the README tells a newcomer to type."""

import os
import re
import subprocess

from tests.e2e.stack import ROOT, Stack


def test_its_first_calls_answer_as_a_newcomer_would_hope(stack: Stack) -> None:
    script = "\n".join(re.findall(r"^```sh\n(.*?)^```", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE))
    for address, name in (("127.0.0.1:8000", "GATEWAY"), ("127.0.0.1:50051", "AUTH"), ("127.0.0.1:50052", "CATALOG")):
        assert address in script
        script = script.replace(address, f"127.0.0.1:{stack.environment[f'{name}_PORT']}")
    environment = {**os.environ, **stack.environment}
    command = ["bash", "-euo", "pipefail", "-c", script.replace("curl -s", "curl -s --fail-with-body")]
    answer = subprocess.run(command, check=False, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    for told in ('"display_name":"Ann"', '"id":"85123A"', "rpc ListProducts", '"email": "ann@example.com"'):
        assert told in answer.stdout
