"""Whether a process is ready to be used, asked the way its users ask."""

import http.client
import json
import socket
from urllib.request import urlopen

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

TIMEOUT_SECONDS = 1


def grpc_serves(port: int) -> bool:
    """Whether the gRPC server on this port of the loopback says that it serves."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        check = channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=HealthCheckRequest.SerializeToString,
            response_deserializer=HealthCheckResponse.FromString,
        )
        try:
            answer: HealthCheckResponse = check(HealthCheckRequest(), timeout=TIMEOUT_SECONDS)
        except grpc.RpcError:
            return False
    return answer.status == HealthCheckResponse.SERVING


def http_answers(port: int, path: str) -> bool:
    """Whether the HTTP server on this port of the loopback answers 200 on this path."""
    try:
        with urlopen(f"http://127.0.0.1:{port}{path}", timeout=TIMEOUT_SECONDS):
            return True
    except (OSError, http.client.HTTPException):
        return False


def http_json(port: int, path: str) -> object:
    """What the HTTP server on this port of the loopback says on this path; None if it says nothing."""
    try:
        with urlopen(f"http://127.0.0.1:{port}{path}", timeout=TIMEOUT_SECONDS) as answer:
            said: object = json.load(answer)
            return said
    except (OSError, http.client.HTTPException, ValueError):
        return None


def listens(port: int) -> bool:
    """Whether anything takes connections on this port of the loopback."""
    with socket.socket() as probe:
        probe.settimeout(TIMEOUT_SECONDS)
        return probe.connect_ex(("127.0.0.1", port)) == 0
