"""The replicas behind a target: which there are, a connection to each, and which of them are healthy."""

from __future__ import annotations

import asyncio
import logging
import random
import ssl
from collections.abc import Callable
from typing import Any

import grpc.aio
from grpc_health.v1 import health_pb2

from mesh.transport.addresses import Address, Target
from mesh.transport.connection import Http2Connection
from mesh.transport.limits import Limits

_log = logging.getLogger(__name__)

_Change = Callable[[], None]
_State = grpc.ChannelConnectivity

_FIRST_DELAY, _MAX_DELAY, _MULTIPLIER, _JITTER = 0.1, 1.0, 1.6, 0.2
_CONNECT_SECONDS = 5
_RESOLVE_SECONDS = 1
_CLOSE_SECONDS = 1


class Replicas:
    """Connections to every address of a target, used in turn.

    watch: begins a call that watches the health of a service; None if all that are connected are healthy
    """

    def __init__(self, target: Target, tls: ssl.SSLContext | None, limits: Limits, watch: Callable[[], Any] | None) -> None:
        self.target, self.tls, self.limits, self.watch = target, tls, limits, watch
        self.problem = ""
        """Why there is no connection."""
        self._replicas: dict[Address, _Replica] = {}
        self._resolving: asyncio.Task[None] | None = None
        self._stale = asyncio.Event()
        self._changed = asyncio.Event()
        self._on_change: _Change | None = None
        self._unresolved = False
        self._ready: list[_Replica] = []
        self._turn = 0

    @property
    def has_failed(self) -> bool:
        """Whether all are away."""
        if self._unresolved:
            return True
        return bool(self._replicas) and all(replica.failed for replica in self._replicas.values())

    @property
    def state(self) -> grpc.ChannelConnectivity:
        if self._on_change is None:
            return _State.IDLE
        if self._ready:
            return _State.READY
        return _State.TRANSIENT_FAILURE if self.has_failed else _State.CONNECTING

    def start(self, on_change: _Change) -> None:
        """Begins to connect. `on_change` is called whenever there may be a connection for calls that wait, or none any more."""
        if self._on_change is None:
            self._on_change = on_change
            self._resolving = asyncio.get_running_loop().create_task(self._resolve())

    def pick(self) -> Http2Connection | None:
        """The next healthy connection; None if there is none."""
        ready = self._ready
        for _ in range(len(ready)):
            self._turn = (self._turn + 1) % len(ready)
            connection = ready[self._turn].connection
            if connection and connection.is_open:
                return connection
        return None

    def announce(self, problem: str = "") -> None:
        """A replica has become ready, or is so no more."""
        self.problem = problem or self.problem
        self._ready = [replica for replica in self._replicas.values() if replica.healthy]
        self._changed.set()
        self._changed = asyncio.Event()
        if self._on_change:
            self._on_change()

    def look_again(self) -> None:
        """The addresses may have changed."""
        self._stale.set()

    async def wait_for_change(self) -> None:
        await self._changed.wait()

    async def close(self) -> None:
        """Closes all connections."""
        connections = [replica.connection for replica in self._replicas.values() if replica.connection]
        tasks = [task for task in (self._resolving, *(replica.task for replica in self._replicas.values())) if task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for connection in connections:
            connection.close()
        if connections:
            await asyncio.wait([connection.lost for connection in connections], timeout=_CLOSE_SECONDS)

    async def _resolve(self) -> None:
        while True:
            self._stale.clear()
            try:
                addresses = await self.target.resolve()
            except (OSError, UnicodeError) as error:
                self._unresolved = not self._replicas
                self.announce(f"{self.target.authority} is not known: {getattr(error, 'strerror', '') or error}")
                await asyncio.sleep(_RESOLVE_SECONDS)
                continue
            self._unresolved = False
            self._take(addresses)
            await asyncio.sleep(_RESOLVE_SECONDS)
            await self._stale.wait()

    def _take(self, addresses: list[Address]) -> None:
        for address in addresses:
            if address not in self._replicas:
                self._replicas[address] = _Replica(self, address)
        for address in self._replicas.keys() - set(addresses):
            self._replicas.pop(address).leave()
        self.announce()


class _Replica:
    """One address, connected to again and again."""

    def __init__(self, replicas: Replicas, address: Address) -> None:
        self.connection: Http2Connection | None = None
        self.healthy = False
        self.failed = False
        """Whether the last try to connect failed, or the replica says that it is not healthy."""
        self._replicas = replicas
        self._address = address
        self.task = asyncio.get_running_loop().create_task(self._stay_connected())

    def leave(self) -> None:
        """The address is gone. Calls under way end in their time."""
        self.task.cancel()
        self.healthy = False

    async def _stay_connected(self) -> None:
        delay = _FIRST_DELAY
        while True:
            began = asyncio.get_running_loop().time()
            try:
                await self._connect()
                delay = _FIRST_DELAY
            except Exception as error:  # noqa: BLE001 whatever it is, calls wait for the next try
                if not isinstance(error, OSError):
                    _log.exception("cannot connect to %s", self._name())
                self._set(healthy=False, failed=True, problem=f"{self._name()} cannot be reached: {error or type(error).__name__}")
                pause = delay * random.uniform(1 - _JITTER, 1 + _JITTER) - (asyncio.get_running_loop().time() - began)  # noqa: S311 no secret
                delay = min(delay * _MULTIPLIER, _MAX_DELAY)
                self._replicas.look_again()
                await asyncio.sleep(max(pause, 0))

    async def _connect(self) -> None:
        """Connects, and returns when the connection takes no more calls."""
        connection = _ReplicaConnection(self._replicas.limits)
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                await self._open(connection)
                await connection.settled.wait()
            if not connection.is_open:
                refusal = " or refuses this certificate" if self._replicas.tls else ""
                raise ConnectionError(f"the peer does not speak HTTP/2{refusal}")
            self.connection = connection
            await self._serve(connection)
        finally:
            self.connection = None
            connection.close_when_idle()
            self._replicas.look_again()
        self._set(healthy=False, failed=False)

    async def _open(self, connection: _ReplicaConnection) -> None:
        loop, address, context = asyncio.get_running_loop(), self._address, self._replicas.tls
        name = self._replicas.target.authority.rpartition(":")[0].strip("[]") if context else None
        try:
            if address.path:
                await loop.create_unix_connection(lambda: connection, address.path)
            else:
                await loop.create_connection(lambda: connection, address.host, address.port, ssl=context, server_hostname=name)
        except BaseException:
            # uvloop closes the socket of a connect that is given up, and does not tell the protocol, which may have heard of its beginning.
            connection.connection_lost(None)
            raise

    async def _serve(self, connection: _ReplicaConnection) -> None:
        if self._replicas.watch is None:
            self._set(healthy=True, failed=False)
            await connection.ending.wait()
            return
        watching = asyncio.create_task(self._follow_health(connection, self._replicas.watch))
        try:
            await connection.ending.wait()
        finally:
            watching.cancel()

    async def _follow_health(self, connection: _ReplicaConnection, watch: Callable[[], Any]) -> None:
        while connection.is_open:
            call = watch()
            try:
                call.start_on(connection)
                while (answer := await call.read()) is not grpc.aio.EOF:
                    healthy = answer.status == health_pb2.HealthCheckResponse.SERVING
                    self._set(healthy=healthy, failed=not healthy, problem=f"{self._name()} is not healthy")
            except (grpc.aio.AioRpcError, ConnectionError) as error:
                if isinstance(error, grpc.aio.AioRpcError) and error.code() is grpc.StatusCode.UNIMPLEMENTED:
                    self._set(healthy=True, failed=False)
                    return
                self._set(healthy=False, failed=True, problem=f"{self._name()} does not say whether it is healthy")
            finally:
                call.cancel()
            await asyncio.sleep(_FIRST_DELAY)

    def _set(self, *, healthy: bool, failed: bool, problem: str = "") -> None:
        if (healthy, failed) != (self.healthy, self.failed) or failed:
            self.healthy, self.failed = healthy, failed
            self._replicas.announce(problem)

    def _name(self) -> str:
        return self._address.path or f"{self._address.host}:{self._address.port}"


class _ReplicaConnection(Http2Connection):
    """A connection that says when it is open, and when no more."""

    def __init__(self, limits: Limits) -> None:
        super().__init__(limits, is_client=True)
        self.settled = asyncio.Event()
        self.ending = asyncio.Event()

    def on_open(self) -> None:
        self.settled.set()

    def on_closing(self) -> None:
        self.ending.set()

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        self.settled.set()
        self.ending.set()
