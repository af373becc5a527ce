"""Calls between this transport and itself, and between it and grpcio."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import grpc.aio
import pytest
import uvloop

from mesh.transport import replicas
from mesh.transport.server import TransportServer
from tests.mesh.transport.peers import MAX_BYTES, SERVICE, Echo, connect, method, pairs, serve

both_ways = pytest.mark.parametrize(("client", "server"), pairs())


async def numbers(count: int) -> AsyncIterator[bytes]:
    for number in range(count):
        yield b"%d" % number


@both_ways
async def test_all_four_kinds_of_calls(client: str, server: str) -> None:
    async with serve(Echo(), server) as (_, port), connect(port, client) as channel:
        assert await method(channel, "Unary")(b"hello", timeout=5) == b"hello"
        assert await method(channel, "Unary")(b"", timeout=5) == b""
        assert [response async for response in method(channel, "Responses")(b"3", timeout=5)] == [b"0", b"1", b"2"]
        assert await method(channel, "Requests")(numbers(3), timeout=5) == b"0,1,2"
        assert [response async for response in method(channel, "Both")(numbers(3), timeout=5)] == [b"0", b"1", b"2"]


@both_ways
async def test_a_stream_is_read_and_written_message_by_message(client: str, server: str) -> None:
    async with serve(Echo(), server) as (_, port), connect(port, client) as channel:
        call = method(channel, "Both")(timeout=5)
        for message in (b"a", b"b"):
            await call.write(message)
            assert await call.read() == message
        await call.done_writing()
        assert await call.read() is grpc.aio.EOF
        assert await call.code() is grpc.StatusCode.OK


@both_ways
async def test_metadata_arrives_on_both_ends(client: str, server: str) -> None:
    echo = Echo()
    async with serve(echo, server) as (_, port), connect(port, client) as channel:
        call = method(channel, "Unary")(b"initial", timeout=5, metadata=(("x-text", "plain"), ("x-bytes-bin", b"\x00\x01\xfe")))
        assert await call == b"initial"
        assert dict(await call.initial_metadata())["x-initial"] == "begin"
        trailing = dict(await call.trailing_metadata())
    assert (echo.metadata["x-text"], echo.metadata["x-bytes-bin"]) == ("plain", b"\x00\x01\xfe")
    assert (trailing["x-trailing"], trailing["x-raw-bin"]) == ("end", b"\x00\xff")


@both_ways
@pytest.mark.parametrize("details", ["no stock", "100 % of Übergröße ☃", "line\nbreak", "ends with a space ", " begins with one", ""])
async def test_a_status_arrives_with_its_message_and_metadata(client: str, server: str, details: str) -> None:
    async with serve(Echo(), server) as (_, port), connect(port, client) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await method(channel, "Unary")(f"fail {details}".encode(), timeout=5)
    assert failed.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert failed.value.details() == details
    assert dict(failed.value.trailing_metadata())["x-why"] == "asked"


@both_ways
async def test_a_deadline_ends_a_call_on_both_ends(client: str, server: str) -> None:
    echo = Echo()
    async with serve(echo, server) as (_, port), connect(port, client) as channel:
        await method(channel, "Unary")(b"", timeout=5)
        assert echo.remaining is not None
        # grpcio rounds a timeout up to three digits or so, such as 5010m.
        assert 0 < echo.remaining <= 5.1
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await method(channel, "Unary")(b"wait", timeout=0.2)
        await asyncio.wait_for(echo.cancelled.wait(), 5)
    assert failed.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


@both_ways
async def test_a_cancelled_call_ends_its_handler(client: str, server: str) -> None:
    echo = Echo()
    async with serve(echo, server) as (_, port), connect(port, client) as channel:
        call = method(channel, "Responses")(b"1")
        assert await call.read() == b"0"
        call.cancel()
        await asyncio.wait_for(echo.cancelled.wait(), 5)
        assert await call.code() is grpc.StatusCode.CANCELLED


@both_ways
async def test_a_cancelled_task_cancels_its_call(client: str, server: str) -> None:
    echo = Echo()
    async with serve(echo, server) as (_, port), connect(port, client) as channel:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await method(channel, "Unary")(b"wait")
        await asyncio.wait_for(echo.cancelled.wait(), 5)


@both_ways
async def test_a_server_may_answer_before_the_last_request(client: str, server: str) -> None:
    async with serve(Echo(), server) as (_, port), connect(port, client) as channel:
        call = method(channel, "Requests")(timeout=5)
        await call.write(b"enough")
        assert await call == b"enough"


@both_ways
async def test_large_messages_pass_and_too_large_ones_do_not(client: str, server: str) -> None:
    async with serve(Echo(), server) as (_, port), connect(port, client) as channel:
        largest = b"x" * (MAX_BYTES - 16)
        assert await method(channel, "Unary")(largest, timeout=10) == largest
        for request in (b"x" * (MAX_BYTES + 1), b"size %d" % (MAX_BYTES + 1)):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await method(channel, "Unary")(request, timeout=10)
            assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert await method(channel, "Unary")(b"still here", timeout=5) == b"still here"


@both_ways
async def test_an_unknown_method_is_unimplemented_and_an_error_does_not_tell_its_text(client: str, server: str) -> None:
    async with serve(Echo(), server) as (_, port), connect(port, client) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as unknown:
            nothing: Any = channel.unary_unary(f"/{SERVICE}/Nothing")
            await nothing(b"", timeout=5)
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await method(channel, "Unary")(b"divide", timeout=5)
    assert unknown.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert failed.value.code() is grpc.StatusCode.UNKNOWN
    assert server == "grpcio" or "Zero" not in str(failed.value.details())


@both_ways
async def test_many_calls_at_once_get_their_own_responses(client: str, server: str) -> None:
    async with serve(Echo(), server) as (_, port), connect(port, client) as channel:
        call = method(channel, "Unary")
        requests = [b"%d" % number * 100 for number in range(300)]
        assert await asyncio.gather(*(call(request, timeout=20) for request in requests)) == requests


async def test_a_server_reads_what_grpcio_compresses() -> None:
    async with serve(Echo()) as (_, port), connect(port, "grpcio") as channel:
        response = await method(channel, "Unary")(b"x" * 10_000, timeout=5, compression=grpc.Compression.Gzip)
        assert response == b"x" * 10_000
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await method(channel, "Unary")(b"x" * 10_000, timeout=5, compression=grpc.Compression.Deflate)
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED


@both_ways
async def test_a_stopping_server_completes_its_calls_and_takes_no_more(client: str, server: str) -> None:
    echo = Echo()
    async with serve(echo, server) as (stopping, port), connect(port, client) as channel:
        call = method(channel, "Both")(timeout=10)
        await call.write(b"before")
        assert await call.read() == b"before"
        stopped = asyncio.create_task(stopping.stop(5))
        await asyncio.sleep(0.1)
        await call.write(b"after")
        assert await call.read() == b"after"
        await call.done_writing()
        assert await call.code() is grpc.StatusCode.OK
        await stopped
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await method(channel, "Unary")(b"", timeout=5)
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_call_that_outlasts_the_grace_is_cancelled() -> None:
    echo = Echo()
    async with serve(echo) as (server, port), connect(port) as channel:
        call = method(channel, "Unary")(b"wait")
        while not echo.begun:
            await asyncio.sleep(0.01)
        await server.stop(0.1)
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            await call
    assert ended.value.code() in (grpc.StatusCode.CANCELLED, grpc.StatusCode.UNAVAILABLE)
    assert echo.cancelled.is_set()


async def test_no_call_is_lost_when_connections_age() -> None:
    async with serve(Echo(), max_age_seconds=0.5) as (_, port), connect(port) as channel:
        call, end = method(channel, "Unary"), time.monotonic() + 4
        while time.monotonic() < end:
            assert await asyncio.gather(*(call(b"x", timeout=5) for _ in range(8))) == [b"x"] * 8


async def test_a_slow_reader_stops_the_writer(client: str = "native") -> None:
    echo = Echo()
    async with serve(echo) as (_, port), connect(port, client) as channel:
        call = method(channel, "Responses")(b"endless")
        await call.read()
        await asyncio.sleep(0.5)
        before = echo.sent
        await asyncio.sleep(0.5)
        # What is under way: a window, and what waits for it.
        assert echo.sent == before < 64
        for _ in range(100):
            await call.read()
        assert echo.sent > 100
        call.cancel()


async def test_a_caller_that_tries_again_and_again_leaves_the_event_loop_to_others() -> None:
    """While calls fail at once, the channel has to find the time to reconnect."""
    async with serve(Echo()) as (server, port), connect(port) as channel:
        assert await method(channel, "Unary")(b"x", timeout=5) == b"x"
        await server.stop(None)
        async with asyncio.timeout(20):
            failures = 0
            async with asyncio.TaskGroup() as group:
                revival = group.create_task(_serve_again(port))
                while True:
                    try:
                        assert await method(channel, "Unary")(b"y", timeout=5) == b"y"
                        break
                    except grpc.aio.AioRpcError as error:
                        assert error.code() is grpc.StatusCode.UNAVAILABLE
                        failures += 1
                await (await revival).stop(None)
    assert failures


async def _serve_again(port: int) -> TransportServer:
    await asyncio.sleep(0.5)
    server = TransportServer(MAX_BYTES, 60)
    server.add_registered_method_handlers(SERVICE, Echo().handlers())
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    return server


async def test_what_gRPC_cannot_carry_is_refused_by_its_sender() -> None:  # noqa: N802
    async with serve(Echo()) as (_, port), connect(port) as channel:
        for metadata in ((("x-text", "line\nbreak"),), (("X Space", "x"),), (("grpc-own", "x"),)):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await method(channel, "Unary")(b"", timeout=5, metadata=metadata)
            assert refused.value.code() is grpc.StatusCode.INTERNAL


def test_a_connection_that_opens_just_too_late_is_followed_by_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine: uvloop takes the socket away from a protocol that believes that it is connected."""
    opened = []

    class Late(replicas._ReplicaConnection):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            opened.append(transport)
            if len(opened) == 1:
                time.sleep(1.1)

    async def call() -> None:
        async with serve(Echo()) as (_, port), connect(port) as channel:
            assert await method(channel, "Unary")(b"hello", timeout=10, wait_for_ready=True) == b"hello"

    monkeypatch.setattr(replicas, "_ReplicaConnection", Late)
    monkeypatch.setattr(replicas, "_CONNECT_SECONDS", 1)
    uvloop.run(call())
    assert len(opened) == 2
