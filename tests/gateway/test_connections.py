"""Connections to the gateway: kept alive after errors, closed with notice, left open while idle, and reused by a proxy."""

import getpass
import json
import os
import shutil
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path

import pytest

from gateway.body import MAX_BODY, MAX_DRAINED, MAX_IGNORED
from gateway.connections import RequestCounts
from gateway.contract import Contract
from gateway.settings import Settings
from tests.engines.ports import free_port
from tests.gateway.conftest import gateway, wait_until_up
from tests.gateway.everything import EverythingServer
from tests.gateway.test_rest import connection

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
# Requests whose body is not needed for the response, and its status.
UNREAD = [
    ("POST", "/everything", 415),
    ("POST", "/nowhere", 404),
    ("POST", "/everything/a", 405),
    ("GET", "/everything/a", 200),
    ("DELETE", "/everything/a", 200),
    ("POST", "/healthz", 405),
    ("GET", "/healthz", 200),
]
NGINX = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")


@pytest.mark.parametrize("length", [6, 60_000, MAX_DRAINED])
def test_a_connection_outlives_the_errors_that_do_not_read_the_body(gateway_url: str, length: int) -> None:
    rounds = 80 if length == 6 else 40
    assert responses(gateway_url, rounds, length) == Counter({status: 8 * rounds * count for status, count in expected().items()})


def expected() -> Counter[int]:
    return Counter(status for _, _, status in UNREAD)


def responses(url: str, rounds: int, length: int) -> Counter[int]:
    """The statuses that eight clients get, each on one connection that must not be lost. They send a body apart from its headers."""
    with ThreadPoolExecutor(8) as pool:
        return sum(pool.map(lambda _: statuses(url, rounds, length), range(8)), Counter[int]())


def statuses(url: str, rounds: int, length: int) -> Counter[int]:
    counted: Counter[int] = Counter()
    with client(url) as wire:
        wire.connect()
        sock = wire.sock
        for _ in range(rounds):
            for method, path, _ in UNREAD:
                wire.request(method, path, b"a=" + b"b" * (length - 2), FORM)
                response = wire.getresponse()
                response.read()
                counted[response.status] += 1
                assert wire.sock is sock, (method, path)
    return counted


def client(url: str) -> closing[HTTPConnection]:
    return closing(HTTPConnection(url.removeprefix("http://"), timeout=20))


@pytest.mark.parametrize("length", [MAX_DRAINED + 1, MAX_IGNORED])
@pytest.mark.parametrize("path", ["/nowhere", "/everything", "/healthz"])
def test_the_answer_to_a_body_that_is_too_long_to_be_discarded_arrives(gateway_url: str, path: str, length: int) -> None:
    with client(gateway_url) as wire:
        for _ in range(20):
            wire.request("POST", path, b"b" * length, FORM)
            response = wire.getresponse()
            assert response.status in (404, 405, 415)
            assert response.headers["connection"] == "close"
            assert json.load(response)["code"]
            assert wire.sock is None


def test_a_client_that_waits_for_leave_to_send_its_body_is_not_asked_for_one_in_vain(gateway_url: str) -> None:
    with connection(gateway_url) as wire:
        wire.sendall(b"POST /nowhere HTTP/1.1\r\nhost: x\r\ncontent-length: 6\r\nexpect: 100-continue\r\n\r\n")
        head = wire.recv(4096)
        assert head.startswith(b"HTTP/1.1 404 ") and b"connection: close" in head.lower()


def test_a_body_that_stops_coming_costs_its_connection_and_nothing_else(gateway_url: str) -> None:
    with connection(gateway_url) as unwanted, connection(gateway_url) as wanted:
        for wire, path in ((unwanted, "/nowhere"), (wanted, "/everything")):
            wire.settimeout(60)
            wire.sendall(f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 6\r\n\r\n".encode() + b"{")
        for wire, status in ((unwanted, 404), (wanted, 504)):
            received = everything_from(wire)
            assert received.startswith(f"HTTP/1.1 {status} ".encode())
            assert b"connection: close" in received.lower()


def everything_from(wire: socket.socket) -> bytes:
    received = b""
    while piece := wire.recv(65536):
        received += piece
    return received


def test_an_upload_that_was_answered_early_may_be_sent_to_its_end(gateway_url: str) -> None:
    line = b'{"text": "enough"}\n'
    with client(gateway_url) as wire:
        for _ in range(20):
            wire.request("POST", "/everything:import", line * (2 * MAX_BODY // len(line)))
            response = wire.getresponse()
            assert (response.status, response.headers["connection"]) == (400, "close")
            assert json.load(response)["details"][0]["reason"] == "ENOUGH"


def test_the_close_after_a_request_that_is_not_http_is_announced(gateway_url: str) -> None:
    for request in (b"nonsense\r\n\r\n", b"GET /healthz HTTP/1.1\r\nx: " + b"a" * 200_000 + b"\r\n\r\n"):
        with connection(gateway_url) as wire:
            wire.sendall(request)
            assert b"connection: close" in wire.recv(4096).lower()


def test_an_idle_connection_stays_open_as_long_as_the_setting_says(contract: Contract, service: EverythingServer, tmp_path: Path) -> None:
    assert Settings.model_fields["keep_alive_seconds"].default == 75
    settings = {"GATEWAY_WORKERS": "1", "GATEWAY_KEEP_ALIVE_SECONDS": "4"}
    with gateway(contract, service, tmp_path, settings) as (url, _), connection(url) as wire:
        for _ in range(2):
            wire.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
            assert wire.recv(4096).startswith(b"HTTP/1.1 200 ")
            time.sleep(1)
        wire.settimeout(30)
        assert wire.recv(4096) == b""


@pytest.mark.skipif(NGINX is None, reason="nginx is not installed")
def test_a_request_that_begins_before_the_handler_of_the_last_one_has_returned_is_under_way() -> None:
    requests, peer = RequestCounts[tuple[str, int]](), ("203.0.113.7", 40_000)
    requests.add(peer)
    requests.add(peer)
    requests.remove(peer)
    # Otherwise the watch over connections would take the second for one with slow headers, and close its connection.
    assert peer in requests
    requests.remove(peer)
    assert not requests


def test_a_proxy_that_keeps_connections_has_no_bad_gateway(gateway_url: str, tmp_path: Path) -> None:
    with nginx(gateway_url, tmp_path) as url:
        assert responses(url, 50, 6) + responses(url, 10, 60_000) == Counter({status: 480 * n for status, n in expected().items()})
    log = (tmp_path / "errors.log").read_text()
    assert "upstream" not in log, log


@contextmanager
def nginx(upstream: str, folder: Path) -> Iterator[str]:
    listen = f"127.0.0.1:{free_port()}"
    folders = "".join(f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (folder / "nginx.conf").write_text(
        f"""
        daemon off; pid {folder}/nginx.pid; error_log {folder}/errors.log warn; user {getpass.getuser()};
        events {{ worker_connections 256; }}
        http {{
            access_log off; {folders}
            upstream gateway {{ server {upstream.removeprefix("http://")}; keepalive 16; }}
            server {{
                listen {listen};
                keepalive_requests 1000000;
                location / {{ proxy_pass http://gateway; proxy_http_version 1.1; proxy_set_header Connection ""; }}
            }}
        }}
        """
    )
    with subprocess.Popen([str(NGINX), "-e", f"{folder}/errors.log", "-c", f"{folder}/nginx.conf"]) as process:
        try:
            wait_until_up(f"http://{listen}")
            yield f"http://{listen}"
        finally:
            process.terminate()
