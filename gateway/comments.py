"""The comments of the contracts."""

import re
from collections.abc import Iterable, Iterator
from typing import Any, cast

from google.protobuf.descriptor_pb2 import FileDescriptorProto


def comments(files: Iterable[FileDescriptorProto]) -> dict[str, str]:
    """The comment of everything that has one, by its full name."""
    return dict(comment for file in files for comment in _comments(file))


def _comments(file: FileDescriptorProto) -> Iterator[tuple[str, str]]:
    for location in file.source_code_info.location:
        comment, path = location.leading_comments.strip(), location.path
        name, node = file.package, cast(Any, file)
        # A path alternates between the number of a descriptor's field and an index in it.
        for number, index in zip(path[::2], path[1::2], strict=False):
            field = node.DESCRIPTOR.fields_by_number[number]
            if not field.is_repeated:
                break
            node = getattr(node, field.name)[index]
            name = f"{name}.{getattr(node, 'name', '')}"
        else:
            if comment and len(path) % 2 == 0:
                yield name, re.sub(r"(?m)^ ", "", comment)
