"""Readiness checks over the protocols that the processes' clients use."""

import http.client
import json
import socket
from urllib.request import urlopen

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

TIMEOUT_SECONDS = 1


def grpc_serves(port: int) -> bool:
    """Whether the gRPC server on this port of the loopback reports SERVING."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        check = channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=HealthCheckRequest.SerializeToString,
            response_deserializer=HealthCheckResponse.FromString,
        )
        try:
            response: HealthCheckResponse = check(HealthCheckRequest(), timeout=TIMEOUT_SECONDS)
        except grpc.RpcError:
            return False
    return response.status == HealthCheckResponse.SERVING


def http_answers(port: int, path: str) -> bool:
    """Whether the HTTP server on this port of the loopback answers a GET of this path with success."""
    try:
        with urlopen(f"http://127.0.0.1:{port}{path}", timeout=TIMEOUT_SECONDS):
            return True
    except (OSError, http.client.HTTPException):
        return False


def http_json(port: int, path: str) -> object:
    """The JSON that the HTTP server on this port of the loopback returns for this path, or None if it returns none."""
    try:
        with urlopen(f"http://127.0.0.1:{port}{path}", timeout=TIMEOUT_SECONDS) as response:
            content: object = json.load(response)
            return content
    except (OSError, http.client.HTTPException, ValueError):
        return None


def listens(port: int) -> bool:
    """Whether anything accepts connections on this port of the loopback."""
    with socket.socket() as probe:
        probe.settimeout(TIMEOUT_SECONDS)
        return probe.connect_ex(("127.0.0.1", port)) == 0
