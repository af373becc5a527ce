"""The contracts as an OpenAPI 3.1 document."""

import re
from collections.abc import Iterator
from itertools import chain, count

from google.api import field_behavior_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from gateway import oauth
from gateway.comments import comments
from gateway.components import Components
from gateway.contract import TEXT_MESSAGES, Binding, Contract, fields_on_path
from gateway.error_schemas import ErrorSchemas
from gateway.examples import Examples
from gateway.path_template import PathVariable
from gateway.rules import Json, behaviors, is_required
from gateway.schemas import WELL_KNOWN, AnswerSchemas, RequestSchemas
from hashiramart.access.v1 import access_pb2

_INTRODUCTION = """Products, sign-in, recommendations and sales forecasts.

Every error is a `google.rpc.Status` as JSON, with a stable `reason` in its `google.rpc.ErrorInfo`.
"""
_LICENSE = {"name": "Apache-2.0", "identifier": "Apache-2.0"}
_TOKEN_SCHEME: Json = {
    "type": "oauth2",
    "description": "An access token of `POST /auth/token`.",
    "flows": {"password": {"tokenUrl": "/auth/token", "refreshUrl": "/auth/token", "scopes": {}}},
}
_BARE_SERVER = {"url": "/", "description": "The same calls without a version."}


def document(contract: Contract, version: str) -> Json:
    """The OpenAPI document of all bindings."""
    return _Document(contract).document(version)


class _Document:
    def __init__(self, contract: Contract) -> None:
        self._contract = contract
        self._comments = comments(contract.files.file)
        self._examples = Examples(self._comments)
        self._components = Components()
        self._errors = ErrorSchemas(contract, self._comments, self._components)
        self._answers = AnswerSchemas(self._comments, self._components)
        for binding in contract.bindings:
            self._answers.message_schema(binding.method.descriptor.output_type)
        self._requests = RequestSchemas(self._comments, self._components)

    def document(self, version: str) -> Json:
        services = {binding.method.service.full_name: binding.method.service for binding in self._contract.bindings}
        return {
            "openapi": "3.1.0",
            "info": {"title": "HashiraMart", "version": version, "description": _INTRODUCTION, "license": _LICENSE},
            "servers": [*({"url": f"/{version}"} for version in self._versions()), _BARE_SERVER],
            "tags": [{"name": _tag(name), "description": self._comments.get(name, "")} for name in services],
            "paths": self._paths(),
            "components": {
                "schemas": self._components.schemas,
                "securitySchemes": {"token": _TOKEN_SCHEME},
            },
        }

    def _versions(self) -> list[str]:
        """The versions under which all paths are served."""
        return list(dict.fromkeys(binding.version for binding in self._contract.bindings if binding.version))

    def _paths(self) -> dict[str, Json]:
        paths: dict[str, Json] = {}
        shapes: dict[tuple[tuple[str, ...], str], list[str]] = {}
        operation_ids: set[str] = set()
        for binding in self._contract.bindings:
            template = binding.template
            # Paths that differ only in the names of their variables are one path in OpenAPI, which has the names of the first.
            names = shapes.setdefault((template.segments, template.verb), [name for _, name in _wildcards(binding)])
            operation = self._operation(binding, names)
            operation["operationId"] = _operation_id(binding, operation_ids)
            operation_ids.add(_camel_case(operation["operationId"]))
            paths.setdefault(_path(binding, names), {})[binding.http_method.lower()] = operation
        return paths

    def _operation(self, binding: Binding, names: list[str]) -> Json:
        method = binding.method
        comment = self._comments.get(method.descriptor.full_name, "")
        access = method.options.options.Extensions[access_pb2.access] or access_pb2.ACCESS_ADMIN
        operation: Json = {
            "tags": [_tag(method.service.full_name)],
            "summary": comment.partition("\n")[0].partition(". ")[0].rstrip("."),
            "description": f"{comment}\n\nWho may call: {self._callers(access)}".strip(),
            "parameters": [*self._path_parameters(binding, names), *self._query_parameters(binding), *self._header_parameters(binding)],
            "responses": self._responses(binding),
        }
        if body := self._body(binding):
            operation["requestBody"] = body
        if access != access_pb2.ACCESS_PUBLIC:
            operation["security"] = [{"token": []}]
        elif method.full_name != oauth.TOKEN_RPC:
            # A caller who is known may see more.
            operation["security"] = [{}, {"token": []}]
        return operation

    def _callers(self, access: access_pb2.Access.ValueType) -> str:
        """Who has an access, as its comment says."""
        comment = self._comments[f"{access_pb2.Access.DESCRIPTOR.full_name}.{access_pb2.Access.Name(access)}"]
        return comment[0].lower() + comment[1:]

    def _path_parameters(self, binding: Binding, names: list[str]) -> Iterator[Json]:
        for (variable, _), name in zip(_wildcards(binding), names, strict=True):
            field = fields_on_path(binding.method.descriptor.input_type, variable.field_path)[-1]
            schema = self._requests.type_schema(field)
            if schema.get("type") == "string":
                # A variable of a path is never empty.
                schema = {"minLength": 1} | schema
            yield self._parameter(name, "path", field, schema, required=True)

    def _query_parameters(self, binding: Binding) -> Iterator[Json]:
        if binding.body == "*":
            return
        excluded = {binding.body, *(variable.field_path for variable in binding.template.variables)}
        for path, field in _leaves(binding.method.descriptor.input_type, "", excluded, frozenset()):
            yield self._parameter(
                path, "query", field, self._requests.parameter_schema(field), required="." not in path and is_required(field)
            )

    def _header_parameters(self, binding: Binding) -> Iterator[Json]:
        field = binding.method.descriptor.input_type.fields_by_name.get("request_id")
        if field and field.type == FieldDescriptor.TYPE_STRING:
            yield self._parameter("Idempotency-Key", "header", field, self._requests.parameter_schema(field), required=False)

    def _parameter(self, name: str, place: str, field: FieldDescriptor, schema: Json, required: bool) -> Json:
        schema = {key: value for key, value in schema.items() if key != "description"}
        description = self._comments.get(field.full_name, "")
        parameter = {"name": name, "in": place, "required": required, "description": description, "schema": schema}
        example = self._examples.parameter(field, required=required)
        return parameter if example is None else parameter | {"example": example}

    def _body(self, binding: Binding) -> Json | None:
        if not binding.body:
            return None
        request = binding.method.descriptor.input_type
        field = request.fields_by_name.get(binding.body)
        if binding.content_field and field:
            media = {"schema": {"type": "string", "format": "binary"}, "example": "the content of a file"}
            binary: Json = {"application/octet-stream": media}
            return {"description": self._comments.get(field.full_name, ""), "required": is_required(field), "content": binary}
        schema = self._body_schema(binding, field)
        description = self._comments.get(field.full_name if field else request.full_name, "")
        if binding.method.client_streaming:
            # As OpenAPI 3.2 has it, the schema of a sequence describes all its items as a list.
            description = f"{description}\n\nOne item per line.".strip()
            lines: Json = {"schema": {"type": "array", "items": schema}, "example": [self._body_example(binding, field)]}
            return {"description": description, "required": True, "content": {"application/x-ndjson": lines}}
        media = {"schema": schema, "example": self._body_example(binding, field)}
        content: Json = {"application/json": media}
        if binding.method.full_name == oauth.TOKEN_RPC:
            content["application/x-www-form-urlencoded"] = media
        required = binding.http_method != "PATCH" and any(is_required(f) for f in request.fields)
        return {"description": description, "required": required, "content": content}

    def _body_schema(self, binding: Binding, field: FieldDescriptor | None) -> Json:
        """field: the one that the body fills, or None for the whole request"""
        request = binding.method.descriptor.input_type
        in_path = _in_path(binding, field)
        name = request.name.removesuffix("Request")
        if field is None:
            return self._requests.named_schema(f"{name}Body", request, in_path) if in_path else self._requests.message_schema(request)
        if field.message_type and not field.is_repeated and binding.http_method == "PATCH":
            # A body has only what it changes.
            return self._requests.named_schema(f"{field.message_type.name}Patch", field.message_type, in_path, partial=True)
        return self._requests.type_schema(field)

    def _body_example(self, binding: Binding, field: FieldDescriptor | None) -> Json:
        message = field.message_type if field and field.message_type else binding.method.descriptor.input_type
        excluded = _in_path(binding, field)
        if binding.method.creates:
            # The service chooses the id of what is new.
            excluded |= {each.name for each in message.fields if field_behavior_pb2.IMMUTABLE in behaviors(each)}
        make = self._examples.change if binding.http_method == "PATCH" else self._examples.request
        return make(message, excluded)

    def _responses(self, binding: Binding) -> Json:
        method = binding.method
        schema = self._answers.message_schema(method.descriptor.output_type)
        description = self._comments.get(method.descriptor.output_type.full_name) or "An empty object."
        media = {"schema": schema, "example": self._examples.answer(method.descriptor.output_type)}
        types = ("text/event-stream", "application/x-ndjson") if method.server_streaming else ("application/json",)
        success: Json = {"description": description, "content": dict.fromkeys(types, media)}
        if method.creates and self._contract.location(method):
            success["headers"] = {"Location": {"description": "The path of the resource.", "schema": {"type": "string"}}}
        return {"201" if method.creates else "200": success} | self._errors.responses(binding)


def _tag(service: str) -> str:
    return service.rpartition(".")[2]


def _in_path(binding: Binding, field: FieldDescriptor | None) -> frozenset[str]:
    """The fields of the body that the path fills. field: the one that the body fills, or None for the whole request"""
    prefix = f"{field.name}." if field else ""
    return frozenset(variable.field_path.removeprefix(prefix) for variable in binding.template.variables)


def _wildcards(binding: Binding) -> list[tuple[PathVariable, str]]:
    """The wildcards of a path: the variable that each belongs to, and a name for it."""
    named: list[tuple[PathVariable, str]] = []
    for variable in binding.template.variables:
        name = variable.field_path.rpartition(".")[2]
        if name in [other for _, other in named]:
            name = variable.field_path.replace(".", "_")
        wildcards = [segment for segment in binding.template.segments[variable.start : variable.end] if segment in ("*", "**")]
        named += [(variable, name if len(wildcards) == 1 else f"{name}_{number + 1}") for number in range(len(wildcards))]
    return named


def _path(binding: Binding, names: list[str]) -> str:
    rest = iter(names)
    segments = [f"{{{next(rest)}}}" if segment in ("*", "**") else segment for segment in binding.template.segments]
    return "/" + "/".join(segments) + (f":{binding.template.verb}" if binding.template.verb else "")


def _leaves(message: Descriptor, prefix: str, excluded: set[str], outer: frozenset[str]) -> Iterator[tuple[str, FieldDescriptor]]:
    """The fields that a query can fill, by their dotted path. Does not enter the outer messages again."""
    for field in message.fields:
        path, kind = f"{prefix}{field.name}", field.message_type
        if path in excluded:
            continue
        if not kind or kind.full_name in TEXT_MESSAGES:
            yield path, field
        elif not field.is_repeated and kind.full_name not in WELL_KNOWN | dict.fromkeys(outer):
            yield from _leaves(kind, f"{path}.", excluded, outer | {message.full_name})


def _operation_id(binding: Binding, used: set[str]) -> str:
    """The RPC's name; of a further binding of an RPC, with its verb, the variables of its path or, if need be, a number."""
    name = f"{_tag(binding.method.service.full_name)}_{binding.method.descriptor.name}"
    variables = (part.capitalize() for variable in binding.template.variables for part in re.split(r"[._]", variable.field_path))
    further = binding.template.verb.capitalize() or "".join(variables)
    candidates = chain((name, name + further), (f"{name}{number}" for number in count(2)))
    return next(candidate for candidate in candidates if _camel_case(candidate) not in used)


def _camel_case(name: str) -> str:
    """What is left of a name once a generator has written it in its own way."""
    return name.replace("_", "").lower()
