"""What an interceptor takes and returns: the handler of one method."""

from collections.abc import AsyncIterable, Awaitable, Callable, Mapping

import grpc.aio

# A request, or a stream of requests.
Body = bytes | AsyncIterable[bytes]
# A response, or None when responses were streamed.
Answer = bytes | None
Context = grpc.aio.ServicerContext[bytes, bytes]
Metadata = Mapping[str, str]
# Serves one call.
Handler = Callable[[Body, Context, Metadata], Awaitable[Answer]]
