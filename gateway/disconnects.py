"""Cancels the calls of clients that disconnect."""

import asyncio

import grpc

from gateway.exchange import Exchange

# How often to look for calls that have lasted long enough to watch their clients.
WATCH_INTERVAL_SECONDS = 0.05


class DisconnectWatch:
    """Watches the clients of unary calls. One timer serves all calls, since most are over before a timer of their own would be worth it."""

    def __init__(self) -> None:
        self._calls: dict[grpc.aio.Call, Exchange] = {}
        self._tasks: dict[grpc.aio.Call, asyncio.Task[None]] = {}
        self._timer: asyncio.TimerHandle | None = None
        # The calls that were under way at the last look.
        self._seen: set[grpc.aio.Call] = set()

    def begin(self, call: grpc.aio.Call, exchange: Exchange) -> None:
        """Cancels the call if its client disconnects before `end`, which is then noted in the exchange."""
        self._calls[call] = exchange
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(WATCH_INTERVAL_SECONDS, self._look)

    def end(self, call: grpc.aio.Call) -> None:
        del self._calls[call]
        if task := self._tasks.pop(call, None):
            task.cancel()

    def _look(self) -> None:
        self._timer = None
        if not self._calls:
            self._seen.clear()
            return
        self._timer = asyncio.get_running_loop().call_later(WATCH_INTERVAL_SECONDS, self._look)
        for call in self._seen & self._calls.keys() - self._tasks.keys():
            self._tasks[call] = asyncio.ensure_future(_cancel_on_disconnect(call, self._calls[call]))
        self._seen = set(self._calls)


async def _cancel_on_disconnect(call: grpc.aio.Call, exchange: Exchange) -> None:
    await exchange.body.wait_for_disconnect()
    exchange.disconnected = True
    call.cancel()
