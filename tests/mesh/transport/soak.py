"""Full load on one server while its connections are killed: no wrong answer, no leak. `python -m tests.mesh.transport.soak [SECONDS]`."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import grpc.aio
import psutil
import uvloop

from tests.mesh.transport.peers import connect, method

ROOT = Path(__file__).resolve().parents[3]
CALLERS = 32
KILLED = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}


class Load:
    """Calls of all kinds, and what came of them."""

    def __init__(self, channel: grpc.aio.Channel, seconds: float) -> None:
        self._end = time.monotonic() + seconds
        self._unary, self._both, self._responses = (method(channel, name) for name in ("Unary", "Both", "Responses"))
        self.outcomes: Counter[str] = Counter()

    async def call_on(self) -> None:
        while time.monotonic() < self._end:
            try:
                self.outcomes["right" if await self._call() else "WRONG"] += 1
            except grpc.aio.AioRpcError as error:
                self.outcomes[error.code().name if error.code() in KILLED else f"WRONG: {error.code().name}, {error.details()}"] += 1

    async def _call(self) -> bool:
        body = random.randbytes(random.choice((0, 10, 1_000, 100_000)))  # noqa: S311 no secret
        match random.randrange(5):  # noqa: S311 no secret
            case 0:
                requests = [body, b"x", body]
                return [response async for response in self._both(iter(requests), timeout=10)] == requests
            case 1:
                call = self._responses(b"endless", timeout=10)
                await call.read()
                call.cancel()
                return True
            case 2:
                call = self._unary(b"wait", timeout=0.05)
                return await call.code() in KILLED
        return bool(await self._unary(b"-" + body, timeout=10) == b"-" + body)

    async def kill(self, proxy: Proxy) -> None:
        while time.monotonic() < self._end:
            await asyncio.sleep(0.5)
            proxy.kill()


class Proxy:
    """Passes bytes on, until it cuts the connections."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._writers: set[asyncio.StreamWriter] = set()
        self.kills = 0

    async def start(self) -> int:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        port: int = server.sockets[0].getsockname()[1]
        return port

    def kill(self) -> None:
        for writer in tuple(self._writers):
            self.kills += 1
            writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        onward_reader, onward = await asyncio.open_connection("127.0.0.1", self._port)
        self._writers |= {writer, onward}
        await asyncio.gather(self._pass(reader, onward), self._pass(onward_reader, writer))
        self._writers -= {writer, onward}

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        writer.transport.abort()


async def soak(port: int, server: psutil.Process, seconds: float) -> bool:
    """Whether all went well."""
    proxy = Proxy(port)
    own, connected = psutil.Process(), True
    async with connect(await proxy.start()) as channel:
        memory = []
        calls: Counter[str] = Counter()
        for _ in range(6):
            load, kills = Load(channel, seconds / 6), proxy.kills
            await asyncio.gather(load.kill(proxy), *(load.call_on() for _ in range(CALLERS)))
            connected &= proxy.kills > kills
            calls += load.outcomes
            memory.append((own.memory_info().rss // 2**20, server.memory_info().rss // 2**20))
            print(f"client, server MiB: {memory[-1]}; {proxy.kills} kills; {dict(calls)}", flush=True)
    # The first sixth warms up.
    flat = all(last < 1.2 * first + 16 for first, last in zip(memory[1], memory[-1], strict=True))
    return flat and connected and not any(outcome.startswith("WRONG") for outcome in calls)


def main(seconds: float) -> None:
    command = [sys.executable, "-m", "tests.mesh.transport.echo_server"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        port = int(server.stdout.readline() if server.stdout else 0)
        well = uvloop.run(soak(port, psutil.Process(server.pid), seconds))
        server.terminate()
    sys.exit(not well)


if __name__ == "__main__":
    main(float(sys.argv[1]) if sys.argv[1:] else 60)
