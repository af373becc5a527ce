"""The contracts' validation rules (protovalidate) as keywords of JSON Schema."""

from typing import Any, TypeAlias

from google.api import field_behavior_pb2
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from buf.validate import validate_pb2

Json: TypeAlias = dict[str, Any]

# PostgreSQL cannot store U+0000.
_NO_NUL = "^[^\\x00]*$"
_FORMATS = {"email": "email", "uuid": "uuid", "uri": "uri", "hostname": "hostname", "ipv4": "ipv4", "ipv6": "ipv6"}


def field_rules(field: FieldDescriptor) -> validate_pb2.FieldRules:
    return field.GetOptions().Extensions[validate_pb2.field]


def behaviors(field: FieldDescriptor) -> list[int]:
    """The `google.api.FieldBehavior`s of a field."""
    return list(field.GetOptions().Extensions[field_behavior_pb2.field_behavior])


def is_required(field: FieldDescriptor) -> bool:
    return field_behavior_pb2.REQUIRED in behaviors(field)


def example(field: FieldDescriptor) -> Any:
    """The example that the contract gives of a field's value: of a list, all of its items' examples. None if there is none."""
    values = examples(field_rules(field).repeated.items if field.is_repeated else field_rules(field))
    if field.enum_type:
        values = [field.enum_type.values_by_number[number].name for number in values]
    return (values or None) if field.is_repeated else next(iter(values), None)


def examples(rules: validate_pb2.FieldRules) -> list[Any]:
    """The examples of single values that rules have, as JSON has them: an integer of 64 bits is text."""
    kind = rules.WhichOneof("type")
    values = list(getattr(getattr(rules, kind), "example", ())) if kind else []
    return list(map(str, values)) if kind and kind.endswith("64") else values


def is_empty_allowed(field: FieldDescriptor) -> bool:
    """Whether the rules of a field do not apply to its empty value."""
    return not field.is_repeated and field_rules(field).ignore == validate_pb2.IGNORE_IF_ZERO_VALUE


def string_keywords(rules: validate_pb2.FieldRules) -> Json:
    string = rules.string
    schema: Json = {"pattern": _NO_NUL} | _set_keywords(
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


def number_keywords(rules: Message) -> Json:
    """The rules of one type of numbers."""
    if "gte" not in rules.DESCRIPTOR.fields_by_name:
        return {}
    return _set_keywords(
        minimum=(rules, "gte"),
        maximum=(rules, "lte"),
        exclusiveMinimum=(rules, "gt"),
        exclusiveMaximum=(rules, "lt"),
        const=(rules, "const"),
    )


def list_keywords(rules: validate_pb2.FieldRules) -> Json:
    repeated = rules.repeated
    return _set_keywords(minItems=(repeated, "min_items"), maxItems=(repeated, "max_items"), uniqueItems=(repeated, "unique"))


def _set_keywords(**keywords: tuple[Message, str]) -> Json:
    """The keywords whose rule is set: each with the rules, and the name of its own among them."""
    return {keyword: getattr(rules, name) for keyword, (rules, name) in keywords.items() if rules.HasField(name)}
