"""The gateway as processes: several workers on one port, and a graceful stop."""

import os
import signal
import threading
import time
from pathlib import Path

import httpx
import psutil

from gateway.contract import Contract
from tests.gateway.conftest import gateway
from tests.gateway.everything import EverythingServer
from tests.gateway.test_rest import connection, wait_for


def test_calls_under_way_are_completed_before_the_gateway_stops(contract: Contract, service: EverythingServer, tmp_path: Path) -> None:
    with gateway(contract, service, tmp_path, {"GATEWAY_WORKERS": "2"}) as (url, process):
        responses: list[int] = []
        asked = len(service.requests)
        calls = [threading.Thread(target=lambda: responses.append(httpx.get(f"{url}/waits/1.5", timeout=10).status_code)) for _ in range(4)]
        for call in calls:
            call.start()
        wait_for(lambda: len(service.requests) == asked + 4)
        process.send_signal(signal.SIGTERM)
        for call in calls:
            call.join()
        assert responses == [200] * 4
        assert process.wait(timeout=15) == 0


def test_a_worker_that_dies_is_replaced_while_the_others_answer(contract: Contract, service: EverythingServer, tmp_path: Path) -> None:
    with gateway(contract, service, tmp_path, {"GATEWAY_WORKERS": "2"}) as (url, process):
        workers = [child for child in psutil.Process(process.pid).children() if "spawn_main" in " ".join(child.cmdline())]
        assert len(workers) == 2
        wait_for(lambda: all(is_listening(worker) for worker in workers))
        os.kill(workers[0].pid, signal.SIGKILL)
        wait_for(lambda: not workers[0].is_running())
        assert [httpx.get(f"{url}/everything/a").status_code for _ in range(5)] == [200] * 5


def is_listening(process: psutil.Process) -> bool:
    return any(connection.status == psutil.CONN_LISTEN for connection in process.net_connections())


def test_an_upload_that_was_answered_early_does_not_keep_the_gateway_from_stopping(
    contract: Contract, service: EverythingServer, tmp_path: Path
) -> None:
    # Like most clients, it sends its whole body whatever the response.
    head = b"POST /everything:import HTTP/1.1\r\nhost: shop\r\ntransfer-encoding: chunked\r\n\r\n"
    line = b'{"text": "enough"}\n'
    with gateway(contract, service, tmp_path, {"GATEWAY_WORKERS": "1"}) as (url, process):
        with connection(url) as client:
            client.sendall(head + b"%x\r\n%s\r\n" % (len(line), line))
            assert client.recv(1024).startswith(b"HTTP/1.1 400 ")
            client.sendall(b"%x\r\n%s\r\n0\r\n\r\n" % (len(line), line))
            time.sleep(0.2)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0
