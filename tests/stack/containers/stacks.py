"""The two Compose stacks on a Docker engine, with a project, ports, settings and secrets of their own."""

import json
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import httpx

from tests.engines.ports import free_port

FOLDER = Path(__file__).resolve().parents[3] / "compose"
MLOPS, HADOOP = (FOLDER / f"docker-compose-{name}.yml" for name in ("mlops", "hadoop"))
PORTS = ("GATEWAY", "MINIO", "MINIO_CONSOLE", "MLFLOW")
PROJECT = "hashiramart-test"
PASSWORD = "battery staple correct"
UP_SECONDS = 300
JOB_SECONDS = 1200

Json = dict[str, Any]


class Stacks:
    """Both Compose stacks."""

    def __init__(self, folder: Path, project: str = PROJECT) -> None:
        self.folder = folder
        self.project = project
        self._ports = {name: free_port() for name in PORTS}
        self._make_environment()
        with (folder / ".env").open("a") as file:
            file.writelines(f"{name}_PORT={port}\n" for name, port in self._ports.items())
            file.write("TRAINING_RECIPE=quick\n")

    def configure(self, **settings: str) -> None:
        """Adds settings to `.env`, and runs `make env` again."""
        with (self.folder / ".env").open("a") as file:
            file.writelines(f"{name}={value}\n" for name, value in settings.items())
        self._make_environment()

    def compose(self, *words: str, files: Iterable[Path] = (MLOPS, HADOOP), text: str = "") -> str:
        """The output of `docker compose`. Raises `CalledProcessError`."""
        file_options = [word for file in files for word in ("--file", str(file))]
        options = ["--project-name", self.project, "--env-file", str(self.folder / ".env"), *file_options]
        return run("docker", "compose", "--progress", "quiet", *options, *words, text=text)

    def up(self, *words: str, files: Iterable[Path] = (MLOPS, HADOOP)) -> float:
        """Starts the stacks, and returns the seconds until all containers are healthy."""
        began = time.monotonic()
        self.compose("up", "--detach", "--no-build", *words, files=files)
        while unhealthy := {name: state for name, state in self.states(files).items() if state not in ("running healthy", "exited 0")}:
            if time.monotonic() > began + UP_SECONDS:
                raise TimeoutError(f"not up: {unhealthy}")
            time.sleep(1)
        return time.monotonic() - began

    def states(self, files: Iterable[Path] = (MLOPS, HADOOP)) -> dict[str, str]:
        """The state of each container, by name."""
        lines = self.compose("ps", "--all", "--orphans=false", "--format", "json", files=files).splitlines()
        each = [json.loads(line) for line in lines]
        return {
            container["Name"]: f"{container['State']} {container['Health' if container['State'] == 'running' else 'ExitCode']}"
            for container in each
        }

    def containers(self, service: str = "") -> list[str]:
        """The names of running containers, of one service or of all."""
        label = f"label=com.docker.compose.service={service}" if service else "label=com.docker.compose.service"
        project = f"label=com.docker.compose.project={self.project}"
        return run("docker", "ps", "--filter", project, "--filter", label, "--format", "{{.Names}}").split()

    def inspect(self, container: str) -> Json:
        """The output of `docker inspect` for a container."""
        found: Json = json.loads(run("docker", "inspect", container))[0]
        return found

    def address(self, name: str, scheme: str = "http") -> str:
        """The URL of a port."""
        return f"{scheme}://127.0.0.1:{self._ports[name]}"

    def create_admin(self, *files: Path) -> None:
        """Creates the admin that `call` signs in as."""
        words = ("python", "-m", "services.auth.admin", "create-admin", "--email", "boss@example.com")
        self.compose("exec", "-T", "auth", *words, text=PASSWORD, files=files)

    def call(self, method: str, path: str, content: str | None = None, body: Json | None = None) -> httpx.Response:
        """The gateway's response to the admin, who signs in for each call, as a job may take longer than a token is valid."""
        form = {"grant_type": "password", "username": "boss@example.com", "password": PASSWORD}
        with httpx.Client(base_url=self.address("GATEWAY"), timeout=30) as client:
            token = client.post("/auth/token", data=form).raise_for_status().json()["access_token"]
            return client.request(method, path, content=content, json=body, headers={"authorization": f"Bearer {token}"})

    def run_job(self, path: str, **body: str) -> Json:
        """Submits a job over REST, and returns it once it has ended."""
        id = self.call("POST", path, body=body).raise_for_status().json()["id"]
        deadline = time.monotonic() + JOB_SECONDS
        while time.monotonic() < deadline:
            job: Json = self.call("GET", f"/jobs/{id}").raise_for_status().json()
            if job["state"] not in ("JOB_STATE_QUEUED", "JOB_STATE_RUNNING"):
                return job
            time.sleep(3)
        raise TimeoutError(f"{path}: {job}")

    def secrets(self) -> list[str]:
        """The secrets, which must not be visible anywhere."""
        texts = [file.read_text().strip() for file in (self.folder / "secrets").iterdir()]
        return [text for text in texts if "\n" not in text and not text.startswith("{")]

    def remove(self) -> None:
        """Removes all containers, networks and volumes."""
        self.compose("--profile", "*", "down", "--volumes", "--timeout", "5")

    def _make_environment(self) -> None:
        run("python3", "-m", "stack.containers.environment", str(self.folder))


def run(*command: str, text: str = "") -> str:
    """The output of a command. If it fails, prints the end of its output and raises `CalledProcessError`."""
    process = subprocess.run(command, input=text, capture_output=True, text=True, check=False, cwd=FOLDER.parent)
    if process.returncode:
        print(process.stdout[-3000:], process.stderr[-3000:])
    process.check_returncode()
    return process.stdout
