"""The local stack, from up to down."""

import os
import signal
import socket
import stat
import time
from pathlib import Path

import httpx
import psutil
import pytest
from dotenv import dotenv_values

from tests.e2e.stack import PROCESSES, Stack, own_stack

PASSWORD = "correct horse battery"


def sign_up(stack: Stack, email: str) -> httpx.Response:
    return httpx.post(f"{stack.rest}/users", timeout=30, json={"email": email, "password": PASSWORD, "display_name": "Ann"})


def sign_in(stack: Stack, email: str) -> httpx.Response:
    return httpx.post(f"{stack.rest}/auth/token", timeout=30, data={"grant_type": "password", "username": email, "password": PASSWORD})


def test_a_second_up_finds_everything_ready_and_leaves_it_alone(stack: Stack) -> None:
    pids = stack.pids()
    assert set(pids) == set(PROCESSES)
    assert "is up already" in stack.up()
    assert stack.pids() == pids


@pytest.mark.parametrize("name", PROCESSES)
def test_a_process_that_is_killed_is_started_again(stack: Stack, name: str) -> None:
    pid = stack.pids()[name]
    os.kill(pid, signal.SIGKILL)
    stack.wait_ready()
    assert stack.pids()[name] != pid
    assert httpx.get(f"{stack.rest}/products", timeout=30).status_code == httpx.codes.OK


def test_what_users_told_it_outlives_a_stop(stack: Stack) -> None:
    assert sign_up(stack, "stays@example.com").status_code == httpx.codes.CREATED
    pids = stack.pids()
    stack.down()
    assert not any(psutil.pid_exists(pid) for pid in pids.values())
    assert set(stack.states().values()) == {"stopped"}
    stack.up()
    assert sign_in(stack, "stays@example.com").status_code == httpx.codes.OK


def test_its_secrets_are_their_owners_alone_and_on_no_command_line(stack: Stack) -> None:
    file = stack.folder / "secrets.env"
    assert stat.S_IMODE(file.stat().st_mode) == stat.S_IRUSR | stat.S_IWUSR
    secrets = [secret for secret in dotenv_values(file).values() if secret]
    commands = [" ".join(psutil.Process(pid).cmdline()) for pid in stack.pids().values()]
    assert not [command for command in commands for secret in secrets if secret in command]
    logs = "".join(log.read_text() for log in (stack.folder / "logs").iterdir())
    assert not [secret for secret in secrets if secret in logs]


def test_logs_are_kept_for_each_process(stack: Stack) -> None:
    assert {path.stem for path in (stack.folder / "logs").iterdir()} >= set(PROCESSES)
    refusal = stack.run("logs", "florist")
    assert refusal.returncode == 1
    assert "florist" in refusal.stderr


def test_nothing_is_left_behind_when_what_keeps_it_running_is_killed(stack: Stack) -> None:
    pids = stack.pids()
    os.kill(psutil.Process(pids["auth"]).ppid(), signal.SIGKILL)
    deadline = time.monotonic() + 30
    while any(psutil.pid_exists(pid) for pid in pids.values()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    stack.up()


def test_a_database_that_is_there_already_is_used_and_no_other_started(fresh_stack: Stack, postgres_url: str) -> None:
    stack = Stack({**fresh_stack.environment, "POSTGRES_URL": postgres_url})
    stack.up()
    assert set(stack.states()) == set(PROCESSES) - {"postgres"}
    assert sign_up(stack, "ann@example.com").status_code == httpx.codes.CREATED
    assert not (stack.folder / "data").exists()


def test_a_taken_port_is_named_with_the_setting_that_chooses_another(fresh_stack: Stack) -> None:
    with socket.socket() as somebody:
        somebody.bind(("127.0.0.1", int(fresh_stack.environment["POSTGRES_PORT"])))
        somebody.listen()
        refusal = fresh_stack.run("up")
    assert refusal.returncode == 1
    assert "POSTGRES_PORT" in refusal.stderr
    assert len(refusal.stderr.splitlines()) == 1


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    refusal = own_stack(file / "stack").run("up")
    assert refusal.returncode == 1
    assert str(file / "stack") in refusal.stderr
    assert len(refusal.stderr.splitlines()) == 1


def test_a_setting_that_makes_no_sense_is_named(tmp_path: Path) -> None:
    refusal = Stack({**own_stack(tmp_path).environment, "AUTH_PORT": "fifty"}).run("up")
    assert refusal.returncode == 1
    assert "AUTH_PORT='fifty'" in refusal.stderr
