"""What hostile and broken callers cannot do to others: keep connections, streams and memory from them."""

import socket
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress

import httpx
import pytest

from gateway.body import MAX_BODY
from gateway.body_limits import max_body
from gateway.connections import MAX_LOOKS_AT_HEADERS, WATCH_SECONDS
from gateway.contract import Contract
from gateway.settings import ROOT
from tests.gateway.access_tokens import unsigned_token
from tests.gateway.conftest import gateway
from tests.gateway.dribblers import BODY, HEADERS, dribbling
from tests.gateway.everything import EverythingServer
from tests.gateway.test_rest import connection, wait_for

SETTINGS = {
    "GATEWAY_WORKERS": "1",
    "GATEWAY_TRUSTED_PROXIES": '["127.0.0.1/32"]',
    "GATEWAY_MAX_CONNECTIONS": "120",
    "GATEWAY_MAX_CONNECTIONS_PER_ADDRESS": "20",
    "GATEWAY_MAX_REQUESTS": "30",
    "GATEWAY_MAX_BODY_BYTES": str(2 * MAX_BODY),
    "GATEWAY_MAX_STREAMS_PER_ADDRESS": "3",
}
STRANGER = {"x-forwarded-for": "203.0.113.7"}


@pytest.fixture(scope="module")
def guarded_url(contract: Contract, service: EverythingServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with gateway(contract, service, tmp_path_factory.mktemp("gateway"), SETTINGS) as (url, _):
        yield url


def seconds_of_answer(url: str) -> float:
    """How long a client waits for its answer on a connection of its own."""
    began = time.monotonic()
    assert httpx.get(f"{url}/everything/a", timeout=10).status_code == 200
    return time.monotonic() - began


@pytest.mark.parametrize("first", [HEADERS, BODY], ids=["headers", "bodies"])
def test_two_hundred_slow_connections_of_one_address_do_not_keep_others_waiting(guarded_url: str, first: bytes) -> None:
    with dribbling(guarded_url, ["127.0.0.2"] * 200, first) as dribblers:
        assert max(seconds_of_answer(guarded_url) for _ in range(20)) < 5
        wait_for(lambda: dribblers.closed >= 180)


def test_slow_connections_of_many_addresses_make_room_for_others(guarded_url: str) -> None:
    with dribbling(guarded_url, [f"127.0.1.{number}" for number in range(1, 201)], HEADERS) as dribblers:
        assert max(seconds_of_answer(guarded_url) for _ in range(20)) < 5
        wait_for(lambda: dribblers.closed >= 92)


def test_headers_have_a_deadline_of_their_own(guarded_url: str) -> None:
    with (
        connection(guarded_url) as slow,
        connection(guarded_url) as idle,
        dribbling(guarded_url, ["127.0.0.3"], HEADERS) as dribblers,
        ThreadPoolExecutor(3) as pool,
    ):
        answered = pool.submit(slowly_begun_requests, guarded_url)
        # Calls that take longer than headers may, on connections that had a request before.
        calling = pool.submit(second_request, guarded_url, "GET", f"/waits/{MAX_LOOKS_AT_HEADERS + 3}")
        uploading = pool.submit(second_request, guarded_url, "POST", "/everything:import", slow_lines())
        slow.settimeout(30)
        slow.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        assert slow.recv(4096).startswith(b"HTTP/1.1 200")
        # The kernel tells what came first by its ticks, of which one may take 10 ms.
        time.sleep(0.02)
        slow.sendall(HEADERS)
        assert slow.recv(4096) == b""
        wait_for(lambda: dribblers.closed == 1)
        idle.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        assert idle.recv(4096).startswith(b"HTTP/1.1 200")
        assert answered.result() > MAX_LOOKS_AT_HEADERS
        assert (calling.result(), uploading.result()) == (200, 200)


def second_request(url: str, method: str, path: str, content: Iterable[bytes] | None = None) -> int:
    """The status of a request on a connection that had another one before."""
    with httpx.Client(base_url=url, timeout=60, headers={"grpc-timeout": "60S"}) as client:
        assert client.get("/healthz").status_code == 200
        return client.request(method, path, content=content).status_code


def slow_lines() -> Iterator[bytes]:
    for _ in range(MAX_LOOKS_AT_HEADERS + 3):
        yield b'{"text": "a"}\n'
        time.sleep(WATCH_SECONDS)


def slowly_begun_requests(url: str) -> int:
    """How many of some requests are answered on one connection, each of which is found begun by another look."""
    answered = 0
    with connection(url) as wire:
        for _ in range(MAX_LOOKS_AT_HEADERS + 2):
            wire.sendall(HEADERS)
            time.sleep(WATCH_SECONDS)
            wire.sendall(b"\r\n\r\n")
            answered += wire.recv(4096).startswith(b"HTTP/1.1 200")
            time.sleep(0.02)
    return answered


def test_a_body_has_a_deadline_however_steadily_it_dribbles(guarded_url: str) -> None:
    began = time.monotonic()
    with connection(guarded_url) as wire:
        wire.sendall(BODY)
        wire.settimeout(0.5)
        while not (answer := received(wire)):
            wire.sendall(b" ")
    assert answer.startswith(b"HTTP/1.1 504") and b"too slow" in answer and b"connection: close" in answer
    assert 9 < time.monotonic() - began < 20


def received(wire: socket.socket) -> bytes:
    try:
        return wire.recv(65536)
    except TimeoutError:
        return b""


def test_requests_beyond_what_a_worker_serves_at_once_are_asked_to_come_later(guarded_url: str) -> None:
    with httpx.Client(limits=httpx.Limits(max_connections=100)) as client, ThreadPoolExecutor(40) as pool:
        responses = list(pool.map(client.get, [f"{guarded_url}/waits/2"] * 40))
    assert Counter(response.status_code for response in responses) == {200: 30, 503: 10}
    refused = next(response for response in responses if response.status_code == 503)
    assert (refused.json()["details"][0]["reason"], refused.headers["retry-after"]) == ("OVERLOADED", "1")


def test_streams_beyond_those_of_an_address_are_refused_until_one_ends(guarded_url: str) -> None:
    path = f"{guarded_url}/everything/silent:watch"
    with httpx.Client() as client, ExitStack() as streams:
        for _ in range(2):
            assert streams.enter_context(client.stream("GET", path, headers=STRANGER)).status_code == 200
        with client.stream("GET", path, headers=STRANGER) as third:
            assert third.status_code == 200
            refused = client.get(path, headers=STRANGER)
            assert (refused.status_code, refused.headers["retry-after"]) == (429, "30")
            assert refused.json()["details"][0]["reason"] == "TOO_MANY_STREAMS"
            with client.stream("GET", path, headers={"x-forwarded-for": "203.0.113.8"}) as of_another:
                assert of_another.status_code == 200
        wait_for(lambda: opens(client, path))


def opens(client: httpx.Client, path: str) -> bool:
    with client.stream("GET", path, headers=STRANGER) as response:
        return response.status_code == 200


def test_large_bodies_of_many_callers_do_not_pass_the_budget(guarded_url: str) -> None:
    size, arrived = MAX_BODY - 10, threading.Barrier(21)
    with ThreadPoolExecutor(20) as pool:
        answers = pool.map(lambda number: send_body_in_two(guarded_url, f"127.0.4.{number}", size, arrived), range(1, 21))
        arrived.wait(30)
        # Small bodies have room besides.
        assert httpx.post(f"{guarded_url}/everything", json={"text": "a" * 10_000}).status_code == 200
        arrived.wait(30)
        statuses = Counter(answer[9:12] for answer in answers)
    assert set(statuses) == {b"200", b"503"} and statuses[b"200"] <= 2
    assert httpx.post(f"{guarded_url}/everything", content=b" " * size).status_code == 200


def send_body_in_two(url: str, address: str, size: int, arrived: threading.Barrier) -> bytes:
    """Sends a body but for its last bytes, and these after the others have. Returns how the answer begins."""
    body = b'{"text": "' + b"a" * (size - 12) + b'"}'
    with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), 30, (address, 0)) as wire:
        wire.sendall(b"POST /everything HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % size)
        with suppress(OSError):
            wire.sendall(body[:-5])
        arrived.wait(30)
        arrived.wait(30)
        with suppress(OSError):
            wire.sendall(body[-5:])
        answer = wire.recv(65536)
        assert b" 503 " not in answer or b"retry-after: 1" in answer
        return answer


@pytest.mark.parametrize(
    ("authorization", "reason"),
    [
        ("", "TOKEN_MISSING"),
        ("Basic YTpi", "TOKEN_MISSING"),
        ("Bearer abc", "TOKEN_INVALID"),
        (unsigned_token("ann", -120), "TOKEN_EXPIRED"),
    ],
)
def test_without_a_token_where_one_is_needed_no_body_is_read(guarded_url: str, authorization: str, reason: str) -> None:
    with connection(guarded_url) as wire:
        wire.settimeout(5)
        headers = f"authorization: {authorization}\r\n" if authorization else ""
        wire.sendall(f"POST /guarded HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n{headers}\r\n".encode())
        answer = wire.recv(65536)
    assert answer.startswith(b"HTTP/1.1 401 ") and reason.encode() in answer and b"www-authenticate: Bearer" in answer


def test_with_a_token_the_service_decides(guarded_url: str, service: EverythingServer) -> None:
    response = httpx.post(f"{guarded_url}/guarded", json={"text": "a"}, headers={"authorization": unsigned_token()})
    assert (response.status_code, response.json()["text"]) == (200, "a")


def test_a_body_is_as_large_as_the_rules_of_its_fields_allow() -> None:
    contract = Contract((ROOT / "gen" / "descriptors.binpb").read_bytes())
    sizes = {binding.rule: max_body(binding) for binding in contract.bindings if binding.body}
    assert sizes["POST /auth/token"] <= 64 * 1024
    assert sizes["POST /auth/revoke"] == 16 * 1024
    assert sizes["POST /events"] == sizes["PUT /raw-files/uploads/{upload_id}"] == MAX_BODY


def test_a_sign_in_is_small(guarded_url: str) -> None:
    response = httpx.post(f"{guarded_url}/auth/token", data={"username": "a" * 100_000})
    assert (response.status_code, response.json()["error"]) == (413, "invalid_request")
