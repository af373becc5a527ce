"""Our gateway compared with a Go grpc-gateway of the same contracts: both have to treat the same requests alike."""

import json
import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator
from random import Random
from typing import NamedTuple

import grpc
import pytest
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from hashiramart.catalog.v1 import catalog_pb2
from tests.gateway import corpus, odd_values, referee
from tests.gateway.corpus import Binding
from tests.gateway.odd_values import Odd
from tests.gateway.referee import Call, Gateways, Outcome, Request

UNARY = [binding for binding in corpus.bindings() if corpus.is_unary(binding) and not corpus.takes_content(binding)]
OF_CONTENT = [binding for binding in corpus.bindings() if corpus.takes_content(binding)]
# Neither JSON nor text.
CONTENT = b"invoice;\x00\xff\n{"
bare_and_under_its_version = pytest.mark.parametrize("prefix", ["", "/v1"], ids=["bare", "v1"])
every_unary_binding = pytest.mark.parametrize("binding", UNARY, ids=[binding.name for binding in UNARY])


@pytest.fixture(scope="module")
def gateways() -> Iterator[Gateways]:
    with referee.gateways() as both:
        yield both


@every_unary_binding
def test_a_request_reaches_the_service_as_the_same_message_and_its_response_is_the_same(gateways: Gateways, binding: Binding) -> None:
    random = Random(binding.name)  # noqa: S311 - the same requests every time
    for number in range(corpus.VALID_REQUESTS):
        request, response = corpus.valid_request(binding, random), corpus.message(binding.method.output_type, random)
        request = request.under("/v1" if number % 2 else "")
        theirs, ours = gateways.both(request, [response])
        assert theirs.status == 200, (request, theirs)
        assert disagreement(theirs, ours) is None, request


@pytest.mark.parametrize("binding", OF_CONTENT, ids=[binding.name for binding in OF_CONTENT])
def test_content_reaches_the_service_as_it_is_and_from_the_referee_as_base64(gateways: Gateways, binding: Binding) -> None:
    path = f"{corpus.plain_path(binding)}?name=sales.csv&offset=7&last=true"
    theirs, _ = gateways.both(Request(binding.http_method, path, json.dumps(b64encode(CONTENT).decode()).encode()))
    _, ours = gateways.both(Request(binding.http_method, path, CONTENT))
    assert theirs.status == 200
    assert disagreement(theirs, ours) is None


class Difference(NamedTuple):
    """An intended difference: for which values, in fields of which types, and why."""

    kinds: set[str]
    texts: Callable[[str], bool]
    why: str


def is_json_string(text: str) -> bool:
    try:
        return isinstance(json.loads(text), str)
    except ValueError:
        return False


def is_no_mask(text: str) -> bool:
    """Whether it can be decoded, but is not a list of field names."""
    return text not in ("%", "%zz") and "&" not in text and not re.fullmatch("[a-z_]+(,[a-z_]+)*|", text)


IN_BODIES = [
    Difference({"enum"}, is_json_string, "an unknown name of an enum is an error, not ignored"),
    Difference({"google.protobuf.Timestamp"}, lambda text: ",5Z" in text, "RFC 3339 has no comma in a time"),
    Difference({"google.protobuf.FieldMask"}, lambda text: text == '" "', "what cannot be the name of a field is an error at once"),
    Difference({"double"}, lambda text: text == "-0", "a whole number that is zero has no sign"),
]
IN_QUERIES = [
    Difference({"string", "repeated string"}, lambda text: text == "%00", "PostgreSQL cannot store U+0000"),
    Difference({"string", "repeated string"}, lambda text: text == "%E9", "invalid UTF-8 is the client's mistake, not ours"),
    Difference({"enum"}, lambda text: text in ("7", "-7"), "a new number of an enum is for the service to judge"),
    Difference({"repeated enum"}, lambda text: text == "-7", "a new number of an enum is for the service to judge"),
    Difference({"repeated enum"}, lambda text: text in ("%2B7", "07"), "an enum's number is written as JSON writes it"),
    Difference({"double"}, lambda text: text in ("%2B7", "07"), "a number is written as JSON writes it"),
    Difference({"repeated int32", "repeated enum"}, lambda text: text == "7,8", "a list of numbers may stand in one value"),
    Difference({"repeated string"}, lambda text: text.count("=") == 2 and "I" in text, "both spellings of a name mean one list"),
    Difference({"google.protobuf.FieldMask"}, is_no_mask, "what cannot be the name of a field is an error at once"),
]


@every_unary_binding
def test_an_odd_body_is_accepted_or_rejected_alike(gateways: Gateways, binding: Binding) -> None:
    assert surprises(gateways, odd_values.odd_bodies(binding), IN_BODIES) == []


@every_unary_binding
def test_an_odd_query_is_accepted_or_rejected_alike(gateways: Gateways, binding: Binding) -> None:
    assert surprises(gateways, odd_values.odd_queries(binding), IN_QUERIES) == []


def surprises(gateways: Gateways, odds: Iterable[Odd], differences: list[Difference]) -> list[str]:
    """Unintended differences, and intended ones that do not occur."""
    found: list[str] = []
    for odd in odds:
        why = next((one.why for one in differences if odd.kind in one.kinds and one.texts(odd.text)), None)
        how = disagreement(*gateways.both(odd.request))
        if (how is None) != (why is None):
            found.append(f"{odd}: {how or f'no difference, although {why}'}")
    return found


PRODUCT = b'{"id": "85123A", "name": "T-light holder", "price_cents": 295}'
# Requests that both gateways treat alike.
ALIKE = {
    "no body": Request("POST", "/products"),
    "no body, and a path that fills the field": Request("PUT", "/products/85123A"),
    "an empty body": Request("POST", "/auth/token", b""),
    "a body of blanks": Request("POST", "/auth/token", b" \r\n\t "),
    "a body that is cut short": Request("POST", "/products", PRODUCT[:-1]),
    "a second value after the body": Request("POST", "/products", PRODUCT + b' {"name": "another"}'),
    "rubbish after the body": Request("POST", "/products", PRODUCT + b"]"),
    "a key twice": Request("POST", "/products", b'{"name": "a", "name": "b"}'),
    "a key in both spellings": Request("POST", "/products", b'{"price_cents": 1, "priceCents": 2}'),
    "a key twice, the first null": Request("POST", "/products", b'{"name": null, "name": "b"}'),
    "keys that nobody knows": Request("POST", "/products", b'{"colour": {"red": [1, null]}, "name": "a"}'),
    "a key in the wrong case": Request("POST", "/products", b'{"Name": "a"}'),
    "a comma too many": Request("POST", "/products", b'{"name": "a",}'),
    "a comment": Request("POST", "/products", b'{"name": "a" /* b */}'),
    "a byte order mark": Request("POST", "/products", b"\xef\xbb\xbf" + PRODUCT),
    "UTF-16": Request("POST", "/products", PRODUCT.decode().encode("utf-16")),
    "bytes that are not UTF-8": Request("POST", "/products", b'{"name": "\xff"}'),
    "bytes that are not UTF-8 in a key that nobody knows": Request("POST", "/products", b'{"\xff": 1}'),
    "half a surrogate pair": Request("POST", "/products", b'{"name": "\\ud83d"}'),
    "a surrogate pair the wrong way round": Request("POST", "/products", b'{"name": "\\udd6f\\ud83d"}'),
    "nested deeper than a parser goes": Request("POST", "/products", b'{"colour": ' + b"[" * 20_000 + b"]" * 20_000 + b"}"),
    "a body where none is expected": Request("GET", "/products/85123A", PRODUCT),
    "a body that is no JSON where none is expected": Request("DELETE", "/products/85123A", b"{"),
    "a body called plain text": Request("POST", "/products", PRODUCT, {"Content-Type": "text/plain"}),
    "a body called XML": Request("POST", "/products", PRODUCT, {"Content-Type": "application/xml; charset=latin-1"}),
    "an response wanted as XML": Request("GET", "/products/85123A", headers={"Accept": "application/xml"}),
    "the path's id and another in the body": Request("PUT", "/products/85123A", b'{"id": "22423", "name": "a"}'),
    "the path's id and another in the query": Request("GET", "/products/85123A?id=22423"),
    "the path's id and another nested in the query": Request("PUT", "/products/85123A?product.id=22423", PRODUCT),
    "what the body fills in the query": Request("POST", "/products?product.name=b", PRODUCT),
    "a query beside a body that is all": Request("POST", "/users?email=b%40example.com", b'{"email": "a@example.com"}'),
    "parameters that nobody knows": Request("GET", "/products?colour=red&page_size=3&=&&"),
    "a parameter in both spellings": Request("GET", "/products?page_size=3&pageSize=4"),
    "a parameter in camel case": Request("GET", "/products?pageSize=4&showDeleted=true&minPriceCents=5"),
    "a parameter in the wrong case": Request("GET", "/products?Page_Size=4"),
    "semicolons between parameters": Request("GET", "/products?page_size=3;search=a"),
    "lists": Request("GET", "/products:batchGet?ids=a&ids=b&ids=a&ids=&ids=a,b"),
    "two of one choice": Request("GET", "/forecasts/sales?product_id=85123A&category=mugs"),
    "one of a choice, empty": Request("GET", "/forecasts/sales?product_id="),
    "an optional at its default": Request("GET", "/products?availability=AVAILABILITY_ANY&min_price_cents=0"),
    "a path of an additional binding": Request("GET", "/models/recommender/versions/7"),
    "a slash at the end": Request("GET", "/products/85123A/"),
    "two slashes": Request("GET", "//products"),
    "a path that nobody knows": Request("GET", "/shelves"),
    "a path that goes further": Request("GET", "/products/85123A/colours"),
    "a literal before a variable": Request("GET", "/users/me"),
    "a variable that begins like a literal": Request("GET", "/users/me2"),
    "a literal in the wrong case": Request("GET", "/Products"),
    "a verb": Request("POST", "/products/85123A:undelete", b"{}"),
    "a verb on a name with a colon": Request("POST", "/products/a:b:undelete"),
    "escapes in a variable": Request("GET", "/products/a%20b%2Bc%25d"),
    "lower-case escapes": Request("GET", "/products/%c3%a9"),
    "plus in a variable": Request("GET", "/products/a+b"),
    "a question mark in a variable": Request("GET", "/products/a%3Fb?etag=c"),
    "dots": Request("GET", "/products/.."),
    "a PATCH of several fields": Request("PATCH", "/products/85123A", b'{"name": "a", "priceCents": 7, "etag": ""}'),
    "a PATCH to null": Request("PATCH", "/products/85123A", b'{"description": null}'),
    "a PATCH with its mask": Request("PATCH", "/products/85123A?update_mask=name,price_cents", PRODUCT),
    "a PATCH with its mask named twice": Request("PATCH", "/products/85123A?update_mask=name&update_mask=etag", PRODUCT),
    "a PATCH of everything": Request("PATCH", "/products/85123A?update_mask=*", PRODUCT),
    "a PATCH of a time": Request("PATCH", "/products/85123A", b'{"create_time": "2009-12-01T07:45:00Z"}'),
    "a PATCH of what nobody knows": Request("PATCH", "/products/85123A", b'{"colour": "red"}'),
    "events with values of every kind": Request(
        "POST", "/events", b'{"events": [{"kind": "EVENT_KIND_VIEW", "eventTime": "2011-12-09T12:50:00.5Z"}, {"kind": 3, "quantity": "7"}]}'
    ),
    "null in a list": Request("POST", "/events", b'{"events": [null]}'),
    "a list that is not one": Request("POST", "/events", b'{"events": {"kind": 1}}'),
    "a token": Request("GET", "/users/me", headers={"Authorization": "Bearer abc"}),
}


@bare_and_under_its_version
@pytest.mark.parametrize("request_", ALIKE.values(), ids=ALIKE)
def test_both_treat_alike(gateways: Gateways, request_: Request, prefix: str) -> None:
    assert disagreement(*gateways.both(request_.under(prefix))) is None


class DifferentResponse(NamedTuple):
    """A request that we intend to response differently: with which status each, and why."""

    request: Request
    theirs: int
    ours: int
    why: str


DIFFERENT = {
    "a method that the path does not take": DifferentResponse(
        Request("DELETE", "/products"), 501, 405, "HTTP says 405, and `Allow` says which methods the path takes"
    ),
    "a key twice that nobody knows": DifferentResponse(
        Request("POST", "/products", b'{"colour": 1, "colour": 2}'), 200, 400, "a duplicate key is always a mistake"
    ),
    "a body called nonsense": DifferentResponse(
        Request("POST", "/products", PRODUCT, {"Content-Type": ";"}), 400, 201, "the type of a body is ignored"
    ),
    "a field of what has none": DifferentResponse(
        Request("GET", "/products?search.colour=red"), 400, 200, "unknown parameters are ignored"
    ),
    "a parameter with an index": DifferentResponse(
        Request("GET", "/products:batchGet?ids[0]=a&ids[]=b"), 400, 200, "unknown parameters are ignored"
    ),
    "a variable of no characters": DifferentResponse(Request("GET", "/products/"), 200, 404, "no resource has an empty name"),
    "escapes in a literal": DifferentResponse(Request("GET", "/product%73/85123A"), 200, 404, "a path is spelled as it is documented"),
    "a PATCH with an empty mask": DifferentResponse(
        Request("PATCH", "/products/85123A?update_mask=", PRODUCT), 200, 200, "an empty mask is no mask, not one of an empty path"
    ),
    "HEAD": DifferentResponse(Request("HEAD", "/products/85123A"), 501, 200, "every resource that has GET has HEAD"),
    "OPTIONS": DifferentResponse(Request("OPTIONS", "/products"), 501, 204, "OPTIONS asks for the methods of a path"),
    "a form": DifferentResponse(
        Request("POST", "/products", b"name=a", {"Content-Type": "application/x-www-form-urlencoded"}),
        400,
        415,
        "a form is not broken JSON",
    ),
    "a form for a token": DifferentResponse(
        Request("POST", "/auth/token", b"grant_type=password", {"Content-Type": "application/x-www-form-urlencoded"}),
        400,
        200,
        "OAuth clients send forms",
    ),
    "a body above 1 MiB": DifferentResponse(
        Request("POST", "/products", b'{"name": "' + b"a" * 1024 * 1024 + b'"}'),
        200,
        413,
        "all callers share the memory",
    ),
    "U+0000": DifferentResponse(Request("POST", "/products", b'{"name": "a\\u0000"}'), 200, 400, "PostgreSQL cannot store it"),
    "U+0000 in a path": DifferentResponse(Request("GET", "/products/a%00"), 200, 400, "PostgreSQL cannot store it"),
    "a short name of an enum": DifferentResponse(
        Request("GET", "/forecasts/sales?granularity=week"), 400, 200, "the name says GRANULARITY already"
    ),
}


@bare_and_under_its_version
@pytest.mark.parametrize("case", DIFFERENT.values(), ids=DIFFERENT)
def test_we_intend_to_differ_with(gateways: Gateways, case: DifferentResponse, prefix: str) -> None:
    theirs, ours = gateways.both(case.request.under(prefix))
    assert (theirs.status, ours.status) == (case.theirs, case.ours), case.why
    assert theirs.status != ours.status or disagreement(theirs, ours)


ERROR_CODES = [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK]


@pytest.mark.parametrize("code", ERROR_CODES, ids=[code.name for code in ERROR_CODES])
def test_an_error_of_the_service_is_returned_alike(gateways: Gateways, code: grpc.StatusCode) -> None:
    details = [
        ErrorInfo(reason="PRODUCT_NOT_FOUND", domain="hashiramart", metadata={"id": "85123A"}),
        BadRequest(field_violations=[BadRequest.FieldViolation(field="product.name", description="must not be empty 🕯")]),
        RetryInfo(retry_delay=Duration(seconds=1, nanos=500_000_000)),
    ]
    status = Status(code=code.value[0], message="no such product: 'a' & \u2603")
    for detail in details:
        packed = Any()
        packed.Pack(detail)
        status.details.append(packed)
    # Not a read, which we would retry.
    theirs, ours = gateways.both(Request("DELETE", "/products/85123A"), error=status)
    assert disagreement(theirs, ours) is None


@pytest.mark.parametrize("code", ERROR_CODES, ids=[code.name for code in ERROR_CODES])
def test_an_error_without_details_has_the_same_status_and_code(gateways: Gateways, code: grpc.StatusCode) -> None:
    theirs, ours = gateways.both(Request("DELETE", "/products/85123A"), error=Status(code=code.value[0], message="no"))
    # To a client, UNKNOWN and DATA_LOSS are internal errors. RESOURCE_EXHAUSTED without details is gRPC's own, for a message too large.
    expected = {"UNKNOWN": (500, 13), "DATA_LOSS": (500, 13), "RESOURCE_EXHAUSTED": (413, 8)}.get(code.name, (theirs.status, code.value[0]))
    assert (ours.status, ours.json["code"]) == expected
    assert theirs.json["code"] == code.value[0]


def test_the_clients_deadline_reaches_the_service(gateways: Gateways) -> None:
    for timeout, seconds in ("1H", 3600), ("90S", 90), ("1500m", 1.5), ("900000u", 0.9):
        theirs, ours = gateways.both(Request("GET", "/products/85123A", headers={"Grpc-Timeout": timeout}))
        for outcome in theirs, ours:
            assert outcome.status == 200
            # gRPC rounds it up, to three digits.
            assert outcome.calls[0].seconds_left == pytest.approx(seconds, rel=0.02, abs=0.1)


def test_a_deadline_that_passes_is_504(gateways: Gateways) -> None:
    request = Request("GET", "/products/85123A", headers={"Grpc-Timeout": "100m"})
    theirs, ours = gateways.both(request, delay_seconds=0.5)
    assert (theirs.status, theirs.json["code"]) == (ours.status, ours.json["code"]) == (504, 4)


@pytest.mark.parametrize("timeout", ["", "1", "m", "1s", "-1S", "1.5S", "abc", "1 S"])
def test_an_invalid_deadline_is_treated_alike(gateways: Gateways, timeout: str) -> None:
    theirs, ours = gateways.both(Request("GET", "/products/85123A", headers={"Grpc-Timeout": timeout}))
    assert theirs.status == ours.status


def test_only_we_set_a_default_deadline(gateways: Gateways) -> None:
    theirs, ours = gateways.both(Request("GET", "/products/85123A"))
    assert theirs.calls[0].seconds_left is None
    assert 0 < (ours.calls[0].seconds_left or 0) <= 60


def test_the_clients_token_reaches_the_service(gateways: Gateways) -> None:
    theirs, ours = gateways.both(Request("GET", "/users/me", headers={"Authorization": "Bearer abc"}))
    assert theirs.calls[0].metadata["authorization"] == ours.calls[0].metadata["authorization"] == "Bearer abc"


def test_lines_reach_the_service_as_the_same_stream(gateways: Gateways) -> None:
    """In a stream, grpc-gateway ignores the field that the body is bound to and expects its name on every line."""
    products = [b'{"id": "a", "price_cents": 1}', b"", b'{"id": "b", "priceCents": "2"}\r', b'{"id": "c", "colour": [1]}']
    named = [b'{"product": %s}' % product if product else product for product in products]
    theirs, _ = gateways.both(Request("POST", "/products:import", b"\n".join(named)))
    _, ours = gateways.both(Request("POST", "/products:import", b"\n".join(products)))
    assert theirs.status == 200
    assert len(ours.calls[0].requests) == 3
    assert disagreement(theirs, ours) is None


def test_a_response_stream_is_the_same_without_the_result_around_each_message(gateways: Gateways) -> None:
    random = Random(1)  # noqa: S311 - the same responses every time
    responses = [corpus.message(catalog_pb2.ProductChange.DESCRIPTOR, random) for _ in range(20)]
    theirs, ours = gateways.both(Request("GET", "/products:watch?token=a"), responses)
    assert received(theirs.calls) == received(ours.calls)
    assert [json.loads(line)["result"] for line in theirs.body.splitlines()] == [json.loads(line) for line in ours.body.splitlines()]


def test_an_error_in_the_middle_of_a_stream_is_its_last_line(gateways: Gateways) -> None:
    status = Status(code=11, message="the token is too old")
    theirs, ours = gateways.both(Request("GET", "/products:watch"), [catalog_pb2.ProductChange(token="a")], status)
    assert theirs.status == ours.status == 200
    assert json.loads(theirs.body.splitlines()[-1]) == json.loads(ours.body.splitlines()[-1])


def disagreement(theirs: Outcome, ours: Outcome) -> str | None:
    """In what two outcomes differ, or None. Each gateway has error messages of its own, except for the service's."""
    said = f"they answered {theirs.status} {theirs.body!r} and we {ours.status} {ours.body!r}"
    if received(theirs.calls) != received(ours.calls):
        return f"the service received {received(theirs.calls)} from them and {received(ours.calls)} from us; {said}"
    if theirs.status != (200 if ours.status == 201 else ours.status):
        return said
    if theirs.calls:
        return None if theirs.json == ours.json else said
    # Errors of the token endpoint have the body that OAuth defines.
    return None if theirs.json["code"] == ours.json.get("code") or "error_description" in ours.json else said


def received(calls: list[Call]) -> list[tuple[str, list[str]]]:
    """The calls without metadata, as text, in which NaN equals itself. The paths of a mask count as a set, and an empty mask as none."""
    for call in calls:
        for request in call.requests:
            if mask := getattr(request, "update_mask", None):
                mask.paths.sort()
                if not mask.paths:
                    request.ClearField("update_mask")
    return [(call.rpc, [str(request) for request in call.requests]) for call in calls]
