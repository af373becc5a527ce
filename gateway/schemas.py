"""The contracts' messages as JSON Schema."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

from google.api import field_behavior_pb2
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from buf.validate import validate_pb2
from gateway.components import Components, reference
from gateway.rules import (
    Json,
    behaviors,
    example,
    field_rules,
    is_empty_allowed,
    is_required,
    list_keywords,
    number_keywords,
    string_keywords,
)
from gateway.scalars import NULL_ENUM

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
WELL_KNOWN: dict[str, Json] = {
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
    "google.rpc.Status": reference("Status"),
}


class Schemas(ABC):
    """Makes schemas of messages, in one direction, and puts those that others refer to among the components."""

    def __init__(self, comments: Mapping[str, str], components: Components) -> None:
        self._comments = comments
        self._components = components

    def message_schema(self, message: Descriptor) -> Json:
        """The schema of a message, by reference unless it is well-known."""
        if (known := WELL_KNOWN.get(message.full_name)) is not None:
            return dict(known)
        return self._components.refer(message, self._suffix(message), lambda: self.object_schema(message))

    def object_schema(self, message: Descriptor, excluded: frozenset[str] = frozenset()) -> Json:
        """The schema of a message's fields, without the excluded ones."""
        fields = [field for field in message.fields if field.name not in excluded and self._has(field)]
        schema: Json = {"type": "object", "description": self._comments.get(message.full_name, "")}
        if self._is_union(message):
            return schema | {"oneOf": [self._alternative(field) for field in fields]}
        schema["properties"] = {field.name: self._property(field) for field in fields}
        if required := [field.name for field in fields if self._requires(field)]:
            schema["required"] = required
        return schema

    def field_schema(self, field: FieldDescriptor) -> Json:
        """The schema of a field of an object."""
        schema = self.parameter_schema(field)
        if field.message_type and not field.is_repeated:
            # Unset, it is written as null.
            return (
                schema | {"type": [schema["type"], "null"]}
                if isinstance(schema.get("type"), str)
                else {"anyOf": [schema, {"type": "null"}]}
            )
        return schema

    def parameter_schema(self, field: FieldDescriptor) -> Json:
        """The schema of a field's value where an empty text stands for none."""
        schema = self.type_schema(field)
        return _or_empty(schema) if is_empty_allowed(field) and schema.get("type") == "string" else schema

    def type_schema(self, field: FieldDescriptor) -> Json:
        """The schema of a field's value when it is set."""
        rules = field_rules(field)
        kind = field.message_type
        if field.is_repeated:
            if kind and kind.GetOptions().map_entry:
                return {"type": "object", "additionalProperties": self.type_schema(kind.fields_by_name["value"])}
            items = self.message_schema(kind) if kind else self._single(field, rules.repeated.items)
            return {"type": "array", "items": items} | list_keywords(rules)
        return self.message_schema(kind) if kind else self._single(field, rules)

    @abstractmethod
    def _suffix(self, message: Descriptor) -> str:
        """What the name of a message's schema ends in."""

    @abstractmethod
    def _has(self, field: FieldDescriptor) -> bool:
        """Whether messages in this direction have the field."""

    @abstractmethod
    def _requires(self, field: FieldDescriptor) -> bool:
        """Whether messages in this direction always have the field."""

    @abstractmethod
    def _is_union(self, message: Descriptor) -> bool:
        """Whether a message is nothing but one of its fields."""

    def _alternative(self, field: FieldDescriptor) -> Json:
        """The object that has just this field of a oneof."""
        schema = self.type_schema(field)
        if comment := self._comments.get(field.full_name):
            schema["description"] = comment
        return {"type": "object", "required": [field.name], "properties": {field.name: schema}}

    def _enum(self, enum: EnumDescriptor) -> Json:
        values = "\n".join(f"* `{value.name}`: {self._comments.get(f'{enum.full_name}.{value.name}', '')}" for value in enum.values)
        description = f"{self._comments.get(enum.full_name, '')}\n\n{values}"
        return {"type": "string", "enum": [value.name for value in enum.values], "description": description}

    def _property(self, field: FieldDescriptor) -> Json:
        schema = self.field_schema(field)
        if comment := self._comments.get(field.full_name):
            schema["description"] = comment
        if (value := example(field)) is not None:
            schema["examples"] = [value]
        return schema

    def _single(self, field: FieldDescriptor, rules: validate_pb2.FieldRules) -> Json:
        if field.enum_type:
            enum = field.enum_type
            return self._components.refer(enum, "", lambda: self._enum(enum)) if enum.full_name != NULL_ENUM else {"type": "null"}
        schema = dict(_SCALARS[field.type])
        if field.type == FieldDescriptor.TYPE_STRING:
            schema |= string_keywords(rules)
        elif kind := rules.WhichOneof("type"):
            schema |= number_keywords(getattr(rules, kind))
        return schema


class AnswerSchemas(Schemas):
    """Makes schemas of what is answered.

    A field outside of a oneof is always written, and so is required. A message that is nothing but a oneof is a union.
    """

    def _suffix(self, message: Descriptor) -> str:
        return ""

    def _has(self, field: FieldDescriptor) -> bool:
        return field_behavior_pb2.INPUT_ONLY not in behaviors(field)

    def _requires(self, field: FieldDescriptor) -> bool:
        return field.containing_oneof is None

    def _is_union(self, message: Descriptor) -> bool:
        return len(message.oneofs) == 1 and len(message.oneofs[0].fields) == len(message.fields) > 1


class RequestSchemas(Schemas):
    """Makes schemas of what is sent: without the fields that only answers have, and with those required that the contract requires.

    The schemas of all answers are among the components already, so that a message that is sent as well gets a name of its own.
    """

    def __init__(self, comments: Mapping[str, str], components: Components) -> None:
        super().__init__(comments, components)
        self._answered = components.kinds()

    def named_schema(self, name: str, message: Descriptor, excluded: frozenset[str] = frozenset(), *, partial: bool = False) -> Json:
        """The schema of a message without the excluded fields under a name of its own; of a partial one, nothing is required."""
        schema = self.object_schema(message, excluded)
        if partial:
            schema.pop("required", None)
        return self._components.add(name, schema)

    def _suffix(self, message: Descriptor) -> str:
        return "Input" if message.full_name in self._answered else ""

    def _has(self, field: FieldDescriptor) -> bool:
        return field_behavior_pb2.OUTPUT_ONLY not in behaviors(field)

    def _requires(self, field: FieldDescriptor) -> bool:
        return is_required(field)

    def _is_union(self, message: Descriptor) -> bool:
        return False


def _or_empty(schema: Json) -> Json:
    """The schema of a text that may also be empty."""
    schema = {key: value for key, value in schema.items() if key not in ("minLength", "format")}
    if "pattern" in schema:
        schema["pattern"] = f"^$|{schema['pattern']}"
    if "enum" in schema:
        schema["enum"] = ["", *schema["enum"]]
    return schema
