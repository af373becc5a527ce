"""Response streams, which have no end of their own."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from mesh.errors import Unavailable
from mesh.interceptors.handler import Answer, Body, Context, Handler, Metadata

T = TypeVar("T")


class Streams:
    """The response streams that a server serves, which it ends when it stops."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[object]] = set()
        self._ended = False

    def endable(self, handler: Handler) -> Handler:
        """A handler whose calls `end` ends with UNAVAILABLE, so that clients retry."""

        async def run(body: Body, context: Context, metadata: Metadata) -> Answer:
            return await self.run(handler(body, context, metadata))

        return run

    async def run(self, stream: Awaitable[T]) -> T:
        """Awaits a stream to its end. Raises `Unavailable` when `end` is called before."""
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a stream runs in a task")
        self._tasks.add(task)
        try:
            return await stream
        except asyncio.CancelledError:
            if not self._ended:
                raise
            task.uncancel()
            raise Unavailable("SERVICE_UNAVAILABLE", "the service is stopping") from None
        finally:
            self._tasks.discard(task)

    def end(self) -> None:
        """Ends all streams."""
        self._ended = True
        for task in self._tasks:
            task.cancel()
