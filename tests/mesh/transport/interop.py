"""The interoperability tests of gRPC with grpc-go, which Go fetches: `python -m tests.mesh.transport.interop`.

Both directions, in plain text and over TLS: Go's client with our server, our client with Go's server. The cases are those of
`interop-test-descriptions.md`. Go's programs know no client certificates; connectconformance does.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc.aio
import uvloop
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from mesh import certificates
from mesh.transport.channel import Channel, ChannelOptions
from mesh.transport.server import TransportServer
from tests.mesh.transport.go_tools import go_tool

VERSION = "v1.85.0"
SERVICE = "grpc.testing.TestService"
# What Go's client asks of a server. `status_code_and_message` and the like are cases too.
CASES = (
    "empty_unary",
    "large_unary",
    "client_streaming",
    "server_streaming",
    "ping_pong",
    "empty_stream",
    "timeout_on_sleeping_server",
    "cancel_after_begin",
    "cancel_after_first_response",
    "status_code_and_message",
    "special_status_message",
    "custom_metadata",
    "unimplemented_method",
    "unimplemented_service",
)
_BYTES = 4 * 1024 * 1024
_FIELD = descriptor_pb2.FieldDescriptorProto
# The part of `grpc/testing/messages.proto` that the cases use: fields by number, type and message.
MESSAGES: dict[str, list[tuple[str, int, int, str]]] = {
    "Empty": [],
    "Payload": [("body", 2, _FIELD.TYPE_BYTES, "")],
    "EchoStatus": [("code", 1, _FIELD.TYPE_INT32, ""), ("message", 2, _FIELD.TYPE_STRING, "")],
    "ResponseParameters": [("size", 1, _FIELD.TYPE_INT32, ""), ("interval_us", 2, _FIELD.TYPE_INT32, "")],
    "SimpleRequest": [
        ("response_size", 2, _FIELD.TYPE_INT32, ""),
        ("payload", 3, _FIELD.TYPE_MESSAGE, "Payload"),
        ("response_status", 7, _FIELD.TYPE_MESSAGE, "EchoStatus"),
    ],
    "SimpleResponse": [("payload", 1, _FIELD.TYPE_MESSAGE, "Payload")],
    "StreamingInputCallRequest": [("payload", 1, _FIELD.TYPE_MESSAGE, "Payload")],
    "StreamingInputCallResponse": [("aggregated_payload_size", 1, _FIELD.TYPE_INT32, "")],
    "StreamingOutputCallRequest": [
        ("response_parameters", 2, _FIELD.TYPE_MESSAGE, "ResponseParameters"),
        ("payload", 3, _FIELD.TYPE_MESSAGE, "Payload"),
        ("response_status", 7, _FIELD.TYPE_MESSAGE, "EchoStatus"),
    ],
    "StreamingOutputCallResponse": [("payload", 1, _FIELD.TYPE_MESSAGE, "Payload")],
}


def _classes() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(name="interop.proto", package="grpc.testing", syntax="proto3")
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, number, kind, of in fields:
            label = _FIELD.LABEL_REPEATED if field == "response_parameters" else _FIELD.LABEL_OPTIONAL
            added = message.field.add(name=field, number=number, type=kind, label=label)
            if of:
                added.type_name = f".grpc.testing.{of}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"grpc.testing.{name}")) for name in MESSAGES}


TYPES = _classes()


class InteropService:
    """The server's part of the cases."""

    async def empty(self, request: Any, context: Any) -> Any:
        return request

    async def unary(self, request: Any, context: Any) -> Any:
        await _echo_metadata(context)
        await _echo_status(request, context)
        return TYPES["SimpleResponse"](payload=TYPES["Payload"](body=bytes(request.response_size)))

    async def inputs(self, requests: AsyncIterator[Any], context: Any) -> Any:
        size = 0
        async for request in requests:
            size += len(request.payload.body)
        return TYPES["StreamingInputCallResponse"](aggregated_payload_size=size)

    async def outputs(self, request: Any, context: Any) -> AsyncIterator[Any]:
        for parameters in request.response_parameters:
            await asyncio.sleep(parameters.interval_us / 1e6)
            yield TYPES["StreamingOutputCallResponse"](payload=TYPES["Payload"](body=bytes(parameters.size)))

    async def duplex(self, requests: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
        await _echo_metadata(context)
        async for request in requests:
            await _echo_status(request, context)
            async for response in self.outputs(request, context):
                yield response

    def handlers(self) -> dict[str, Any]:
        def handler(make: Any, behaviour: Any, request: str, response: str) -> Any:
            return make(behaviour, TYPES[request].FromString, TYPES[response].SerializeToString)

        output = "StreamingOutputCallRequest", "StreamingOutputCallResponse"
        return {
            "EmptyCall": handler(grpc.unary_unary_rpc_method_handler, self.empty, "Empty", "Empty"),
            "UnaryCall": handler(grpc.unary_unary_rpc_method_handler, self.unary, "SimpleRequest", "SimpleResponse"),
            "StreamingInputCall": handler(
                grpc.stream_unary_rpc_method_handler, self.inputs, "StreamingInputCallRequest", "StreamingInputCallResponse"
            ),
            "StreamingOutputCall": handler(grpc.unary_stream_rpc_method_handler, self.outputs, *output),
            "FullDuplexCall": handler(grpc.stream_stream_rpc_method_handler, self.duplex, *output),
        }


async def _echo_metadata(context: Any) -> None:
    metadata = dict(context.invocation_metadata())
    if (text := metadata.get("x-grpc-test-echo-initial")) is not None:
        await context.send_initial_metadata((("x-grpc-test-echo-initial", text),))
    if (raw := metadata.get("x-grpc-test-echo-trailing-bin")) is not None:
        context.set_trailing_metadata((("x-grpc-test-echo-trailing-bin", raw),))


async def _echo_status(request: Any, context: Any) -> None:
    if request.HasField("response_status"):
        code = next(code for code in grpc.StatusCode if code.value[0] == request.response_status.code)
        await context.abort(code, request.response_status.message)


async def call_go(port: int, tls: ssl.SSLContext | None) -> list[str]:
    """The cases in which our client fails with Go's server."""
    failed = []
    async with Channel(f"localhost:{port}", ChannelOptions(max_message_bytes=_BYTES, tls=tls)) as channel:
        await asyncio.wait_for(channel.channel_ready(), 30)
        for case in OUR_CASES:
            try:
                async with asyncio.timeout(20):
                    await case(channel)
            except Exception as error:  # noqa: BLE001 any is a failure of the case
                failed.append(f"{case.__name__}: {error!r}")
    return failed


def _method(make: Any, name: str, request: str, response: str) -> Any:
    return make(f"/{SERVICE}/{name}", TYPES[request].SerializeToString, TYPES[response].FromString)


def _duplex(channel: Channel) -> Any:
    return _method(channel.stream_stream, "FullDuplexCall", "StreamingOutputCallRequest", "StreamingOutputCallResponse")


def _output_request(*sizes: int, interval_us: int = 0) -> Any:
    parameters = [TYPES["ResponseParameters"](size=size, interval_us=interval_us) for size in sizes]
    return TYPES["StreamingOutputCallRequest"](response_parameters=parameters, payload=TYPES["Payload"](body=bytes(27_182)))


async def empty_unary(channel: Channel) -> None:
    assert await _method(channel.unary_unary, "EmptyCall", "Empty", "Empty")(TYPES["Empty"]()) == TYPES["Empty"]()


async def large_unary(channel: Channel) -> None:
    request = TYPES["SimpleRequest"](response_size=314_159, payload=TYPES["Payload"](body=bytes(271_828)))
    metadata = (("x-grpc-test-echo-initial", "initial"), ("x-grpc-test-echo-trailing-bin", b"\xab\xab\xab"))
    call = _method(channel.unary_unary, "UnaryCall", "SimpleRequest", "SimpleResponse")(request, metadata=metadata)
    assert len((await call).payload.body) == 314_159
    assert dict(await call.initial_metadata())["x-grpc-test-echo-initial"] == "initial"
    assert dict(await call.trailing_metadata())["x-grpc-test-echo-trailing-bin"] == b"\xab\xab\xab"


async def client_streaming(channel: Channel) -> None:
    requests = [TYPES["StreamingInputCallRequest"](payload=TYPES["Payload"](body=bytes(size))) for size in (27_182, 8, 1_828, 45_904)]
    call = _method(channel.stream_unary, "StreamingInputCall", "StreamingInputCallRequest", "StreamingInputCallResponse")
    assert (await call(iter(requests))).aggregated_payload_size == 74_922


async def server_streaming(channel: Channel) -> None:
    sizes = (31_415, 9, 2_653, 58_979)
    call = _method(channel.unary_stream, "StreamingOutputCall", "StreamingOutputCallRequest", "StreamingOutputCallResponse")
    assert [len(response.payload.body) async for response in call(_output_request(*sizes))] == [*sizes]


async def ping_pong(channel: Channel) -> None:
    call = _duplex(channel)()
    for size in (31_415, 9, 2_653, 58_979):
        await call.write(_output_request(size))
        assert len((await call.read()).payload.body) == size
    await call.done_writing()
    assert await call.read() is grpc.aio.EOF


async def deadline(channel: Channel) -> None:
    call = _duplex(channel)(timeout=0.05)
    await call.write(_output_request(9, interval_us=2_000_000))
    assert await call.code() is grpc.StatusCode.DEADLINE_EXCEEDED


async def cancellation(channel: Channel) -> None:
    call = _duplex(channel)()
    await call.write(_output_request(31_415))
    await call.read()
    call.cancel()
    assert await call.code() is grpc.StatusCode.CANCELLED


async def status(channel: Channel) -> None:
    message = "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n"
    request = TYPES["SimpleRequest"](response_status=TYPES["EchoStatus"](code=2, message=message))
    call = _method(channel.unary_unary, "UnaryCall", "SimpleRequest", "SimpleResponse")(request)
    assert await call.code() is grpc.StatusCode.UNKNOWN
    assert await call.details() == message


async def unimplemented(channel: Channel) -> None:
    for name in ("UnimplementedCall", "Nothing"):
        call = _method(channel.unary_unary, name, "Empty", "Empty")(TYPES["Empty"]())
        assert await call.code() is grpc.StatusCode.UNIMPLEMENTED


OUR_CASES = (empty_unary, large_unary, client_streaming, server_streaming, ping_pong, deadline, cancellation, status, unimplemented)


async def called_by_go(client: Path, tls: ssl.SSLContext | None, options: list[str]) -> list[str]:
    """The cases in which Go's client, with these options, fails with our server."""
    server = TransportServer(_BYTES, 3_600)
    server.add_registered_method_handlers(SERVICE, InteropService().handlers())
    port = server.add_tls_port("127.0.0.1:0", tls) if tls else server.add_insecure_port("127.0.0.1:0")
    await server.start()
    failed = []
    for case in CASES:
        command = [str(client), "-server_host=127.0.0.1", f"-server_port={port}", f"-test_case={case}", *options]
        process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        output, _ = await asyncio.wait_for(process.communicate(), 60)
        if process.returncode:
            failed.append(f"{case}: {output.decode().strip().splitlines()[-1:]}")
    await server.stop(1)
    return failed


def tool(name: str) -> Path:
    """A program of grpc-go's."""
    return go_tool(f"google.golang.org/grpc/interop/{name}", VERSION, f"grpc-go-{name}")


def _with_go_server(tls: ssl.SSLContext | None, options: list[str]) -> list[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with subprocess.Popen([tool("server"), f"-port={port}", *options], stderr=subprocess.DEVNULL) as server:
        failed = uvloop.run(call_go(port, tls))
        server.terminate()
    return failed


def _report(title: str, count: int, failed: list[str]) -> bool:
    print(f"{title}: {count - len(failed)} of {count} cases pass")
    print("".join(f"  {line}\n" for line in failed), end="")
    return not failed


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        certificates.issue(folder)
        authority, certificate, key = (folder / file for file in ("ca.crt", "catalog.crt", "catalog.key"))
        client_tls = ssl.create_default_context(cafile=authority)
        client_tls.set_alpn_protocols(["h2"])
        server_tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        server_tls.load_cert_chain(certificate, key)
        server_tls.set_alpn_protocols(["h2"])
        go_server_options = ["-use_tls", f"-tls_cert_file={certificate}", f"-tls_key_file={key}"]
        go_client_options = ["-use_tls", "-use_test_ca", f"-ca_file={authority}", "-server_host_override=localhost"]
        passed = [
            _report("our client, Go's server, plain text", len(OUR_CASES), _with_go_server(None, [])),
            _report("our client, Go's server, TLS", len(OUR_CASES), _with_go_server(client_tls, go_server_options)),
            _report("Go's client, our server, plain text", len(CASES), uvloop.run(called_by_go(tool("client"), None, []))),
            _report("Go's client, our server, TLS", len(CASES), uvloop.run(called_by_go(tool("client"), server_tls, go_client_options))),
        ]
    sys.exit(not all(passed))


if __name__ == "__main__":
    main()
