"""The contracts as OpenAPI 3.1, with their comments, rules and who may call."""

import re
from collections.abc import Iterator
from typing import Any, TypeAlias, cast

from google.api import field_behavior_pb2
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.message import Message

from buf.validate import validate_pb2
from gateway import oauth
from gateway.contract import TEXT_MESSAGES, Binding, Contract, fields_on_path
from gateway.path_template import PathVariable
from hashiramart.access.v1 import access_pb2

Json: TypeAlias = dict[str, Any]


def document(contract: Contract, version: str) -> Json:
    """The OpenAPI document of all bindings."""
    return _Document(contract).document(version)


class _Document:
    def __init__(self, contract: Contract) -> None:
        self._contract = contract
        self._comments = dict(line for file in contract.files.file for line in _comments(file))
        self._schemas: Json = {"Status": _STATUS, "OAuthError": _OAUTH_ERROR}
        self._names: dict[str, str] = {}

    def document(self, version: str) -> Json:
        paths: dict[str, Json] = {}
        shapes: dict[tuple[tuple[str, ...], str], list[str]] = {}
        operations: set[str] = set()
        for binding in self._contract.bindings:
            template = binding.template
            # Paths that differ in the names of their variables alone are one path in OpenAPI, with the names of the first.
            names = shapes.setdefault((template.segments, template.verb), [name for _, name in _places(binding)])
            operation = self._operation(binding, names)
            while operation["operationId"] in operations:
                operation["operationId"] += "_"
            operations.add(operation["operationId"])
            paths.setdefault(_path(binding, names), {})[binding.http_method.lower()] = operation
        services = {binding.method.service.full_name: binding.method.service for binding in self._contract.bindings}
        return {
            "openapi": "3.1.0",
            "info": {"title": "HashiraMart", "version": version, "description": _INTRODUCTION, "license": _LICENSE},
            "tags": [{"name": _tag(name), "description": self._comments.get(name, "")} for name in services],
            "paths": paths,
            "components": {
                "schemas": self._schemas,
                "responses": {"Refused": _REFUSED, "TokenRefused": _TOKEN_REFUSED},
                "securitySchemes": {"token": _TOKEN_SCHEME},
            },
        }

    def _operation(self, binding: Binding, names: list[str]) -> Json:
        method = binding.method
        comment = self._comments.get(method.descriptor.full_name, "")
        access = method.options.options.Extensions[access_pb2.access] or access_pb2.ACCESS_ADMIN
        operation: Json = {
            "operationId": f"{_tag(method.service.full_name)}_{method.descriptor.name}",
            "tags": [_tag(method.service.full_name)],
            "summary": comment.partition("\n")[0].partition(". ")[0].rstrip("."),
            "description": f"{comment}\n\nWho may call: {_ACCESS[access]}.".strip(),
            "parameters": [*self._path_parameters(binding, names), *self._query_parameters(binding), *self._header_parameters(binding)],
            "responses": self._responses(binding),
        }
        if body := self._body(binding):
            operation["requestBody"] = body
        if access != access_pb2.ACCESS_PUBLIC:
            operation["security"] = [{"token": []}]
        return operation

    def _path_parameters(self, binding: Binding, names: list[str]) -> Iterator[Json]:
        for (variable, _), name in zip(_places(binding), names, strict=True):
            field = fields_on_path(binding.method.descriptor.input_type, variable.field_path)[-1]
            schema = self._field(field)
            if schema.get("type") == "string" and "anyOf" not in schema:
                schema = {"minLength": 1} | schema
            # A path always says something, so a rule for the empty value has no place in it.
            schema = next((one for one in schema.pop("anyOf", ()) if one.get("maxLength") != 0), {}) | schema
            yield self._parameter(name, "path", field, schema, required=True)

    def _query_parameters(self, binding: Binding) -> Iterator[Json]:
        if binding.body == "*":
            return
        taken = {binding.body, *(variable.field_path for variable in binding.template.variables)}
        for path, field in _leaves(binding.method.descriptor.input_type, "", taken, frozenset()):
            yield self._parameter(path, "query", field, self._field(field), required="." not in path and _is_required(field))

    def _header_parameters(self, binding: Binding) -> Iterator[Json]:
        field = binding.method.descriptor.input_type.fields_by_name.get("request_id")
        if field and field.type == FieldDescriptor.TYPE_STRING:
            yield self._parameter("Idempotency-Key", "header", field, self._field(field), required=False)

    def _parameter(self, name: str, place: str, field: FieldDescriptor, schema: Json, required: bool) -> Json:
        schema = {key: value for key, value in schema.items() if key != "description"}
        description = self._comments.get(field.full_name, "")
        return {"name": name, "in": place, "required": required, "description": description, "schema": schema}

    def _body(self, binding: Binding) -> Json | None:
        if not binding.body:
            return None
        request = binding.method.descriptor.input_type
        taken = {variable.field_path for variable in binding.template.variables}
        field = request.fields_by_name.get(binding.body)
        if field is None:
            schema = self._object(request, taken) if taken else self._message(request)
        elif field.message_type and not field.is_repeated and binding.http_method == "PATCH":
            # Only what changes needs to be there.
            schema = self._object(field.message_type, taken) | {"required": []}
        else:
            schema = self._type(field)
        description = self._comments.get(field.full_name if field else request.full_name, "")
        if binding.method.client_streaming:
            return {"description": description, "required": True, "content": {"application/x-ndjson": _lines(schema)}}
        content = {"application/json": {"schema": schema}}
        if binding.method.full_name == oauth.TOKEN_RPC:
            content["application/x-www-form-urlencoded"] = {"schema": schema}
        required = binding.http_method != "PATCH" and any(_is_required(f) for f in request.fields)
        return {"description": description, "required": required, "content": content}

    def _responses(self, binding: Binding) -> Json:
        method = binding.method
        schema = self._message(method.descriptor.output_type)
        description = self._comments.get(method.descriptor.output_type.full_name) or "An empty object."
        content = {"application/json": {"schema": schema}}
        if method.server_streaming:
            content = {"application/x-ndjson": _lines(schema), "text/event-stream": _lines(schema)}
        success: Json = {"description": description, "content": content}
        if method.creates and self._contract.location(method):
            success["headers"] = {"Location": {"description": "Where it can be read.", "schema": {"type": "string"}}}
        refused = "TokenRefused" if method.full_name == oauth.TOKEN_RPC else "Refused"
        return {"201" if method.creates else "200": success, "default": {"$ref": f"#/components/responses/{refused}"}}

    def _message(self, message: Descriptor) -> Json:
        if known := _WELL_KNOWN.get(message.full_name):
            return dict(known)
        return self._reference(message)

    def _reference(self, kind: Descriptor | EnumDescriptor) -> Json:
        if kind.full_name not in self._names:
            name = kind.full_name.rpartition(".")[2]
            if name in self._schemas:
                name = f"{kind.full_name.split('.')[1]}.{name}"
            self._names[kind.full_name] = name
            self._schemas[name] = {}  # A message may contain its own kind.
            self._schemas[name].update(self._object(kind, set()) if isinstance(kind, Descriptor) else self._enum(kind))
        return {"$ref": f"#/components/schemas/{self._names[kind.full_name]}"}

    def _object(self, message: Descriptor, taken: set[str]) -> Json:
        fields = [field for field in message.fields if field.name not in taken]
        schema: Json = {"type": "object", "description": self._comments.get(message.full_name, "")}
        schema["properties"] = {field.name: self._property(field) for field in fields}
        if required := [field.name for field in fields if _is_required(field)]:
            schema["required"] = required
        return schema

    def _enum(self, enum: EnumDescriptor) -> Json:
        values = "\n".join(f"* `{value.name}`: {self._comments.get(f'{enum.full_name}.{value.name}', '')}" for value in enum.values)
        description = f"{self._comments.get(enum.full_name, '')}\n\n{values}"
        return {"type": "string", "enum": [value.name for value in enum.values], "description": description}

    def _property(self, field: FieldDescriptor) -> Json:
        schema = self._field(field)
        if comment := self._comments.get(field.full_name):
            schema["description"] = comment
        behaviors = _behaviors(field)
        if field_behavior_pb2.OUTPUT_ONLY in behaviors:
            schema["readOnly"] = True
        if field_behavior_pb2.INPUT_ONLY in behaviors:
            schema["writeOnly"] = True
        return schema

    def _field(self, field: FieldDescriptor) -> Json:
        """What a field of an object, or a parameter, may be."""
        schema = self._type(field)
        if field.message_type and not field.is_repeated:
            # Unset, it is printed as null.
            return (
                schema | {"type": [schema["type"], "null"]}
                if isinstance(schema.get("type"), str)
                else {"anyOf": [schema, {"type": "null"}]}
            )
        if not field.is_repeated and _rules(field).ignore == validate_pb2.IGNORE_IF_ZERO_VALUE and schema.get("type") == "string":
            return {"anyOf": [schema, {"type": "string", "maxLength": 0}]}
        return schema

    def _type(self, field: FieldDescriptor) -> Json:
        rules = _rules(field)
        kind = field.message_type
        if field.is_repeated:
            if kind and kind.GetOptions().map_entry:
                return {"type": "object", "additionalProperties": self._type(kind.fields_by_name["value"])}
            items = self._message(kind) if kind else self._single(field, rules.repeated.items)
            return {"type": "array", "items": items} | _set(
                minItems=(rules.repeated, "min_items"), maxItems=(rules.repeated, "max_items"), uniqueItems=(rules.repeated, "unique")
            )
        return self._message(kind) if kind else self._single(field, rules)

    def _single(self, field: FieldDescriptor, rules: validate_pb2.FieldRules) -> Json:
        if field.enum_type:
            return self._reference(field.enum_type) if field.enum_type.full_name != "google.protobuf.NullValue" else {"type": "null"}
        schema = dict(_SCALARS[field.type])
        if field.type == FieldDescriptor.TYPE_STRING:
            schema |= _string(rules)
        elif kind := rules.WhichOneof("type"):
            schema |= _range(getattr(rules, kind))
        return schema


_INTRODUCTION = """Products, sign-in, recommendations and sales forecasts.

Every refusal is a `google.rpc.Status` as JSON, with a stable `reason` in its `google.rpc.ErrorInfo`.
"""
_LICENSE = {"name": "Apache-2.0", "identifier": "Apache-2.0"}
_TOKEN_SCHEME: Json = {
    "type": "oauth2",
    "description": "An access token of `POST /auth/token`.",
    "flows": {"password": {"tokenUrl": "/auth/token", "refreshUrl": "/auth/token", "scopes": {}}},
}
_STATUS: Json = {
    "type": "object",
    "description": "Why a call was refused.",
    "required": ["code", "message", "details"],
    "properties": {
        "code": {"type": "integer", "minimum": 0, "maximum": 16, "description": "The code of gRPC."},
        "message": {"type": "string", "description": "What went wrong, for people."},
        "details": {
            "type": "array",
            "description": "`google.rpc.ErrorInfo` with a stable `reason`; `google.rpc.BadRequest` with each field at fault; "
            "`google.rpc.RetryInfo` with the delay after which to try again.",
            "items": {"type": "object", "required": ["@type"], "properties": {"@type": {"type": "string"}}},
        },
    },
}
_OAUTH_ERROR: Json = {
    "type": "object",
    "description": "Why there is no token (RFC 6749, section 5.2).",
    "required": ["error", "error_description"],
    "properties": {"error": {"type": "string"}, "error_description": {"type": "string"}},
}
_REFUSED: Json = {
    "description": "The call was refused.",
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Status"}}},
}
_TOKEN_REFUSED: Json = {
    "description": "There is no token.",
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/OAuthError"}}},
}
_ACCESS = {
    access_pb2.ACCESS_PUBLIC: "anybody",
    access_pb2.ACCESS_USER: "any signed-in user",
    access_pb2.ACCESS_STAFF: "staff and admins",
    access_pb2.ACCESS_ADMIN: "admins",
    access_pb2.ACCESS_SERVICE: "services",
    access_pb2.ACCESS_STAFF_OR_SERVICE: "staff, admins and services",
}
# PostgreSQL cannot store it, so no text may have it.
_NO_NUL = "^[^\\x00]*$"
_INT32: Json = {"type": "integer", "format": "int32", "minimum": -(2**31), "maximum": 2**31 - 1}
_UINT32: Json = {"type": "integer", "minimum": 0, "maximum": 2**32 - 1}
_INT64: Json = {"type": "string", "format": "int64", "pattern": "^-?[0-9]{1,19}$"}
_UINT64: Json = {"type": "string", "format": "uint64", "pattern": "^[0-9]{1,20}$"}
_SCALARS: dict[int, Json] = {
    FieldDescriptor.TYPE_STRING: {"type": "string"},
    FieldDescriptor.TYPE_BYTES: {"type": "string", "contentEncoding": "base64"},
    FieldDescriptor.TYPE_BOOL: {"type": "boolean"},
    FieldDescriptor.TYPE_DOUBLE: {"type": "number", "format": "double"},
    FieldDescriptor.TYPE_FLOAT: {"type": "number", "format": "float"},
    **dict.fromkeys((FieldDescriptor.TYPE_INT32, FieldDescriptor.TYPE_SINT32, FieldDescriptor.TYPE_SFIXED32), _INT32),
    **dict.fromkeys((FieldDescriptor.TYPE_UINT32, FieldDescriptor.TYPE_FIXED32), _UINT32),
    **dict.fromkeys((FieldDescriptor.TYPE_INT64, FieldDescriptor.TYPE_SINT64, FieldDescriptor.TYPE_SFIXED64), _INT64),
    **dict.fromkeys((FieldDescriptor.TYPE_UINT64, FieldDescriptor.TYPE_FIXED64), _UINT64),
}
_WELL_KNOWN: dict[str, Json] = {
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.Duration": {"type": "string", "pattern": "^-?[0-9]+(\\.[0-9]{1,9})?s$"},
    "google.protobuf.FieldMask": {"type": "string", "pattern": "^[A-Za-z0-9_.,*]*$"},
    "google.protobuf.Empty": {"type": "object"},
    "google.protobuf.Struct": {"type": "object"},
    "google.protobuf.Value": {},
    "google.protobuf.ListValue": {"type": "array"},
    "google.protobuf.Any": {"type": "object", "required": ["@type"], "properties": {"@type": {"type": "string"}}},
    "google.protobuf.StringValue": {"type": "string"},
    "google.protobuf.BytesValue": {"type": "string", "contentEncoding": "base64"},
    "google.protobuf.BoolValue": {"type": "boolean"},
    "google.protobuf.FloatValue": {"type": "number"},
    "google.protobuf.DoubleValue": {"type": "number"},
    "google.protobuf.Int32Value": _INT32,
    "google.protobuf.UInt32Value": _UINT32,
    "google.protobuf.Int64Value": _INT64,
    "google.protobuf.UInt64Value": _UINT64,
    "google.rpc.Status": {"$ref": "#/components/schemas/Status"},
}


def _comments(file: FileDescriptorProto) -> Iterator[tuple[str, str]]:
    """The comment of everything in a file that has one, by its full name."""
    for location in file.source_code_info.location:
        comment, path = location.leading_comments.strip(), location.path
        name, node = file.package, cast(Any, file)
        # A path goes by the numbers of a descriptor's own fields, each with the place in it.
        for number, place in zip(path[::2], path[1::2], strict=False):
            field = node.DESCRIPTOR.fields_by_number[number]
            if not field.is_repeated:
                break
            node = getattr(node, field.name)[place]
            name = f"{name}.{getattr(node, 'name', '')}"
        else:
            if comment and len(path) % 2 == 0:
                yield name, re.sub(r"(?m)^ ", "", comment)


def _tag(service: str) -> str:
    return service.rpartition(".")[2]


def _places(binding: Binding) -> list[tuple[PathVariable, str]]:
    """What varies in a path: the variable that each wildcard belongs to, and a name for it."""
    places: list[tuple[PathVariable, str]] = []
    for variable in binding.template.variables:
        name = variable.field_path.rpartition(".")[2]
        wildcards = [segment for segment in binding.template.segments[variable.start : variable.end] if segment in ("*", "**")]
        places += [(variable, name if len(wildcards) == 1 else f"{name}_{number + 1}") for number in range(len(wildcards))]
    return places


def _path(binding: Binding, names: list[str]) -> str:
    rest = iter(names)
    segments = [f"{{{next(rest)}}}" if segment in ("*", "**") else segment for segment in binding.template.segments]
    return "/" + "/".join(segments) + (f":{binding.template.verb}" if binding.template.verb else "")


def _leaves(message: Descriptor, prefix: str, taken: set[str], around: frozenset[str]) -> Iterator[tuple[str, FieldDescriptor]]:
    """The fields that a query can fill, by their dotted path."""
    for field in message.fields:
        path, kind = f"{prefix}{field.name}", field.message_type
        if path in taken:
            continue
        if not kind or kind.full_name in TEXT_MESSAGES:
            yield path, field
        elif not field.is_repeated and kind.full_name not in _WELL_KNOWN | dict.fromkeys(around):
            yield from _leaves(kind, f"{path}.", taken, around | {message.full_name})


def _lines(schema: Json) -> Json:
    return {
        "schema": {"type": "string", "description": "Messages, each as `x-item-schema` says."},
        "x-item-schema": schema,
    }


def _behaviors(field: FieldDescriptor) -> list[int]:
    return list(field.GetOptions().Extensions[field_behavior_pb2.field_behavior])


def _is_required(field: FieldDescriptor) -> bool:
    return field_behavior_pb2.REQUIRED in _behaviors(field)


def _rules(field: FieldDescriptor) -> validate_pb2.FieldRules:
    return field.GetOptions().Extensions[validate_pb2.field]


def _string(rules: validate_pb2.FieldRules) -> Json:
    string = rules.string
    schema: Json = {"pattern": _NO_NUL} | _set(
        minLength=(string, "min_len"), maxLength=(string, "max_len"), pattern=(string, "pattern"), const=(string, "const")
    )
    if string.HasField("len"):
        schema |= {"minLength": string.len, "maxLength": string.len}
    if getattr(string, "in"):
        schema["enum"] = list(getattr(string, "in"))
    if rules.required:
        schema["minLength"] = max(1, string.min_len)
    if format := _FORMATS.get(string.WhichOneof("well_known") or ""):
        schema["format"] = format
    return schema


_FORMATS = {"email": "email", "uuid": "uuid", "uri": "uri", "hostname": "hostname", "ipv4": "ipv4", "ipv6": "ipv6"}


def _range(rules: Message) -> Json:
    """What the rules of a number say."""
    if "gte" not in rules.DESCRIPTOR.fields_by_name:
        return {}
    return _set(
        minimum=(rules, "gte"),
        maximum=(rules, "lte"),
        exclusiveMinimum=(rules, "gt"),
        exclusiveMaximum=(rules, "lt"),
        const=(rules, "const"),
    )


def _set(**keywords: tuple[Message, str]) -> Json:
    """The keywords whose rule is set."""
    return {keyword: getattr(rules, name) for keyword, (rules, name) in keywords.items() if rules.HasField(name)}
