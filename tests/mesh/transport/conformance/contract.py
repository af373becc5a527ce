"""The suite's messages, made from the contracts that its Go module brings, and how its runner sends them."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import grpc_tools
from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, empty_pb2, message_factory, struct_pb2
from grpc_tools import protoc

PACKAGE = "connectrpc.conformance.v1"
SERVICE = f"{PACKAGE}.ConformanceService"
# Registered by their imports.
_WELL_KNOWN = {module.DESCRIPTOR.name for module in (any_pb2, empty_pb2, struct_pb2)}
_LENGTH_BYTES = 4


def compile_contract(folder: Path, output: Path) -> None:
    """Compiles the contracts in the module's folder `proto` to a set of descriptors."""
    well_known = Path(grpc_tools.__file__).parent / "_proto"
    sources = sorted(map(str, (folder / "connectrpc" / "conformance" / "v1").glob("*.proto")))
    options = [f"--proto_path={folder}", f"--proto_path={well_known}", "--include_imports", f"--descriptor_set_out={output}"]
    if protoc.main(["protoc", *options, *sources]):
        raise RuntimeError(f"the contracts in {folder} cannot be compiled")


def load_contract(descriptors: Path) -> None:
    """Registers the messages."""
    for file in descriptor_pb2.FileDescriptorSet.FromString(descriptors.read_bytes()).file:
        if file.name not in _WELL_KNOWN:
            descriptor_pool.Default().AddSerializedFile(file.SerializeToString())


@cache
def message_class(name: str) -> Any:
    """The class of a message of the suite, by its name in the package."""
    return message_factory.GetMessageClass(descriptor_pool.Default().FindMessageTypeByName(f"{PACKAGE}.{name}"))


def frame(message: Any) -> bytes:
    """A message as it goes over the pipes."""
    body: bytes = message.SerializeToString()
    return len(body).to_bytes(_LENGTH_BYTES, "big") + body


def frame_size(prefix: bytes) -> int:
    """The size of the message after a prefix of four bytes."""
    return int.from_bytes(prefix, "big")


def metadata_pairs(headers: Iterable[Any]) -> list[tuple[str, str | bytes]]:
    """The suite's headers as metadata. Binary values are base64, or taken as they are."""
    return [(header.name.lower(), _value(header.name.lower(), value)) for header in headers for value in header.value]


def headers_of(metadata: Iterable[tuple[str, str | bytes]]) -> list[Any]:
    """Metadata as the suite's headers: one for each name."""
    values: dict[str, list[str]] = {}
    for key, value in metadata:
        text = base64.b64encode(value).rstrip(b"=").decode() if isinstance(value, bytes) else value
        values.setdefault(key, []).append(text)
    return [message_class("Header")(name=name, value=texts) for name, texts in values.items()]


def _value(name: str, value: str) -> str | bytes:
    if not name.endswith("-bin"):
        return value
    try:
        return base64.b64decode(value + "=" * (-len(value) % 4), validate=True)
    except binascii.Error:
        return value.encode()
