"""Random and damaged messages on the RPCs of a server."""

import warnings
from collections.abc import Callable
from typing import Any

import grpc
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.errors import HypothesisDeprecationWarning

Metadata = tuple[tuple[str, str], ...]

BUGS = {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN}
SECONDS = 10
# A stream may have nothing to say.
STREAM_SECONDS = 0.2
KIND = FieldDescriptor
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.sampled_from(["85123A", "price_cents", "*", "\0", "a" * 5_000])
SCALARS: dict[int, st.SearchStrategy[Any]] = {
    KIND.CPPTYPE_STRING: TEXTS,
    KIND.CPPTYPE_BOOL: st.booleans(),
    KIND.CPPTYPE_INT32: st.integers(-(2**31), 2**31 - 1),
    KIND.CPPTYPE_INT64: st.integers(-(2**63), 2**63 - 1),
    KIND.CPPTYPE_UINT32: st.integers(0, 2**32 - 1),
    KIND.CPPTYPE_UINT64: st.integers(0, 2**64 - 1),
    KIND.CPPTYPE_DOUBLE: st.floats(),
    KIND.CPPTYPE_FLOAT: st.floats(width=32),
    KIND.CPPTYPE_ENUM: st.integers(-1, 9) | st.integers(-(2**31), 2**31 - 1),
}


def values(field: FieldDescriptor, depth: int) -> st.SearchStrategy[Any]:
    """Values of a field; of a list, its elements."""
    if field.message_type is not None:
        return messages(field.message_type, depth - 1)
    return st.binary(max_size=20) if field.type == field.TYPE_BYTES else SCALARS[field.cpp_type]


def messages(descriptor: Descriptor, depth: int = 4) -> st.SearchStrategy[Message]:
    """Messages of a type, with any of its fields."""
    fields = [field for field in descriptor.fields if depth or field.message_type is None]
    chosen = {field.name: st.lists(values(field, depth), max_size=3) for field in fields if not descriptor.GetOptions().map_entry}

    def build(content: dict[str, list[Any]]) -> Message:
        message = GetMessageClass(descriptor)()
        for name, listed in content.items():
            field = descriptor.fields_by_name[name]
            is_map = field.message_type is not None and field.message_type.GetOptions().map_entry
            if field.is_repeated and not is_map:
                getattr(message, name).extend(listed)
            elif listed and field.message_type is not None and not is_map:
                getattr(message, name).CopyFrom(listed[0])
            elif listed and not is_map:
                setattr(message, name, listed[0])
        return message

    return st.fixed_dictionaries({}, optional=chosen).map(build)


def damaged(content: bytes, place: int, other: bytes) -> bytes:
    """A message on the wire with some of its bytes replaced."""
    start = place % (len(content) + 1)
    return content[:start] + other + content[start + len(other) :]


def statuses_of(method: MethodDescriptor, address: str, metadata: Metadata, budget: settings) -> set[grpc.StatusCode]:
    """Calls a method with any messages, and returns the statuses. Fails if one is an internal error."""
    kind, statuses = GetMessageClass(method.input_type), set[grpc.StatusCode]()

    def check(message: Message, place: int, other: bytes) -> None:
        content = damaged(message.SerializeToString(), place, other)
        try:
            kind.FromString(content)
        except DecodeError:
            # gRPC answers what is no message by itself.
            content = message.SerializeToString()
        statuses.add(call(channel, method, content, metadata))
        assert not statuses & BUGS

    with grpc.insecure_channel(address) as channel:
        run: Callable[[], None] = budget(given(messages(method.input_type), st.integers(0, 2**16), st.binary(max_size=3))(check))
        with warnings.catch_warnings():
            # A server in this process draws random numbers of its own meanwhile, such as how long to wait.
            warnings.filterwarnings("ignore", "Do not use the `random` module", HypothesisDeprecationWarning)
            run()
    return statuses


def call(channel: grpc.Channel, method: MethodDescriptor, content: bytes, metadata: Metadata) -> grpc.StatusCode:
    """The status of a call; of a stream, that of its first message."""
    path = f"/{method.containing_service.full_name}/{method.name}"
    # Its types are those of generated code, which knows what it sends.
    raw: Any = channel
    try:
        if method.server_streaming:
            next(iter(raw.unary_stream(path)(content, metadata=metadata, timeout=STREAM_SECONDS)), None)
        elif method.client_streaming:
            raw.stream_unary(path)(iter([content]), metadata=metadata, timeout=SECONDS)
        else:
            raw.unary_unary(path)(content, metadata=metadata, timeout=SECONDS)
    except grpc.RpcError as error:
        return error.code()
    return grpc.StatusCode.OK
