"""What must be true of every contract."""

import re

from google.api import annotations_pb2
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, MethodDescriptorProto

from buf.validate import validate_pb2
from hashiramart.access.v1 import access_pb2
from tests.contract import contracts

# REST reads int64 as text, and clients trip over it; these take an int32 or a double instead.
SIXTY_FOUR_BITS = {
    FieldDescriptorProto.TYPE_INT64,
    FieldDescriptorProto.TYPE_UINT64,
    FieldDescriptorProto.TYPE_SINT64,
    FieldDescriptorProto.TYPE_FIXED64,
    FieldDescriptorProto.TYPE_SFIXED64,
}
TIMESTAMP = ".google.protobuf.Timestamp"
# The e-mail address, of which there is one, makes a second sign-up harmless.
CREATED_WITHOUT_REQUEST_ID = ["hashiramart.auth.v1.AuthService.CreateUser"]


def test_every_rpc_says_who_may_call_it() -> None:
    assert [
        rpc.name for rpc in contracts.methods() if rpc.proto.options.Extensions[access_pb2.access] == access_pb2.ACCESS_UNSPECIFIED
    ] == []


def test_every_rpc_has_a_path_or_says_why_not() -> None:
    without = [rpc for rpc in contracts.methods() if not rpc.proto.options.HasExtension(annotations_pb2.http)]
    assert [rpc.name for rpc in without if "Not bound to REST: it is for services." not in rpc.comment] == []
    assert [rpc.name for rpc in without if access(rpc.proto) != access_pb2.ACCESS_SERVICE] == []


def test_no_two_rpcs_share_a_path() -> None:
    places = [place for rpc in contracts.methods() for place in paths(rpc.proto)]
    assert sorted(places) == sorted(set(places))


def test_everything_is_commented() -> None:
    assert sum(1 for _ in contracts.fields()) > 250
    for kind in (contracts.services, contracts.methods, contracts.messages, contracts.fields, contracts.enums, contracts.enum_values):
        assert [element.name for element in kind() if not element.comment.endswith(".")] == []


def test_a_read_says_that_it_has_no_side_effects() -> None:
    reads = [rpc for rpc in contracts.methods() if re.match("(Get|List|BatchGet|Watch|Forecast|Explain)[A-Z]", rpc.proto.name)]
    assert reads
    assert [rpc.name for rpc in reads if rpc.proto.options.idempotency_level != rpc.proto.options.NO_SIDE_EFFECTS] == []


def test_a_read_is_a_get() -> None:
    verbs = {
        rpc.name: rpc.proto.options.Extensions[annotations_pb2.http].WhichOneof("pattern")
        for rpc in contracts.methods()
        if rpc.proto.options.idempotency_level == rpc.proto.options.NO_SIDE_EFFECTS and rpc.proto.options.HasExtension(annotations_pb2.http)
    }
    assert set(verbs.values()) == {"get"}


def test_a_list_is_paged() -> None:
    lists = [rpc for rpc in contracts.methods() if rpc.proto.name.startswith("List") and rpc.proto.name != "ListSigningKeys"]
    assert lists
    for rpc in lists:
        asked = [field.name for field in contracts.message(rpc.proto.input_type).field]
        answered = [field.name for field in contracts.message(rpc.proto.output_type).field]
        assert {"page_size", "page_token"} <= set(asked), rpc.name
        assert answered[1] == "next_page_token", rpc.name


def test_a_retry_of_what_creates_can_be_made_safe() -> None:
    creating = [rpc for rpc in contracts.methods() if re.match("(Create|Submit|Record)[A-Z]", rpc.proto.name)]
    without = [rpc.name for rpc in creating if "request_id" not in [field.name for field in contracts.message(rpc.proto.input_type).field]]
    assert without == CREATED_WITHOUT_REQUEST_ID


def test_a_stream_leaves_the_name_error_to_the_gateway() -> None:
    streams = [rpc for rpc in contracts.methods() if rpc.proto.server_streaming]
    assert streams
    for rpc in streams:
        assert "error" not in [field.name for field in contracts.message(rpc.proto.output_type).field], rpc.name


def test_an_enum_starts_with_unspecified() -> None:
    for enum in contracts.enums():
        assert enum.proto.value[0].number == 0, enum.name
        assert enum.proto.value[0].name.endswith("_UNSPECIFIED"), enum.name


def test_no_field_is_of_64_bits() -> None:
    assert [field.name for field in contracts.fields() if field.proto.type in SIXTY_FOUR_BITS] == []


def test_times_end_in_time_and_days_in_date() -> None:
    for field in contracts.fields():
        name = field.proto.name
        if field.proto.type_name == TIMESTAMP:
            assert name == "time" or name.endswith("_time"), field.name
        if name == "date" or name.endswith("_date"):
            assert field.proto.type == FieldDescriptorProto.TYPE_STRING, field.name
            assert "YYYY-MM-DD" in field.comment, field.name


def test_money_is_whole_cents() -> None:
    money = [field for field in contracts.fields() if field.proto.name.endswith("_cents")]
    assert money
    assert [field.name for field in money if field.proto.type != FieldDescriptorProto.TYPE_INT32] == []


def test_text_and_lists_that_a_caller_sends_are_bounded() -> None:
    for rpc in contracts.methods():
        for name, field in sent(rpc.proto.input_type):
            rules = field.options.Extensions[validate_pb2.field]
            if field.label == FieldDescriptorProto.LABEL_REPEATED:
                assert rules.repeated.max_items, name
            elif field.type == FieldDescriptorProto.TYPE_STRING:
                text = rules.string
                # A pattern that ends in `*` or `+` bounds what is in the text, not how much of it.
                bounded = text.max_len or text.uuid or len(getattr(text, "in")) or re.search(r"[^*+]\$$", text.pattern)
                assert bounded, name


def access(method: MethodDescriptorProto) -> access_pb2.Access.ValueType:
    """Who may call a method."""
    return method.options.Extensions[access_pb2.access]


def paths(method: MethodDescriptorProto) -> list[tuple[str, str]]:
    """Every verb and path, with its variables made nameless, that a method is bound to."""
    rule = method.options.Extensions[annotations_pb2.http]
    rules = [rule, *rule.additional_bindings] if method.options.HasExtension(annotations_pb2.http) else []
    verbs = [(str(each.WhichOneof("pattern")), each) for each in rules]
    return [(verb, re.sub(r"\{[^}]*\}", "{}", getattr(each, verb))) for verb, each in verbs]


def sent(type_name: str) -> list[tuple[str, FieldDescriptorProto]]:
    """The fields of a request and of our own messages in it, with their paths."""
    found = []
    for field in contracts.message(type_name).field:
        name = f"{type_name}.{field.name}"
        found.append((name, field))
        if field.type_name.startswith(".hashiramart.") and field.type == FieldDescriptorProto.TYPE_MESSAGE:
            found += sent(field.type_name)
    return found
