"""The two stacks on a real engine, in a project, with ports, settings and secrets of their own."""

import json
import socket
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import httpx

FOLDER = Path(__file__).resolve().parents[3] / "compose"
MLOPS, HADOOP = (FOLDER / f"docker-compose-{name}.yml" for name in ("mlops", "hadoop"))
PORTS = ("GATEWAY", "MINIO", "MINIO_CONSOLE", "MLFLOW", "NAMENODE", "RESOURCEMANAGER", "HISTORY")
PROJECT = "hashiramart-test"
PASSWORD = "battery staple correct"
UP_SECONDS = 300
JOB_SECONDS = 1200

Json = dict[str, Any]


class Stacks:
    """Both, as they are at any time."""

    def __init__(self, folder: Path, project: str = PROJECT) -> None:
        self.folder = folder
        self.project = project
        self._ports = {name: free_port() for name in PORTS}
        self._make_environment()
        with (folder / ".env").open("a") as file:
            file.writelines(f"{name}_PORT={port}\n" for name, port in self._ports.items())
            file.write("TRAINING_RECIPE=quick\n")

    def choose(self, **settings: str) -> None:
        """Sets what `.env` says, and tells it to those who need it."""
        with (self.folder / ".env").open("a") as file:
            file.writelines(f"{name}={value}\n" for name, value in settings.items())
        self._make_environment()

    def compose(self, *words: str, files: Iterable[Path] = (MLOPS, HADOOP), text: str = "") -> str:
        """What `docker compose` answers. Raises `CalledProcessError`."""
        named = [word for file in files for word in ("--file", str(file))]
        told = ["--project-name", self.project, "--env-file", str(self.folder / ".env"), *named]
        return run("docker", "compose", "--progress", "quiet", *told, *words, text=text)

    def up(self, *words: str, files: Iterable[Path] = (MLOPS, HADOOP)) -> float:
        """Starts them, and returns after how many seconds all are healthy."""
        began = time.monotonic()
        self.compose("up", "--detach", "--no-build", *words, files=files)
        while unwell := {name: state for name, state in self.states(files).items() if state not in ("running healthy", "exited 0")}:
            if time.monotonic() > began + UP_SECONDS:
                raise TimeoutError(f"not up: {unwell}")
            time.sleep(1)
        return time.monotonic() - began

    def states(self, files: Iterable[Path] = (MLOPS, HADOOP)) -> dict[str, str]:
        """How each container is."""
        lines = self.compose("ps", "--all", "--orphans=false", "--format", "json", files=files).splitlines()
        each = [json.loads(line) for line in lines]
        return {
            container["Name"]: f"{container['State']} {container['Health' if container['State'] == 'running' else 'ExitCode']}"
            for container in each
        }

    def containers(self, service: str = "") -> list[str]:
        """The names of those that run."""
        label = f"label=com.docker.compose.service={service}" if service else "label=com.docker.compose.service"
        project = f"label=com.docker.compose.project={self.project}"
        return run("docker", "ps", "--filter", project, "--filter", label, "--format", "{{.Names}}").split()

    def inspected(self, container: str) -> Json:
        """What the engine knows of a container."""
        found: Json = json.loads(run("docker", "inspect", container))[0]
        return found

    def address(self, name: str, scheme: str = "http") -> str:
        """Where one of the ports is."""
        return f"{scheme}://127.0.0.1:{self._ports[name]}"

    def make_boss(self, *files: Path) -> None:
        """Makes the admin in whose name `ask` asks."""
        words = ("python", "-m", "services.auth.admin", "create-admin", "--email", "boss@example.com")
        self.compose("exec", "-T", "auth", *words, text=PASSWORD, files=files)

    def ask(self, method: str, path: str, content: str | None = None, body: Json | None = None) -> httpx.Response:
        """What the gateway answers an admin, who signs in for each question: a token may not live as long as a job."""
        form = {"grant_type": "password", "username": "boss@example.com", "password": PASSWORD}
        with httpx.Client(base_url=self.address("GATEWAY"), timeout=30) as client:
            token = client.post("/auth/token", data=form).raise_for_status().json()["access_token"]
            return client.request(method, path, content=content, json=body, headers={"authorization": f"Bearer {token}"})

    def job(self, path: str, **body: str) -> Json:
        """A job, ordered over REST, when it has ended."""
        id = self.ask("POST", path, body=body).raise_for_status().json()["id"]
        deadline = time.monotonic() + JOB_SECONDS
        while time.monotonic() < deadline:
            job: Json = self.ask("GET", f"/jobs/{id}").raise_for_status().json()
            if job["state"] not in ("JOB_STATE_QUEUED", "JOB_STATE_RUNNING"):
                return job
            time.sleep(3)
        raise TimeoutError(f"{path}: {job}")

    def secrets(self) -> list[str]:
        """What must be seen nowhere."""
        texts = [file.read_text().strip() for file in (self.folder / "secrets").iterdir()]
        return [text for text in texts if "\n" not in text and not text.startswith("{")]

    def remove(self) -> None:
        """Leaves nothing of them."""
        self.compose("--profile", "*", "down", "--volumes", "--timeout", "5")

    def _make_environment(self) -> None:
        run("python3", "-m", "stack.containers.environment", str(self.folder))


def run(*command: str, text: str = "") -> str:
    """What a command writes. Raises `CalledProcessError`, after showing what went wrong."""
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False, cwd=FOLDER.parent)
    if done.returncode:
        print(done.stdout[-3000:], done.stderr[-3000:])
    done.check_returncode()
    return done.stdout


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
