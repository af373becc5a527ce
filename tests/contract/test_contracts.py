"""What must be true of every contract."""

import re

from google.api import annotations_pb2, field_behavior_pb2
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, MethodDescriptorProto, MethodOptions

from buf.validate import validate_pb2
from hashiramart.access.v1 import access_pb2
from tests.contract import contracts

# JSON has 64-bit numbers as text, which is for what may exceed 32 bits: counters of rows, lines and bytes, and numbers of events.
SIXTY_FOUR_BITS = {
    FieldDescriptorProto.TYPE_INT64,
    FieldDescriptorProto.TYPE_UINT64,
    FieldDescriptorProto.TYPE_SINT64,
    FieldDescriptorProto.TYPE_FIXED64,
    FieldDescriptorProto.TYPE_SFIXED64,
}
TIMESTAMP = ".google.protobuf.Timestamp"
LARGE_COUNTER = re.compile(r"\b(rows|lines|bytes|events?|exposures?)\b", re.IGNORECASE)
# OAuth 2.0 has no place for a request id, and what the others take is valid once, as a refresh token is.
NOT_REPEATABLE = [
    f"hashiramart.auth.v1.AuthService.{name}" for name in ("IssueToken", "ResetPassword", "VerifyEmail", "ConfirmSecondFactor")
]
# More ids than a URL should have.
MANY_IDS = 20
FIELD_BEHAVIOR = field_behavior_pb2.field_behavior
OUTPUT_ONLY, IMMUTABLE = field_behavior_pb2.OUTPUT_ONLY, field_behavior_pb2.IMMUTABLE


def test_every_rpc_says_who_may_call_it() -> None:
    assert [
        rpc.name for rpc in contracts.methods() if rpc.proto.options.Extensions[access_pb2.access] == access_pb2.ACCESS_UNSPECIFIED
    ] == []


def test_an_rpc_for_services_names_them() -> None:
    for rpc in contracts.methods():
        options = rpc.proto.options.Extensions
        is_for_services = options[access_pb2.access] in (access_pb2.ACCESS_SERVICE, access_pb2.ACCESS_STAFF_OR_SERVICE)
        assert bool(options[access_pb2.callers]) is is_for_services, rpc.name
        assert len(options[access_pb2.callers]) == len(set(options[access_pb2.callers])), rpc.name


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
    """A POST beside it has a path that says that it reads."""
    reads = [rpc for rpc in contracts.methods() if rpc.proto.options.idempotency_level == MethodOptions.NO_SIDE_EFFECTS]
    bound = {rpc.name: paths(rpc.proto) for rpc in reads if rpc.proto.options.HasExtension(annotations_pb2.http)}
    assert {places[0][0] for places in bound.values()} == {"get"}
    assert [
        name for name, places in bound.items() for verb, path in places if verb != "get" and not re.search(":(query|batchGet)$", path)
    ] == []


def test_a_list_is_paged() -> None:
    lists = [rpc for rpc in contracts.methods() if rpc.proto.name.startswith("List") and rpc.proto.name != "ListSigningKeys"]
    assert lists
    for rpc in lists:
        asked = [field.name for field in contracts.message(rpc.proto.input_type).field]
        answered = [field.name for field in contracts.message(rpc.proto.output_type).field]
        assert {"page_size", "page_token"} <= set(asked), rpc.name
        assert answered[1] == "next_page_token", rpc.name
        # A list ends: a token for what is still to come would never let a pager stop.
        assert re.search("Empty (on|when)", next_page_token(rpc.proto.output_type).comment), rpc.name


def test_page_tokens_and_request_ids_are_explained_alike() -> None:
    comments = {name: {field.comment for field in contracts.fields() if field.proto.name == name} for name in ("page_token", "request_id")}
    assert [text for text in comments["page_token"] if not text.startswith("The `next_page_token` of the previous page.")] == []
    assert [
        text for text in comments["request_id"] if not text.startswith(("Makes a retry safe: the same request", "The id of the call"))
    ] == []
    ends = {field.name: field.comment for field in contracts.fields() if field.proto.name == "next_page_token"}
    assert [name for name, text in ends.items() if not text.startswith("The `page_token` of the next page. Empty ")] == []


def test_a_filter_that_is_not_specified_says_what_it_means() -> None:
    enums = [
        (name, field)
        for rpc in contracts.methods()
        for name, field in sent(rpc.proto.input_type)
        if rpc.proto.options.idempotency_level == MethodOptions.NO_SIDE_EFFECTS
        and field.type == FieldDescriptorProto.TYPE_ENUM
        and field.label != FieldDescriptorProto.LABEL_REPEATED
    ]
    comments = {f".{field.name}": field.comment for field in contracts.fields()}
    assert enums
    assert [name for name, _ in enums if "Unspecified means" not in comments[name]] == []


def test_an_enum_says_alike_that_a_value_is_not_specified() -> None:
    zeros = [value for value in contracts.enum_values() if value.proto.number == 0 and ".ErrorReason." not in value.name]
    assert [value.name for value in zeros if not re.match(r"Not (specified|stated)[.:]", value.comment)] == []


def test_a_write_is_idempotent_or_takes_a_request_id() -> None:
    writes = [rpc for rpc in contracts.methods() if rpc.proto.options.idempotency_level == MethodOptions.IDEMPOTENCY_UNKNOWN]
    assert [rpc.name for rpc in writes if "request_id" not in field_names(rpc.proto.input_type)] == NOT_REPEATABLE


def test_only_a_write_that_is_not_idempotent_takes_a_request_id() -> None:
    others = [rpc for rpc in contracts.methods() if rpc.proto.options.idempotency_level != MethodOptions.IDEMPOTENCY_UNKNOWN]
    assert [rpc.name for rpc in others if "request_id" in field_names(rpc.proto.input_type)] == []


def test_a_deletion_without_a_request_id_succeeds_again() -> None:
    """Its answer is empty, so that a repeated one has the same."""
    deletions = [rpc for rpc in contracts.methods() if any(verb == "delete" for verb, _ in paths(rpc.proto))]
    repeatable = [rpc for rpc in deletions if rpc.proto.options.idempotency_level == MethodOptions.IDEMPOTENT]
    assert repeatable
    assert [rpc.name for rpc in deletions if (rpc in repeatable) != (rpc.proto.output_type == ".google.protobuf.Empty")] == []
    assert [rpc.name for rpc in repeatable if not re.search("is no error|changes nothing", rpc.comment)] == []


def test_an_update_of_some_fields_takes_a_mask() -> None:
    patches = [rpc for rpc in contracts.methods() if any(verb == "patch" for verb, _ in paths(rpc.proto))]
    assert patches
    assert [rpc.name for rpc in patches if "update_mask" not in field_names(rpc.proto.input_type)] == []


def test_what_two_people_may_edit_has_an_etag() -> None:
    updates = [rpc for rpc in contracts.methods() if re.match("(Update|Replace)[A-Z]", rpc.proto.name)]
    assert updates
    for rpc in updates:
        resources = [field for field in contracts.message(rpc.proto.input_type).field if field.type_name == rpc.proto.output_type]
        # Without a resource in the request, it changes the caller alone.
        assert all("etag" in field_names(field.type_name) for field in resources), rpc.name
        assert resources or "Current" in rpc.proto.name, rpc.name


def test_an_import_can_only_validate() -> None:
    imports = [rpc for rpc in contracts.methods() if rpc.proto.name.startswith("Import")]
    assert imports
    assert [rpc.name for rpc in imports if "validate_only" not in field_names(rpc.proto.input_type)] == []


def test_what_takes_many_ids_takes_them_in_a_body_too() -> None:
    found = []
    for rpc in contracts.methods():
        for field in contracts.message(rpc.proto.input_type).field:
            if field.name.endswith("ids") and field.options.Extensions[validate_pb2.field].repeated.max_items > MANY_IDS:
                found.append(rpc.name)
                assert "post" in [verb for verb, _ in paths(rpc.proto)], rpc.name
    assert found


def test_every_field_of_a_request_says_whether_it_has_to_be_sent() -> None:
    assert [name for rpc in contracts.methods() for name, field in sent(rpc.proto.input_type) if not behavior(field)] == []


def test_what_only_the_service_sets_is_output_only() -> None:
    times = {(name, field.name): behavior(field) for rpc in contracts.methods() for name, field in sent(rpc.proto.input_type)}
    automatic = {name: found for (name, field), found in times.items() if field in ("create_time", "update_time", "delete_time")}
    assert automatic
    assert [name for name, found in automatic.items() if OUTPUT_ONLY not in found] == []


def test_a_required_field_is_not_optional_as_well() -> None:
    kinds = {field_behavior_pb2.REQUIRED, field_behavior_pb2.OPTIONAL, OUTPUT_ONLY, IMMUTABLE}
    for rpc in contracts.methods():
        for name, field in sent(rpc.proto.input_type):
            assert len(kinds & behavior(field)) == 1, name


def test_what_availability_defaults_to_is_stated() -> None:
    filters = [field for field in contracts.fields() if field.proto.type_name == ".hashiramart.catalog.v1.Availability"]
    assert filters
    assert [field.name for field in filters if "Unspecified means" not in field.comment] == []
    assert [field.name for field in contracts.fields() if field.proto.name == "in_stock"] == []


def test_a_stream_leaves_the_name_error_to_the_gateway() -> None:
    streams = [rpc for rpc in contracts.methods() if rpc.proto.server_streaming]
    assert streams
    for rpc in streams:
        assert "error" not in [field.name for field in contracts.message(rpc.proto.output_type).field], rpc.name


def test_an_enum_starts_with_unspecified() -> None:
    for enum in contracts.enums():
        assert enum.proto.value[0].number == 0, enum.name
        assert enum.proto.value[0].name.endswith("_UNSPECIFIED"), enum.name


def test_only_large_counters_have_64_bits() -> None:
    large = [field for field in contracts.fields() if field.proto.type in SIXTY_FOUR_BITS]
    assert [field.name for field in large if field.proto.type != FieldDescriptorProto.TYPE_INT64] == []
    assert [field.name for field in large if not LARGE_COUNTER.search(field.comment)] == []


def test_times_end_in_time_and_days_in_date() -> None:
    for field in contracts.fields():
        name = field.proto.name
        if field.proto.type_name == TIMESTAMP:
            assert name == "time" or name.endswith("_time"), field.name
        if name == "date" or name.endswith("_date"):
            assert field.proto.type == FieldDescriptorProto.TYPE_STRING, field.name
            assert "YYYY-MM-DD" in field.comment, field.name


def test_an_answer_that_speaks_of_days_says_in_which_time_zone() -> None:
    """Beside the day, or in a message around it."""
    answers = [name for rpc in contracts.methods() for name in days_without_zone(rpc.proto.output_type)]
    assert answers == []
    assert days_without_zone(".hashiramart.jobs.v1.EtlResult")


def test_money_is_whole_cents() -> None:
    money = [field for field in contracts.fields() if field.proto.name.endswith("_cents")]
    assert money
    assert [field.name for field in money if field.proto.type != FieldDescriptorProto.TYPE_INT32] == []
    assert [field.name for field in money if "in minor units of the shop's currency" not in field.comment] == []


def test_text_and_lists_that_a_caller_sends_are_bounded() -> None:
    for rpc in contracts.methods():
        for name, field in sent(rpc.proto.input_type):
            rules = field.options.Extensions[validate_pb2.field]
            if field.label == FieldDescriptorProto.LABEL_REPEATED:
                assert rules.repeated.max_items or rules.map.max_pairs, name
            elif field.type == FieldDescriptorProto.TYPE_STRING:
                text = rules.string
                # A pattern that ends in `*` or `+` bounds what is in the text, not how much of it.
                bounded = text.max_len or text.uuid or len(getattr(text, "in")) or re.search(r"[^*+]\$$", text.pattern)
                assert bounded, name


def field_names(type_name: str) -> list[str]:
    """The names of the fields of one of our messages."""
    return [field.name for field in contracts.message(type_name).field]


def next_page_token(type_name: str) -> contracts.Element[FieldDescriptorProto]:
    """The field with the token of the next page of the response of a list."""
    return next(field for field in contracts.fields() if f".{field.name}" == f"{type_name}.next_page_token")


def behavior(field: FieldDescriptorProto) -> set[int]:
    """Whether a field is required, optional, output only ..."""
    return set(field.options.Extensions[FIELD_BEHAVIOR])


def access(method: MethodDescriptorProto) -> access_pb2.Access.ValueType:
    """Who may call a method."""
    return method.options.Extensions[access_pb2.access]


def paths(method: MethodDescriptorProto) -> list[tuple[str, str]]:
    """Every verb and path, with its variables made nameless, that a method is bound to."""
    rule = method.options.Extensions[annotations_pb2.http]
    rules = [rule, *rule.additional_bindings] if method.options.HasExtension(annotations_pb2.http) else []
    verbs = [(str(each.WhichOneof("pattern")), each) for each in rules]
    return [(verb, re.sub(r"\{[^}]*\}", "{}", getattr(each, verb))) for verb, each in verbs]


def days_without_zone(type_name: str) -> list[str]:
    """The days and months in a message, with their paths, for which it names no time zone."""
    if not type_name.startswith(".hashiramart.") or "time_zone" in field_names(type_name):
        return []
    found = []
    for field in contracts.message(type_name).field:
        if re.search("(^|_)(date|month)$", field.name):
            found.append(f"{type_name}.{field.name}")
        elif field.type == FieldDescriptorProto.TYPE_MESSAGE and not is_map_entry(field):
            found += days_without_zone(field.type_name)
    return found


def is_map_entry(field: FieldDescriptorProto) -> bool:
    return field.type_name.endswith("Entry")


def sent(type_name: str) -> list[tuple[str, FieldDescriptorProto]]:
    """The fields of a request and of our own messages in it, with their paths."""
    found = []
    for field in contracts.message(type_name).field:
        name = f"{type_name}.{field.name}"
        found.append((name, field))
        if field.type_name.startswith(".hashiramart.") and field.type == FieldDescriptorProto.TYPE_MESSAGE and not is_map_entry(field):
            found += sent(field.type_name)
    return found
