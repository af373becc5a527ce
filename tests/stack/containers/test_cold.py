"""The demo on a machine with only git, make and Python, twice: `make test-cold`."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stack.containers.stacks import run

pytestmark = pytest.mark.containers

IMAGE = CONTAINER = "hashiramart-bare"
BARE = """
FROM debian:bookworm-slim
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends git make python3
"""
# Calls the gateway with Python's standard library.
POPULAR = """
import json, urllib.request

with urllib.request.urlopen("http://127.0.0.1:8000/recommendations/popular") as answer:
    print(len(json.load(answer)["recommendations"]))
"""


@pytest.fixture
def bare_machine(tmp_path: Path) -> Iterator[None]:
    """A bare container with a clone of the last commit."""
    bundle = tmp_path / "commit.bundle"
    run("git", "bundle", "create", "--quiet", str(bundle), "HEAD")
    # The container's user has to read it.
    bundle.chmod(0o644)
    run("docker", "build", "--quiet", "--tag", IMAGE, "-", text=BARE)
    run("docker", "run", "--detach", "--rm", "--init", "--shm-size", "1g", "--name", CONTAINER, IMAGE, "sleep", "infinity")
    try:
        run("docker", "cp", str(bundle), f"{CONTAINER}:/commit.bundle")
        run("docker", "exec", CONTAINER, "git", "clone", "--quiet", "/commit.bundle", "/shop")
        yield
    finally:
        run("docker", "kill", CONTAINER)


@pytest.mark.parametrize("store", ["minio", "seaweedfs"])
@pytest.mark.usefixtures("bare_machine")
def test_the_demo_runs_from_nothing_and_again(store: str) -> None:
    cold, warm = (demo(store) for _ in range(2))
    print(f"\nwith {store}: first demo {cold:.0f} s, second demo {warm:.0f} s")
    assert run("docker", "exec", CONTAINER, "python3", "-c", POPULAR).strip() == "10"


def demo(store: str) -> float:
    """Runs the demo with visible output, and returns the seconds it took."""
    began = time.monotonic()
    command = ["docker", "exec", "--workdir", "/shop", "--env", f"OBJECT_STORE={store}", CONTAINER, "make", "demo"]
    subprocess.run(command, check=True)
    return time.monotonic() - began
