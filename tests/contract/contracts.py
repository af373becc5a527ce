"""The contracts as data: every element with its full name and its comment, which generated code leaves out."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Generic, TypeVar

from google.api import annotations_pb2, field_behavior_pb2  # noqa: F401
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    EnumValueDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    MethodDescriptorProto,
    ServiceDescriptorProto,
)

# Their options are known to whoever has imported them.
from buf.validate import validate_pb2  # noqa: F401
from hashiramart.access.v1 import access_pb2  # noqa: F401

ROOT = Path(__file__).resolve().parents[2]

T = TypeVar(
    "T",
    DescriptorProto,
    EnumDescriptorProto,
    EnumValueDescriptorProto,
    FieldDescriptorProto,
    MethodDescriptorProto,
    ServiceDescriptorProto,
)


@dataclass(frozen=True)
class Element(Generic[T]):
    """Something that a contract declares."""

    name: str
    proto: T
    comment: str


@cache
def files() -> list[FileDescriptorProto]:
    """The files of our own contracts, as gen/ has them."""
    descriptors = FileDescriptorSet.FromString((ROOT / "gen" / "descriptors.binpb").read_bytes())
    return [file for file in descriptors.file if file.package.startswith("hashiramart.")]


def services() -> Iterator[Element[ServiceDescriptorProto]]:
    for file in files():
        for index, service in enumerate(file.service):
            yield Element(f"{file.package}.{service.name}", service, comment(file, 6, index))


def methods() -> Iterator[Element[MethodDescriptorProto]]:
    for file in files():
        for at, service in enumerate(file.service):
            for index, method in enumerate(service.method):
                yield Element(f"{file.package}.{service.name}.{method.name}", method, comment(file, 6, at, 2, index))


def messages() -> Iterator[Element[DescriptorProto]]:
    for file in files():
        for index, message in enumerate(file.message_type):
            yield Element(f"{file.package}.{message.name}", message, comment(file, 4, index))


def fields() -> Iterator[Element[FieldDescriptorProto]]:
    for file in files():
        for at, message in enumerate(file.message_type):
            for index, field in enumerate(message.field):
                yield Element(f"{file.package}.{message.name}.{field.name}", field, comment(file, 4, at, 2, index))


def enums() -> Iterator[Element[EnumDescriptorProto]]:
    for file in files():
        for index, enum in enumerate(file.enum_type):
            yield Element(f"{file.package}.{enum.name}", enum, comment(file, 5, index))


def enum_values() -> Iterator[Element[EnumValueDescriptorProto]]:
    for file in files():
        for at, enum in enumerate(file.enum_type):
            for index, value in enumerate(enum.value):
                yield Element(f"{file.package}.{enum.name}.{value.name}", value, comment(file, 5, at, 2, index))


def message(type_name: str) -> DescriptorProto:
    """The message that a method or field names, such as `.hashiramart.auth.v1.User`."""
    return next(element.proto for element in messages() if f".{element.name}" == type_name)


def comment(file: FileDescriptorProto, *path: int) -> str:
    """The comment before the element at a path of the file's descriptor, empty if there is none."""
    return _comments().get((file.name, path), "")


@cache
def _comments() -> dict[tuple[str, tuple[int, ...]], str]:
    """All comments, by file and path."""
    locations = ((file.name, location) for file in files() for location in file.source_code_info.location)
    return {(name, tuple(location.path)): location.leading_comments.strip() for name, location in locations if location.leading_comments}
