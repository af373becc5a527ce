"""The contracts as descriptors, with their comments."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet, ServiceDescriptorProto

import hashiramart

_NAME = "descriptors.binpb"
_OUR_PACKAGES = "hashiramart."


@cache
def descriptors() -> bytes:
    """The serialized descriptor set: beside this module in a wheel, beside the generated packages in a checkout."""
    own = Path(__file__).with_name(_NAME)
    return (own if own.exists() else Path(hashiramart.__path__[0]).with_name(_NAME)).read_bytes()


def services(files: FileDescriptorSet) -> Iterator[tuple[FileDescriptorProto, ServiceDescriptorProto]]:
    """Our services, each with its file."""
    return ((file, service) for file in files.file if file.package.startswith(_OUR_PACKAGES) for service in file.service)
