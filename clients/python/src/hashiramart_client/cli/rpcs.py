"""The RPCs of the contracts that REST serves, and the commands that they become."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

from google.api import annotations_pb2, field_behavior_pb2
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool

from hashiramart.access.v1 import access_pb2
from hashiramart_client import contracts

_VARIABLE = re.compile(r"\{([^}=]+)(?:=([^}]*))?\}")
_VERSION = re.compile(r"v[0-9]\w*")


@dataclass(frozen=True)
class HttpBinding:
    """An HTTP method and path of an RPC."""

    http_method: str
    path: str
    body: str
    """The field that the body carries; `*` for the whole request, empty for none."""

    @cached_property
    def variables(self) -> dict[str, str]:
        """The paths of the fields that are in the path, each with its pattern."""
        return {match[1]: match[2] or "*" for match in _VARIABLE.finditer(self.path)}

    @cached_property
    def segments(self) -> list[str]:
        """The segments of the path without the verb; that of a variable is `{}`."""
        return _VARIABLE.sub("{}", self.path).partition(":")[0].strip("/").split("/")


@dataclass(frozen=True, eq=False)
class Rpc:
    """An RPC with a binding."""

    method: MethodDescriptor
    bindings: tuple[HttpBinding, ...]

    @property
    def binding(self) -> HttpBinding:
        """The first, which the command is made from."""
        return self.bindings[0]

    @property
    def request(self) -> Descriptor:
        return self.method.input_type

    @property
    def response(self) -> Descriptor:
        return self.method.output_type

    @property
    def package(self) -> str:
        return str(self.method.containing_service.file.package)

    @property
    def full_name(self) -> str:
        return str(self.method.full_name)

    @property
    def access(self) -> str:
        """Who may call, in words."""
        access = self.method.GetOptions().Extensions[access_pb2.access]
        return access_pb2.Access.Name(access).removeprefix("ACCESS_").lower().replace("_", " ")

    @cached_property
    def group(self) -> str:
        """The first word of the path, or the service's if there is none."""
        words = [
            segment for segment in self.binding.segments if re.fullmatch(r"[a-z][a-z0-9_-]*", segment) and not _VERSION.fullmatch(segment)
        ]
        return words[0] if words else self.package.split(".")[1]

    @cached_property
    def name(self) -> str:
        """The method's name without what the group says already: `ListProducts` of `products` is `list`."""
        words = [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z][a-z0-9]*", self.method.name)]
        said = {form for word in re.split("[-_]", self.group) for form in (word, word.removesuffix("s"), re.sub("ies$", "y", word))}
        return "-".join([word for word in words if word not in said] or words)

    @property
    def content(self) -> FieldDescriptor | None:
        """The field of bytes that the body carries as it is; None if the body is JSON."""
        field = self.request.fields_by_name.get(self.binding.body)
        is_content = field is not None and field.type == FieldDescriptor.TYPE_BYTES and not field.is_repeated
        return field if is_content and not self.method.client_streaming else None

    @property
    def pieces(self) -> FieldDescriptor | None:
        """The text of which a stream's messages are made, piece by piece; None if they say more."""
        fields = list(self.response.fields)
        is_text = len(fields) == 1 and fields[0].type == FieldDescriptor.TYPE_STRING and not fields[0].is_repeated
        return fields[0] if is_text else None

    @property
    def items(self) -> FieldDescriptor | None:
        """The list that the pages of its response carry; None if it has no pages."""
        lists = [field for field in self.response.fields if field.is_repeated and field.message_type and not is_map(field)]
        paged = "page_token" in self.request.fields_by_name and "next_page_token" in self.response.fields_by_name
        return lists[0] if paged and lists else None


class Contracts:
    """Our RPCs of a descriptor set, and its comments."""

    def __init__(self, descriptors: bytes) -> None:
        self._files = FileDescriptorSet.FromString(descriptors)
        pool = DescriptorPool()
        for file in self._files.file:
            pool.Add(file)
        methods = (
            pool.FindServiceByName(f"{file.package}.{service.name}").methods_by_name[method.name]
            for file, service in contracts.services(self._files)
            for method in service.method
        )
        self.rpcs = [rpc for method in methods if (rpc := _rpc(method))]

    @cached_property
    def commands(self) -> dict[str, dict[str, list[Rpc]]]:
        """By group and name: an RPC, or those of several services that differ by one word of their paths alone."""
        groups: dict[str, dict[str, list[Rpc]]] = defaultdict(lambda: defaultdict(list))
        for rpc in self.rpcs:
            groups[rpc.group][rpc.name].append(rpc)
        return {group: dict(_with_unique_names(commands)) for group, commands in sorted(groups.items())}

    @cached_property
    def comments(self) -> dict[str, str]:
        """The comment of everything that has one, by its full name."""
        return dict(comment for file in self._files.file if file.package.startswith("hashiramart.") for comment in _comments(file))

    def reason(self, package: str, name: str) -> str:
        """What the contract of a package, or the common one, says of the reason of an error."""
        for place in (package, "hashiramart.model.v1", "hashiramart.access.v1"):
            if comment := self.comments.get(f"{place}.ErrorReason.{name}"):
                return comment
        return ""


def is_map(field: FieldDescriptor) -> bool:
    return bool(field.message_type and field.message_type.GetOptions().map_entry)


def behaviors(field: FieldDescriptor) -> list[int]:
    """The `google.api.FieldBehavior`s of a field."""
    return list(field.GetOptions().Extensions[field_behavior_pb2.field_behavior])


def short_names(enum: EnumDescriptor) -> dict[str, str]:
    """The values of an enum by their short names: `week` of `GRANULARITY_WEEK`."""
    prefix = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", enum.name).upper() + "_"
    return {value.name.removeprefix(prefix).lower(): value.name for value in enum.values}


def varied_segment(rpcs: list[Rpc]) -> int | None:
    """The position of the only segment in which the paths of several RPCs with one request differ; None if there is none."""
    paths = [rpc.binding.segments for rpc in rpcs]
    if len({rpc.request.full_name for rpc in rpcs}) > 1 or len({len(path) for path in paths}) > 1:
        return None
    differing = [position for position, words in enumerate(zip(*paths, strict=True)) if len(set(words)) > 1]
    return differing[0] if len(differing) == 1 and len({path[differing[0]] for path in paths}) == len(paths) else None


def _with_unique_names(commands: dict[str, list[Rpc]]) -> Iterator[tuple[str, list[Rpc]]]:
    for name, rpcs in commands.items():
        if len(rpcs) == 1 or varied_segment(rpcs) is not None:
            yield name, rpcs
        else:
            yield from ((f"{name}-{rpc.package.split('.')[1]}", [rpc]) for rpc in rpcs)


def _rpc(method: MethodDescriptor) -> Rpc | None:
    options = method.GetOptions()
    if not options.HasExtension(annotations_pb2.http):
        return None
    first = options.Extensions[annotations_pb2.http]
    rules = ((rule.WhichOneof("pattern"), rule) for rule in (first, *first.additional_bindings))
    return Rpc(method, tuple(HttpBinding(kind.upper(), getattr(rule, kind), rule.body) for kind, rule in rules))


def _comments(file: FileDescriptorProto) -> Iterable[tuple[str, str]]:
    for location in file.source_code_info.location:
        comment, path = location.leading_comments.strip(), location.path
        if not comment or len(path) % 2:
            continue
        name, node = file.package, cast(Any, file)
        # A path alternates between the number of a descriptor's field and an index in it.
        for number, index in zip(path[::2], path[1::2], strict=True):
            node = getattr(node, node.DESCRIPTOR.fields_by_number[number].name)[index]
            name = f"{name}.{node.name}"
        yield name, re.sub(r"(?m)^ ", "", comment)
