"""Channels to the services: retries, load balancing, keepalive, TLS, sign-in and deadlines."""

import json
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol, TypeVar

import grpc
from google.protobuf.descriptor_pb2 import FileDescriptorSet, MethodDescriptorProto, MethodOptions
from google.protobuf.message import Message

from hashiramart_client import contracts

DEADLINE_SECONDS = 10.0
REQUEST_ID = "request_id"

_MESSAGE_BYTES = 16 * 1024 * 1024
_RETRY_POLICY = {
    "maxAttempts": 4,
    "initialBackoff": "0.1s",
    "maxBackoff": "2s",
    "backoffMultiplier": 2,
    "retryableStatusCodes": ["UNAVAILABLE"],
}

T = TypeVar("T")
Metadata = Sequence[tuple[str, str | bytes]]


class AccessTokens(Protocol):
    """Gives the access token of the moment, as `Session` does."""

    def access_token(self) -> str: ...


@dataclass(frozen=True)
class Tls:
    """The files of TLS. Without `ca`, servers are verified by gRPC's own list of public authorities."""

    ca: Path | None = None
    """The certificate of the authority that has issued the servers' certificates."""
    certificate: Path | None = None
    """The client's own certificate, for servers that require one."""
    key: Path | None = None
    """The private key of the client's certificate."""

    def credentials(self) -> grpc.ChannelCredentials:
        ca, key, certificate = (path.read_bytes() if path else None for path in (self.ca, self.key, self.certificate))
        return grpc.ssl_channel_credentials(ca, key, certificate)


def open_channel(address: str, session: AccessTokens | None = None, tls: Tls | None = None) -> grpc.Channel:
    """A channel to a service at `host:port`, for its generated stub; plaintext without `tls`.

    Calls that change nothing, and those with a `request_id`, are retried while the service is unavailable; an empty `request_id` is filled.
    A unary call whose caller sets no timeout has a deadline of 10 seconds.

    session: the sign-in whose access token the calls carry
    """
    options = channel_options()
    channel = (
        grpc.insecure_channel(target(address), options) if tls is None else grpc.secure_channel(target(address), tls.credentials(), options)
    )
    return grpc.intercept_channel(channel, _CallSetup(session))


def target(address: str) -> str:
    """The gRPC target of `host:port`: all addresses that DNS has for the host."""
    return address if address.startswith(("dns:", "ipv4:", "ipv6:", "unix:")) else f"dns:///{address}"


def channel_options() -> list[tuple[str, Any]]:
    """The options of a channel, for those who open one by themselves."""
    return [
        ("grpc.max_receive_message_length", _MESSAGE_BYTES),
        ("grpc.max_send_message_length", _MESSAGE_BYTES),
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 5_000),
        ("grpc.max_reconnect_backoff_ms", 5_000),
        ("grpc.service_config", _service_config()),
    ]


def with_request_id(request: T) -> T:
    """The request, or a copy with a new `request_id` if it has such a field and it is empty."""
    if not isinstance(request, Message) or REQUEST_ID not in request.DESCRIPTOR.fields_by_name or getattr(request, REQUEST_ID):
        return request
    copy = type(request)()
    copy.CopyFrom(request)
    setattr(copy, REQUEST_ID, str(uuid.uuid4()))
    return copy


def with_token(metadata: Metadata | None, token: str | None) -> list[tuple[str, str | bytes]]:
    """The metadata of a call with an access token, unless the caller gave one."""
    pairs = [*(metadata or ())]
    if token and "authorization" not in {key for key, _ in pairs}:
        pairs.append(("authorization", f"Bearer {token}"))
    return pairs


@dataclass(frozen=True)
class _CallDetails(grpc.ClientCallDetails):
    method: str
    timeout: float | None
    metadata: tuple[tuple[str, str | bytes], ...]
    credentials: grpc.CallCredentials | None
    wait_for_ready: bool | None
    compression: grpc.Compression | None


class _CallSetup(
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamUnaryClientInterceptor,
    grpc.StreamStreamClientInterceptor,
):
    """Adds the access token, the request id and the deadline to calls."""

    def __init__(self, session: AccessTokens | None) -> None:
        self._session = session

    def intercept_unary_unary(self, continuation: Callable[..., Any], client_call_details: grpc.ClientCallDetails, request: Any) -> Any:
        return continuation(self._details(client_call_details, DEADLINE_SECONDS), with_request_id(request))

    def intercept_unary_stream(self, continuation: Callable[..., Any], client_call_details: grpc.ClientCallDetails, request: Any) -> Any:
        return continuation(self._details(client_call_details), request)

    def intercept_stream_unary(
        self, continuation: Callable[..., Any], client_call_details: grpc.ClientCallDetails, request_iterator: Iterator[Any]
    ) -> Any:
        return continuation(self._details(client_call_details), request_iterator)

    def intercept_stream_stream(
        self, continuation: Callable[..., Any], client_call_details: grpc.ClientCallDetails, request_iterator: Iterator[Any]
    ) -> Any:
        return continuation(self._details(client_call_details), request_iterator)

    def _details(self, details: grpc.ClientCallDetails, timeout: float | None = None) -> grpc.ClientCallDetails:
        return _CallDetails(
            details.method,
            timeout if details.timeout is None else details.timeout,
            tuple(with_token(details.metadata, self._session.access_token() if self._session else None)),
            details.credentials,
            details.wait_for_ready,
            details.compression,
        )


@cache
def _service_config() -> str:
    """The service config of all services: round robin, and retries of the methods for which they are safe."""
    files = FileDescriptorSet.FromString(contracts.descriptors())
    with_id = {f".{file.package}.{m.name}" for file in files.file for m in file.message_type if REQUEST_ID in {f.name for f in m.field}}
    names = [
        {"service": f"{file.package}.{service.name}", "method": method.name}
        for file, service in contracts.services(files)
        for method in service.method
        if _is_idempotent(method) or (method.input_type in with_id and not method.client_streaming)
    ]
    config = {"loadBalancingConfig": [{"round_robin": {}}], "methodConfig": [{"name": names, "retryPolicy": _RETRY_POLICY}]}
    return json.dumps(config | {"retryThrottling": {"maxTokens": 100, "tokenRatio": 0.1}})


def _is_idempotent(method: MethodDescriptorProto) -> bool:
    return method.options.idempotency_level in (MethodOptions.NO_SIDE_EFFECTS, MethodOptions.IDEMPOTENT)
