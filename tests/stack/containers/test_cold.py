"""The demo on a machine that has git, make and Python and nothing else, and then once more: `make test-cold`."""

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
# Asks the gateway, with what a bare machine has to ask with.
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
    # The container's user may read it.
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
def test_the_demo_is_ready_from_nothing_and_once_more(store: str) -> None:
    cold, warm = (demo(store) for _ in range(2))
    print(f"\nwith {store}: ready from nothing in {cold:.0f} s, once more in {warm:.0f} s")
    assert run("docker", "exec", CONTAINER, "python3", "-c", POPULAR).strip() == "10"


def demo(store: str) -> float:
    """Runs it to its end, in sight; answers how many seconds that took."""
    began = time.monotonic()
    command = ["docker", "exec", "--workdir", "/shop", "--env", f"OBJECT_STORE={store}", CONTAINER, "make", "demo"]
    subprocess.run(command, check=True)
    return time.monotonic() - began
