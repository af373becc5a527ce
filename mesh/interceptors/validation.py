"""Validation of requests against the rules of their contract."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterable, AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

import grpc
import protovalidate
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import DecodeError, Message

from mesh import telemetry
from mesh.errors import DeadlineExceeded, FieldViolation, InvalidArgument, Unimplemented
from mesh.interceptors.handler import Answer, Body, Context, Handler, Metadata


def violations(message: Message) -> list[FieldViolation]:
    """The rules of its contract that a message breaks."""
    return [
        FieldViolation(_named_path(found.proto.field, found.proto.rule_id), found.proto.message or found.proto.rule_id)
        for found in protovalidate.collect_violations(message)
    ]


def with_validation(method_handler: grpc.RpcMethodHandler[Message, Message], method: MethodDescriptor) -> Handler:
    """The innermost handler: the method of the servicer, called with valid requests and before their deadline only."""
    behaviour = _behaviour(method_handler, method)
    if behaviour is None:
        return _not_implemented(method)
    deserialize: Any = method_handler.request_deserializer
    serialize: Any = method_handler.response_serializer

    def parse(body: Body) -> Message | AsyncIterator[Message]:
        return _message(body, deserialize) if isinstance(body, bytes) else _messages(body, deserialize)

    async def answer(body: Body, context: Context, _metadata: Metadata) -> Answer:
        _check_deadline()
        response: bytes = serialize(await behaviour(parse(body), context))
        return response

    async def stream(body: Body, context: Context, _metadata: Metadata) -> Answer:
        _check_deadline()
        async with aclosing(behaviour(parse(body), context)) as messages:
            async for message in messages:
                await context.write(serialize(message))
        return None

    return stream if method_handler.response_streaming else answer


def _behaviour(method_handler: grpc.RpcMethodHandler[Message, Message], method: MethodDescriptor) -> Any:
    """The method of the servicer, or None if it has inherited it from the generated class. Raises `TypeError` if it is not async."""
    # gRPC's types know the four kinds of behaviour as those of its synchronous half.
    behaviour: Any = (
        method_handler.unary_unary or method_handler.unary_stream or method_handler.stream_unary or method_handler.stream_stream
    )
    if behaviour.__module__.endswith("_pb2_grpc"):
        return None
    streams = method_handler.response_streaming
    if not (inspect.isasyncgenfunction(behaviour) if streams else inspect.iscoroutinefunction(behaviour)):
        raise TypeError(f"{method.full_name} must be served by an async {'generator' if streams else 'function'}")
    return behaviour


def _not_implemented(method: MethodDescriptor) -> Handler:
    async def abort(_body: Body, _context: Context, _metadata: Metadata) -> Answer:
        raise Unimplemented("NOT_IMPLEMENTED", "{method} is not served here", method=method.full_name)

    return abort


def _check_deadline() -> None:
    if telemetry.is_past_deadline():
        raise DeadlineExceeded("DEADLINE_EXCEEDED", "the deadline had passed before the call was begun")


def _message(body: bytes, deserialize: Callable[[bytes], Message]) -> Message:
    try:
        message = deserialize(body)
    except DecodeError:
        raise InvalidArgument("the request is not a message of this method", reason="MALFORMED_REQUEST") from None
    if found := violations(message):
        first = found[0]
        if not first.field:
            raise InvalidArgument(first.description, violations=found)
        raise InvalidArgument("{field}: {violation}", violations=found, violation=first.description)
    return message


async def _messages(bodies: AsyncIterable[bytes], deserialize: Callable[[bytes], Message]) -> AsyncIterator[Message]:
    async for body in bodies:
        yield _message(body, deserialize)


def _named_path(path: protovalidate.FieldPathPb | None, rule_id: str) -> str:
    """The path of the field that breaks a rule. A rule on a message is named by the path of the field that it concerns: `product.name`."""
    outer = _path(path)
    return rule_id if outer and rule_id.startswith(f"{outer}.") else outer


def _path(path: protovalidate.FieldPathPb | None) -> str:
    """A dotted path such as `product.price_cents`, `ids[3]`, `labels["size"]`; empty for the message as a whole."""
    names = []
    for element in path.elements if path else ():
        subscript = element.subscript
        names.append(element.field_name + (f"[{_quote(subscript.value)}]" if subscript else ""))
    return ".".join(names)


def _quote(subscript: object) -> str:
    return f'"{subscript}"' if isinstance(subscript, str) else str(subscript)
