"""Submitting jobs from a terminal, to services that run as they do in the stack."""

import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from services.jobs.domain import Failure, Job
from stack.processes.probes import grpc_serves
from tests.engines.ports import free_port
from tests.engines.postgres import Postgres
from tests.services.auth.processes import Auth
from tests.services.database import migrate_services
from tests.services.jobs.replica import JobsReplica

EMAIL, PASSWORD = "ann@example.com", "a password of ann's"
START_SECONDS = 60


@pytest.fixture(scope="module")
def environment(postgres: Postgres, database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of the jobs service, while it and auth run."""
    folder = tmp_path_factory.mktemp("terminal")
    users = migrate_services(postgres.create_database(), "auth")["auth"]
    with Auth(folder, users) as auth:
        command = [sys.executable, "-m", "services.auth.admin", "create-admin", "--email", EMAIL]
        subprocess.run(command, env=os.environ | auth.environment, input=PASSWORD, text=True, check=True, capture_output=True)
        port = free_port()
        own_secrets = {name: secrets.token_urlsafe(32) for name in ("JOBS_SECRET", "JOBS_SERVICE_SECRET")}
        settings = {"JOBS_LISTEN": f"127.0.0.1:{port}", "JOBS_DATABASE_URL": database_url, **own_secrets}
        environment = os.environ | settings | {"MESH_AUTH_ADDRESS": auth.address}
        with (folder / "jobs.log").open("wb") as log:
            service = subprocess.Popen([sys.executable, "-m", "services.jobs"], env=environment, stdout=log, stderr=log)
        deadline = time.monotonic() + START_SECONDS
        while not grpc_serves(port):
            assert time.monotonic() < deadline, (folder / "jobs.log").read_text()
            time.sleep(0.1)
        yield environment
        service.terminate()
        assert service.wait(timeout=30) == 0


@pytest.fixture
def terminal(environment: dict[str, str], replica: JobsReplica) -> Iterator[subprocess.Popen[str]]:
    """The command, waiting for the password."""
    command = [sys.executable, "-m", "services.jobs.terminal", "--email", EMAIL]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as terminal:
        yield terminal
        terminal.kill()
    replica.end_all()


def claim(replica: JobsReplica) -> Job:
    deadline = time.monotonic() + START_SECONDS
    while (job := replica.claim()) is None:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return job


def test_it_shows_the_progress_and_the_outcome_of_a_job(terminal: subprocess.Popen[str], replica: JobsReplica) -> None:
    assert terminal.stdin and terminal.stderr
    terminal.stdin.write(f"{PASSWORD}\n")
    terminal.stdin.flush()
    cleaning = replica.save(claim(replica)._replace(stage="writing sales", done_count=3, total_count=6))
    assert cleaning is not None
    while "writing sales, 3 of 6 done" not in terminal.stderr.readline():
        assert terminal.poll() is None
    replica.succeed(cleaning)
    output, _ = terminal.communicate(timeout=30)
    assert "3 lines: 0 sales, 0 duplicates, 0 refused" in output
    assert terminal.returncode == 0


def test_a_failed_job_is_a_failed_command(terminal: subprocess.Popen[str], replica: JobsReplica) -> None:
    assert terminal.stdin
    terminal.stdin.write(f"{PASSWORD}\n")
    terminal.stdin.flush()
    job = claim(replica)
    replica.save(job.fail(Failure("NO_RAW_DATA", "There are no sales files."), job.create_time))
    output, _ = terminal.communicate(timeout=30)
    assert output == "The job failed (NO_RAW_DATA): There are no sales files.\n"
    assert terminal.returncode == 1


def test_a_wrong_password_is_reported(terminal: subprocess.Popen[str]) -> None:
    _, errors = terminal.communicate("wrong\n", timeout=30)
    assert terminal.returncode == 1
    assert "Traceback" not in errors and errors.strip()
