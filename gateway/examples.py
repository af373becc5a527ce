"""Examples of requests and responses: the contracts' own of their fields (`buf.validate`), and what their types and rules allow."""

import re
from collections.abc import Mapping
from itertools import repeat
from typing import Any

from google.api import field_behavior_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from buf.validate.validate_pb2 import FieldRules
from gateway.rules import Json, behaviors, example, examples, field_rules, is_required, number_keywords
from gateway.scalars import NULL_ENUM

_EMAIL = "ann@example.com"
_UUID = "3f2b6c1e-8a54-4c7d-9b1f-0d6e5a4c3b2a"
# The last day of the demo's sales.
_DATE, _TIME = "2011-12-09", "2011-12-09T12:50:00Z"
_DATE_NAME = re.compile(r"(?:.*_)?date")
# How the contracts' comments say that a field has no value most of the time.
_UNSET = re.compile(r"\bUnset\b")
_WELL_KNOWN: Json = {
    "google.protobuf.Timestamp": _TIME,
    "google.protobuf.Duration": "1.500s",
    "google.protobuf.FieldMask": "",
    "google.protobuf.Empty": {},
    "google.protobuf.Struct": {},
    "google.protobuf.Value": None,
    "google.protobuf.ListValue": [],
    "google.protobuf.Any": {"@type": "type.googleapis.com/google.protobuf.Empty"},
    "google.protobuf.StringValue": "",
    "google.protobuf.BytesValue": "",
    "google.protobuf.BoolValue": True,
    **{f"google.protobuf.{name}Value": 1 for name in ("Float", "Double", "Int32", "UInt32")},
    **{f"google.protobuf.{name}Value": "1" for name in ("Int64", "UInt64")},
    "google.rpc.Status": None,
}
_SIXTY_FOUR_BITS = {
    FieldDescriptor.TYPE_INT64,
    FieldDescriptor.TYPE_SINT64,
    FieldDescriptor.TYPE_SFIXED64,
    FieldDescriptor.TYPE_UINT64,
    FieldDescriptor.TYPE_FIXED64,
}


class Examples:
    """Makes examples of a contract's messages."""

    def __init__(self, comments: Mapping[str, str]) -> None:
        self._comments = comments

    def answer(self, message: Descriptor) -> Any:
        """A message as it is answered: with all of its fields, and of a choice the first."""
        return self._answer(message, frozenset())

    def request(self, message: Descriptor, excluded: frozenset[str] = frozenset()) -> Json:
        """A message as it is sent, without the excluded fields: those that are required and those of which the contract has an example."""
        return {
            field.name: self._request_value(field)
            for field in message.fields
            if field.name not in excluded and (is_required(field) or self._is_offered(field))
        }

    def change(self, message: Descriptor, excluded: frozenset[str] = frozenset()) -> Json:
        """A change of one field of a message."""
        return dict(list(self.request(message, excluded).items())[:1])

    def parameter(self, field: FieldDescriptor, *, required: bool) -> Any:
        """The value of a parameter; None if it need not be given and the contract has no example of it."""
        value = self._request_value(field) if required or self._is_offered(field) else None
        # A text in a path is never empty.
        return field.name if value == "" else value

    def _is_offered(self, field: FieldDescriptor) -> bool:
        """Whether an example of a request has a field that it need not have."""
        chosen = field.containing_oneof
        return (
            example(field) is not None
            and field_behavior_pb2.OUTPUT_ONLY not in behaviors(field)
            and (not chosen or field is next(each for each in chosen.fields if example(each) is not None))
        )

    def _request_value(self, field: FieldDescriptor) -> Any:
        if field.message_type and field.message_type.full_name not in _WELL_KNOWN:
            message = self.request(field.message_type)
            return [message] if field.is_repeated else message
        return self._scalar(field)

    def _answer(self, message: Descriptor, outer: frozenset[str]) -> Any:
        if message.full_name in _WELL_KNOWN:
            return _WELL_KNOWN[message.full_name]
        answered: Json = {}
        for field in message.fields:
            is_other_choice = (
                field.containing_oneof and len(field.containing_oneof.fields) > 1 and field.containing_oneof.fields[0] != field
            )
            if not is_other_choice and field_behavior_pb2.INPUT_ONLY not in behaviors(field):
                answered[field.name] = self._answer_value(field, outer | {message.full_name})
        return answered

    def _answer_value(self, field: FieldDescriptor, outer: frozenset[str]) -> Any:
        kind = field.message_type
        if not kind:
            return self._scalar(field)
        if field.is_repeated:
            if kind.GetOptions().map_entry:
                rules, value = field_rules(field).map, kind.fields_by_name["value"]
                return dict(zip(examples(rules.keys), examples(rules.values) or repeat(self._answer_value(value, outer)), strict=False))
            return [] if kind.full_name in outer else [self._answer(kind, outer)]
        # Of a choice, this is the one that is set.
        is_unset = kind.full_name in outer or _UNSET.search(self._comments.get(field.full_name, ""))
        return None if is_unset and not field.containing_oneof else self._answer(kind, outer)

    def _scalar(self, field: FieldDescriptor) -> Any:
        """An example of a value that is no message of ours."""
        value = example(field)
        if value is None:
            value = _of_type(field)
            if field.is_repeated:
                return [value] if value else []
        return value


def _text(name: str, rules: FieldRules) -> str:
    if known := list(getattr(rules.string, "in")):
        return str(known[0])
    if rules.string.uuid:
        return _UUID
    if _DATE_NAME.fullmatch(name):
        return _DATE
    shortest = max(rules.string.min_len, int(rules.required))
    if shortest and name == "email":
        return _EMAIL
    return name.ljust(shortest, "-") if shortest else ""


def _of_type(field: FieldDescriptor) -> Any:
    """A value that the type and the rules of a field allow."""
    rules = field_rules(field).repeated.items if field.is_repeated else field_rules(field)
    if field.message_type:
        return _WELL_KNOWN[field.message_type.full_name]
    if field.enum_type:
        values = field.enum_type.values
        return values[min(1, len(values) - 1)].name if field.enum_type.full_name != NULL_ENUM else None
    if field.type == FieldDescriptor.TYPE_BOOL:
        return False
    if field.type == FieldDescriptor.TYPE_BYTES:
        return ""
    if field.type == FieldDescriptor.TYPE_STRING:
        return _text(field.name, rules)
    kind = rules.WhichOneof("type")
    keywords = number_keywords(getattr(rules, kind)) if kind else {}
    number = min(max(1, keywords.get("minimum", 1)), keywords.get("maximum", 1))
    return str(number) if field.type in _SIXTY_FOUR_BITS else number
