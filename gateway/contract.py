"""The contracts' services, and the bindings of HTTP to their RPCs."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from google.api import annotations_pb2, http_pb2
from google.protobuf import duration_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet, MethodDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.rpc import error_details_pb2

from gateway.path_template import PathTemplate
from hashiramart.access.v1 import access_pb2

OUR_PACKAGES = "hashiramart."
# The last part of a package that has a version: `hashiramart.catalog.v1` (buf's PACKAGE_VERSION_SUFFIX).
_VERSION = re.compile(r"v[1-9][0-9]*(?:(?:alpha|beta)[1-9][0-9]*)?")
FIELD_MASK = "google.protobuf.FieldMask"
# What a path can fill besides scalars: messages whose JSON is one string.
TEXT_MESSAGES = {
    f"google.protobuf.{name}"
    for name in ("Timestamp", "Duration", "FieldMask", "StringValue", "BytesValue", "BoolValue", "FloatValue", "DoubleValue")
    + ("Int32Value", "Int64Value", "UInt32Value", "UInt64Value")
}


class UnsupportedBinding(Exception):
    """A rule in a contract that the gateway does not implement, so that it must not start."""

    def __init__(self, method: str, rule: str, reason: str) -> None:
        super().__init__(f"{method}: {rule}: {reason}")


@dataclass(frozen=True, eq=False)
class Method:
    """An RPC."""

    descriptor: MethodDescriptor
    client_streaming: bool
    server_streaming: bool
    options: MethodDescriptorProto

    @property
    def service(self) -> ServiceDescriptor:
        return self.descriptor.containing_service

    @property
    def full_name(self) -> str:
        """As gRPC spells it: `/package.Service/Method`."""
        return f"/{self.service.full_name}/{self.descriptor.name}"

    @property
    def needs_token(self) -> bool:
        """Whether it refuses callers without a token."""
        return self.options.options.Extensions[access_pb2.access] != access_pb2.ACCESS_PUBLIC

    @property
    def creates(self) -> bool:
        """Whether it creates a resource, as its name says."""
        return self.descriptor.name.startswith(("Create", "Submit"))


@dataclass(frozen=True, eq=False)
class Binding:
    """One HTTP method and path of an RPC."""

    method: Method
    http_method: str
    template: PathTemplate
    body: str
    """The field that the body fills; `*` for the whole request, empty for none."""

    @cached_property
    def rule(self) -> str:
        return f"{self.http_method} {self.template.text}"

    @cached_property
    def version(self) -> str:
        """The version of its package, such as `v1`; empty if the package has none."""
        last = self.method.descriptor.containing_service.file.package.rpartition(".")[2]
        return last if _VERSION.fullmatch(last) else ""

    @cached_property
    def content_field(self) -> str | None:
        """The field of bytes that takes the body as it is, whatever its content type."""
        field = self.method.descriptor.input_type.fields_by_name.get(self.body)
        is_content = (
            field is not None and field.type == FieldDescriptor.TYPE_BYTES and not field.is_repeated and not self.method.client_streaming
        )
        return self.body if is_content else None

    @cached_property
    def mask_field(self) -> str | None:
        """The field mask that a PATCH may leave to its body's keys."""
        if self.http_method != "PATCH" or self.body in ("", "*"):
            return None
        masks = [f.name for f in self.method.descriptor.input_type.fields if f.message_type and f.message_type.full_name == FIELD_MASK]
        return masks[0] if len(masks) == 1 else None


class Contract:
    """Our services of a descriptor set, with their bindings. Raises UnsupportedBinding for a rule that the gateway does not implement."""

    def __init__(self, descriptors: bytes) -> None:
        self.files = FileDescriptorSet.FromString(descriptors)
        self.pool = DescriptorPool()
        for file in self.files.file:
            self.pool.Add(file)
        # The contracts import no types of error details, which are named only in the errors that carry them.
        for details in (duration_pb2.DESCRIPTOR, error_details_pb2.DESCRIPTOR):
            if details.name not in {file.name for file in self.files.file}:
                self.pool.AddSerializedFile(details.serialized_pb)
        self.methods = [method for file in self.files.file for method in self._methods(file)]
        self.bindings = [binding for method in self.methods for binding in _bindings(method)]
        _raise_for_duplicates(self.bindings)

    def _methods(self, file: FileDescriptorProto) -> Iterator[Method]:
        if not file.package.startswith(OUR_PACKAGES):
            return
        for service in file.service:
            descriptor = self.pool.FindServiceByName(f"{file.package}.{service.name}")
            for method in service.method:
                yield Method(descriptor.methods_by_name[method.name], method.client_streaming, method.server_streaming, method)

    def method(self, full_name: str) -> Method:
        """The RPC of this name, spelled as gRPC does."""
        return next(method for method in self.methods if method.full_name == full_name)

    def location(self, created_by: Method) -> Binding | None:
        """Where the resource that this RPC creates can be read: the Get of the same service that returns the same message."""
        for binding in self.bindings:
            method = binding.method
            if (
                method.service is created_by.service
                and method.descriptor.name.startswith("Get")
                and binding.http_method == "GET"
                and method.descriptor.output_type is created_by.descriptor.output_type
                and [v.field_path for v in binding.template.variables if v.field_path in method.descriptor.output_type.fields_by_name]
                and len(binding.template.variables) == 1
            ):
                return binding
        return None


def fields_on_path(descriptor: Descriptor, path: str) -> list[FieldDescriptor]:
    """The fields that a dotted path goes through, in either spelling, the named one last. Raises KeyError if there is none."""
    fields: list[FieldDescriptor] = []
    for name in path.split("."):
        if fields:
            if fields[-1].message_type is None or fields[-1].is_repeated:
                raise KeyError(path)
            descriptor = fields[-1].message_type
        fields.append(descriptor.fields_by_name.get(name) or descriptor.fields_by_camelcase_name[name])
    return fields


def _bindings(method: Method) -> Iterator[Binding]:
    options = method.options.options
    if not options.HasExtension(annotations_pb2.http):
        return
    rule = options.Extensions[annotations_pb2.http]
    for one in (rule, *rule.additional_bindings):
        yield _binding(method, one)


def _binding(method: Method, rule: http_pb2.HttpRule) -> Binding:
    kind = rule.WhichOneof("pattern") or ""
    path = "" if kind in ("", "custom") else getattr(rule, kind)
    try:
        _raise_for_unsupported(method, rule, path)
        template = PathTemplate.parse(path)
        _raise_for_unknown_fields(method, rule, template)
    except ValueError as error:
        raise UnsupportedBinding(method.full_name, f"{kind.upper()} {path}".strip(), str(error)) from None
    return Binding(method, kind.upper(), template, rule.body)


def _raise_for_unsupported(method: Method, rule: http_pb2.HttpRule, path: str) -> None:
    if not path:
        raise ValueError("only get, put, post, delete and patch are implemented")
    if rule.response_body:
        raise ValueError("response_body is not implemented")
    if method.client_streaming and method.server_streaming:
        raise ValueError("HTTP cannot carry a stream in both directions")
    if rule.body and rule.WhichOneof("pattern") in ("get", "delete"):
        raise ValueError("it has a body")
    if method.client_streaming and not rule.body:
        raise ValueError("a stream of requests needs a body")


def _raise_for_unknown_fields(method: Method, rule: http_pb2.HttpRule, template: PathTemplate) -> None:
    request = method.descriptor.input_type
    if rule.body not in ("", "*", *request.fields_by_name):
        raise ValueError(f"there is no field {rule.body!r} for the body")
    for variable in template.variables:
        try:
            field = fields_on_path(request, variable.field_path)[-1]
        except KeyError:
            raise ValueError(f"there is no field {variable.field_path!r}") from None
        if field.is_repeated or (field.message_type and field.message_type.full_name not in TEXT_MESSAGES):
            raise ValueError(f"a path cannot fill {variable.field_path!r}")


def _raise_for_duplicates(bindings: list[Binding]) -> None:
    seen: dict[tuple[str, tuple[str, ...], str], Binding] = {}
    for binding in bindings:
        key = (binding.http_method, binding.template.segments, binding.template.verb)
        if other := seen.get(key):
            raise UnsupportedBinding(binding.method.full_name, binding.rule, f"{other.method.full_name} has the same path")
        seen[key] = binding
