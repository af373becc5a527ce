"""How large the body of a binding may be, as its contract's rules have it."""

import math

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from buf.validate import validate_pb2
from gateway.body import MAX_BODY, SMALL_BODY
from gateway.contract import TEXT_MESSAGES, Binding
from gateway.rules import field_rules

# A character is at most a pair of escapes, such as `\ud83d\ude00`, or four of a form.
_BYTES_PER_CHARACTER = 12
# The longest JSON of a number.
_MAX_SCALAR = 100
# Quotes, colon, comma.
_PUNCTUATION = 6
# For blanks, and for members that the contract does not know.
_SLACK = 2
# Of a text that has a pattern and no length: an identifier.
_MAX_IDENTIFIER = 256
_WELL_KNOWN_LENGTHS = {"google.protobuf.Timestamp": 100, "google.protobuf.Duration": 100, "google.protobuf.FieldMask": 4096}
_FORMAT_LENGTHS = {"uuid": 36, "email": 320, "hostname": 253}


def max_body(binding: Binding) -> int:
    """The most bytes of a body: what the rules allow, but no less than a small one and no more than any."""
    request = binding.method.descriptor.input_type
    if binding.content_field:
        rules = field_rules(request.fields_by_name[binding.content_field]).bytes
        return min(rules.max_len, MAX_BODY) if rules.HasField("max_len") else MAX_BODY
    field = request.fields_by_name.get(binding.body)
    length = _field_length(field, ()) if field else _message_length(request, ())
    return round(min(MAX_BODY, max(SMALL_BODY, _SLACK * length)))


def _message_length(message: Descriptor, inside: tuple[Descriptor, ...]) -> float:
    """The longest JSON of a message; infinite if its rules leave it open."""
    if message in inside:
        return math.inf
    return sum(_BYTES_PER_CHARACTER * len(field.name) + _field_length(field, (*inside, message)) for field in message.fields)


def _field_length(field: FieldDescriptor, inside: tuple[Descriptor, ...]) -> float:
    rules = field_rules(field)
    if not field.is_repeated:
        return _value_length(field, rules, inside)
    repeated = rules.repeated
    if not repeated.HasField("max_items"):
        return math.inf
    return repeated.max_items * _value_length(field, repeated.items, inside)


def _value_length(field: FieldDescriptor, rules: validate_pb2.FieldRules, inside: tuple[Descriptor, ...]) -> float:
    kind = field.message_type
    if kind and "value" in kind.fields_by_name and kind.full_name in TEXT_MESSAGES:
        return _value_length(kind.fields_by_name["value"], rules, inside)
    if kind and kind.full_name.startswith("google.protobuf."):
        return _WELL_KNOWN_LENGTHS.get(kind.full_name, math.inf)
    if kind:
        return _PUNCTUATION + _message_length(kind, inside)
    if field.type == FieldDescriptor.TYPE_BYTES:
        return _PUNCTUATION + 2 * rules.bytes.max_len if rules.bytes.HasField("max_len") else math.inf
    if field.type != FieldDescriptor.TYPE_STRING:
        return _MAX_SCALAR
    return _PUNCTUATION + _BYTES_PER_CHARACTER * _text_length(rules.string)


def _text_length(rules: validate_pb2.StringRules) -> float:
    """The most characters of a text."""
    limits = [getattr(rules, name) for name in ("len", "max_len", "max_bytes") if rules.HasField(name)]
    limits += [max(map(len, getattr(rules, "in")))] if getattr(rules, "in") else []
    if known_format := _FORMAT_LENGTHS.get(rules.WhichOneof("well_known") or ""):
        limits.append(known_format)
    return min(limits, default=_MAX_IDENTIFIER if rules.HasField("pattern") else math.inf)
