"""Requests, responses and streams of the gateway, through HTTP."""

import base64
import gzip
import json
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.gateway.everything import EverythingServer


def error_of(response: httpx.Response) -> tuple[int, str]:
    """The HTTP status and the stable reason of an error, after a check that it has the shape of all errors."""
    status = response.json()
    assert response.headers["content-type"] == "application/json"
    assert set(status) == {"code", "message", "details"}
    return response.status_code, status["details"][0]["reason"]


def invalid_fields(response: httpx.Response) -> list[str]:
    details = [detail for detail in response.json()["details"] if detail["@type"].endswith("BadRequest")]
    return [violation["field"] for detail in details for violation in detail["field_violations"]]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/everything/a", {"text": "a"}),
        ("/everything/a%2Fb%20%C3%A9", {"text": "a/b é"}),
        ("/everything/a:b", {"text": "a:b"}),
        ("/alias/x/of/7", {"inner.text": "x", "small": 7}),
        ("/kinds/week", {"kind": "KIND_WEEK"}),
        ("/kinds/KIND_DAY", {"kind": "KIND_DAY"}),
        ("/kinds/2", {"kind": "KIND_WEEK"}),
        ("/shelves/poetry/books/7", {"text": "shelves/poetry", "inner.text": "7"}),
        ("/files/a/b%2Fc/d", {"text": "a/b%2Fc/d"}),
        ("/times/2011-12-09T12:50:00Z:at", {"time": "2011-12-09T12:50:00Z"}),
    ],
)
def test_a_path_fills_fields(client: httpx.Client, path: str, expected: dict[str, object]) -> None:
    response = client.get(path).json()
    assert {name: dig(response, name) for name in expected} == expected


def dig(value: Any, path: str) -> Any:
    for name in path.split("."):
        value = value[name]
    return value


def test_a_literal_beats_a_variable(client: httpx.Client) -> None:
    assert client.get("/everything/special").json()["text"] == "special"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("small=7&truth=true&kind=week", {"small": 7, "truth": True, "kind": "KIND_WEEK"}),
        ("two_words=a%20b+c", {"two_words": "a b c"}),
        ("twoWords=a", {"two_words": "a"}),
        ("inner.text=x&inner.inner.small=3", {"inner.text": "x", "inner.inner.small": 3}),
        ("texts=a,b&texts=c", {"texts": ["a,b", "c"]}),
        ("smalls=80,95&smalls=7", {"smalls": [80, 95, 7]}),
        ("kinds=day,KIND_WEEK,-2", {"kinds": ["KIND_DAY", "KIND_WEEK", "KIND_WOCHE"]}),
        ("numbers=0.5,1e3", {"numbers": [0.5, 1000.0]}),
        ("time=2011-12-09T12:50:00%2B01:00", {"time": "2011-12-09T11:50:00Z"}),
        ("duration=1.5s&update_mask=two_words,inner.text", {"duration": "1.500s", "update_mask": "twoWords,inner.text"}),
        ("large=9007199254740993&large_value=5&text_value=x", {"large": "9007199254740993", "large_value": "5", "text_value": "x"}),
        ("maybe_small=0", {"maybe_small": 0}),
        ("data=AQI", {"data": "AQI="}),
        ("no_such=1&small=1", {"small": 1}),
        ("text=other", {"text": "a"}),
    ],
)
def test_a_query_fills_fields(client: httpx.Client, query: str, expected: dict[str, object]) -> None:
    response = client.get(f"/everything/a?{query}").json()
    assert {name: dig(response, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("small=", "small"), ("small=0x7", "small"), ("small=1.5", "small"), ("small=2147483648", "small"), ("small=1&small=2", "small"),
        ("truth=yes", "truth"), ("kind=month", "kind"), ("smalls=1,x", "smalls"), ("inner.small=x", "inner.small"), ("time=now", "time"),
        ("two_words=%00", "two_words"), ("two_words=%FF", "two_words"), ("two_words=%zz", "two_words"), ("number=1e999", "number"),
    ],
)  # fmt: skip
def test_a_query_that_cannot_be_read_is_an_error_that_names_its_field(client: httpx.Client, query: str, field: str) -> None:
    response = client.get(f"/everything/a?{query}")
    assert error_of(response) == (400, "MALFORMED_REQUEST")
    assert invalid_fields(response) == [field]


def test_a_body_is_read_in_either_spelling_and_unknown_fields_are_ignored(client: httpx.Client) -> None:
    body = {"twoWords": "a", "small": 7.0, "large": "7", "kind": "Week", "inner": {"text": "x"}, "noSuch": {"a": [1]}}
    response = client.post("/everything", json=body).json()
    assert [response[name] for name in ("two_words", "small", "large", "kind")] == ["a", 7, "7", "KIND_WEEK"]


def test_defaults_are_included_unset_messages_are_null_and_unset_optional_fields_left_out(client: httpx.Client) -> None:
    response = client.post("/everything").json()
    assert response["small"] == 0 and response["texts"] == [] and response["words"] == {} and response["kind"] == "KIND_UNSPECIFIED"
    assert response["inner"] is None and response["time"] is None and response["text_value"] is None
    assert not {"maybe_small", "maybe_text", "chosen_text", "chosen_inner"} & set(response)


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (b'{"small": 1', []), (b"{'small': 1}", []), (b"[]", []), (b"null", []), (b'{"small": 1,}', []), (b"\xff", []),
        (b'{"text": "\xc3"}', []),
        (b'{"number": NaN}', []), (b"[" * 100_000, []), (b'{"inner":' * 5000 + b"{}" + b"}" * 5000, []),
        (b'{"small": 1, "small": 2}', ["small"]), (b'{"two_words": "a", "twoWords": "b"}', ["two_words"]),
        (b'{"small": 1.5}', ["small"]), (b'{"small": 1e999999999}', ["small"]), (b'{"small": "x"}', ["small"]), (b'{"text": 1}', ["text"]),
        (b'{"text": "a\\u0000b"}', ["text"]), (b'{"text": "\\ud83d"}', ["text"]), (b'{"struct": {"a": {"b\\u0000": 1}}}', ["struct"]),
        (b'{"inners": [{}, {"small": true}]}', ["inners[1].small"]), (b'{"words": {"a": 1}}', ['words["a"]']),
        (b'{"\\ud83d": 1}', []), (b'{"\\ud83d": 1, "\\ud83d": 2}', ["\\ud83d"]), (b'{"words": {"\\udc00": "a"}}', []),
        (b'{"struct": {"\\udc00": 1}}', []),
        (b'{"kind": "month"}', ["kind"]),
        (b'{"chosen_text": "a", "chosen_large": 1}', ["chosen_large"]), (b'{"short_number": 1e39}', ["short_number"]),
    ],
    ids=lambda value: str(value)[:40],
)  # fmt: skip
def test_a_body_that_cannot_be_read_is_an_error_that_names_its_field(client: httpx.Client, body: bytes, fields: list[str]) -> None:
    response = client.post("/everything", content=body)
    assert error_of(response) == (400, "MALFORMED_REQUEST")
    assert invalid_fields(response) == fields


def test_a_body_may_be_nested_as_deeply_as_a_service_can_read_and_no_deeper(client: httpx.Client) -> None:
    def nested(depth: int) -> bytes:
        return b'{"inner":' * depth + b"{}" + b"}" * depth

    assert client.post("/everything", content=nested(98)).status_code == 200
    assert error_of(client.post("/everything", content=nested(101))) == (400, "MALFORMED_REQUEST")


def test_the_path_wins_over_the_body(client: httpx.Client) -> None:
    response = client.put("/everything/path", json={"text": "body", "small": 3}).json()
    assert (response["inner"]["text"], response["inner"]["small"]) == ("path", 3)


@pytest.mark.parametrize("content_type", ["", "application/octet-stream", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_a_body_of_bytes_is_taken_as_it_is(client: httpx.Client, content_type: str) -> None:
    content = b'\x00\xff{"not": JSON'
    headers = {"content-type": content_type} if content_type else {}
    response = client.put("/contents/file?small=3", content=content, headers=headers).json()
    assert (base64.b64decode(response["data"]), response["text"], response["small"]) == (content, "file", 3)


@pytest.mark.parametrize(
    ("query", "body", "mask"),
    [
        ("", {"small": 1, "inner": {"texts": ["a"], "inner": {"small": 0}}}, "inner.inner.small,inner.texts,small"),
        ("", {"inner": None}, "inner"),
        ("", {"inner": {}}, "inner"),
        ("?update_mask=small", {"text": "x", "small": 1}, "small"),
        ("", {}, ""),
    ],
)
def test_a_patch_without_a_mask_changes_what_its_body_has(client: httpx.Client, query: str, body: dict[str, object], mask: str) -> None:
    assert (client.patch(f"/everything/x{query}", json=body).json()["update_mask"] or "") == mask


def test_a_patch_of_an_unknown_field_is_an_error(client: httpx.Client) -> None:
    response = client.patch("/everything/x", json={"inner": {"no_such": 1}})
    assert error_of(response) == (400, "MALFORMED_REQUEST")
    assert invalid_fields(response) == ["inner.inner.no_such"]


def test_a_created_resource_is_returned_with_its_location(client: httpx.Client) -> None:
    response = client.post("/inners", json={"text": "a b/c"})
    assert (response.status_code, response.headers["location"]) == (201, "/inners/a%20b%2Fc")
    assert client.get(response.headers["location"]).json()["text"] == "a b/c"


def test_an_idempotency_key_is_the_request_id_unless_the_query_has_one(client: httpx.Client, service: EverythingServer) -> None:
    for query, expected in (("", "key"), ("?request_id=query", "query")):
        client.post(f"/inners{query}", json={}, headers={"idempotency-key": "key"})
        assert getattr(service.requests[-1], "request_id") == expected  # noqa: B009 - its type has no static fields


def test_an_empty_response_is_an_empty_object(client: httpx.Client) -> None:
    response = client.delete("/everything/a")
    assert (response.status_code, response.content) == (200, b"{}")


@pytest.mark.parametrize(
    ("code", "http_status"),
    [
        ("CANCELLED", 499), ("UNKNOWN", 500), ("INVALID_ARGUMENT", 400), ("DEADLINE_EXCEEDED", 504), ("NOT_FOUND", 404),
        ("ALREADY_EXISTS", 409),
        ("PERMISSION_DENIED", 403), ("RESOURCE_EXHAUSTED", 429), ("FAILED_PRECONDITION", 400), ("ABORTED", 409),
        ("OUT_OF_RANGE", 400),
        ("UNIMPLEMENTED", 501), ("INTERNAL", 500), ("UNAVAILABLE", 503), ("DATA_LOSS", 500), ("UNAUTHENTICATED", 401),
    ],
)  # fmt: skip
def test_an_error_keeps_its_reason_and_gets_its_http_status(client: httpx.Client, code: str, http_status: int) -> None:
    response = client.get(f"/errors/{code}")
    assert error_of(response) == (http_status, f"REASON_{code}")
    assert ("www-authenticate" in response.headers) == (http_status == 401)
    assert response.headers.get("retry-after") == ("2" if code in ("UNAVAILABLE", "RESOURCE_EXHAUSTED") else None)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("UNAVAILABLE", (503, "SERVICE_UNAVAILABLE")),
        ("UNIMPLEMENTED", (501, "NOT_IMPLEMENTED")),
        ("INTERNAL", (500, "INTERNAL")),
        ("UNKNOWN", (500, "INTERNAL")),
        ("DEADLINE_EXCEEDED", (504, "DEADLINE_EXCEEDED")),
    ],
)
def test_grpcs_own_errors_are_replaced_by_ours(client: httpx.Client, code: str, expected: tuple[int, str]) -> None:
    response = client.get(f"/errors/BARE_{code}")
    assert error_of(response) == expected
    assert "10.0.0.7" not in response.text


@pytest.mark.parametrize(
    ("method", "path", "metadata"),
    [
        ("GET", "/nowhere", {"path": "/nowhere"}),
        ("GET", f"/{'a' * 5000}", {"path": f"/{'a' * 199}"}),
        ("DELETE", "/kinds/week", {"method": "DELETE", "path": "/kinds/week"}),
        ("GET", "/everything/a?small=x", {"field": "small"}),
        ("GET", "/errors/BARE_UNAVAILABLE", {"service": "catalog"}),
    ],
)
def test_what_an_error_says_is_in_its_metadata(client: httpx.Client, method: str, path: str, metadata: dict[str, str]) -> None:
    status = client.request(method, path).json()
    assert status["details"][0]["metadata"] == metadata
    assert all(value in status["message"] for value in metadata.values())


@pytest.mark.parametrize(
    ("body", "metadata"), [(b'{"a" 1}', {"character": "6"}), (b"ab\xff", {"byte": "3"}), (b'{"small": NaN}', {"value": "NaN"})]
)
def test_a_body_that_is_no_json_says_where_in_its_metadata(client: httpx.Client, body: bytes, metadata: dict[str, str]) -> None:
    status = client.post("/everything", content=body).json()
    assert status["details"][0]["metadata"] == metadata
    assert all(value in status["message"] for value in metadata.values())


def test_an_unknown_path_is_not_found(client: httpx.Client) -> None:
    for path in ("/no", "/nowhere", "/everything/a/b", "/everything/", "/everything//watch"):
        assert error_of(client.get(path)) == (404, "PATH_NOT_FOUND"), path


def test_a_method_that_a_path_does_not_have_is_answered_with_those_it_has(client: httpx.Client) -> None:
    response = client.post("/everything/a")
    assert error_of(response) == (405, "METHOD_NOT_ALLOWED")
    assert response.headers["allow"] == "DELETE, GET, HEAD, OPTIONS, PATCH, PUT"
    response = client.options("/everything/a")
    assert (response.status_code, response.headers["allow"]) == (204, "DELETE, GET, HEAD, OPTIONS, PATCH, PUT")


def test_head_returns_the_headers_of_get(client: httpx.Client) -> None:
    whole, head = client.get("/everything/a"), client.head("/everything/a")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == whole.headers["content-length"]
    assert client.head("/everything/a:watch").headers["content-type"] == "application/x-ndjson"


def test_a_form_is_an_error_where_none_is_documented(client: httpx.Client) -> None:
    assert error_of(client.post("/everything", data={"text": "a"})) == (415, "UNSUPPORTED_MEDIA_TYPE")
    assert error_of(client.post("/everything", files={"text": b"a"})) == (415, "UNSUPPORTED_MEDIA_TYPE")


def test_a_body_over_the_limit_is_an_error_even_without_a_length(client: httpx.Client) -> None:
    body = b'{"text": "' + b"a" * (1024 * 1024 - 12) + b'"}'
    assert len(body) == 1024 * 1024
    assert client.post("/everything", content=body).status_code == 200
    assert error_of(client.post("/everything", content=body + b" ")) == (413, "REQUEST_TOO_LARGE")
    assert error_of(client.post("/everything", content=iter([body, b" "]))) == (413, "REQUEST_TOO_LARGE")


def test_a_service_receives_the_requests_metadata(client: httpx.Client, service: EverythingServer) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    headers = {
        "authorization": "Bearer t",
        "x-request-id": "r-1",
        "traceparent": trace,
        "x-forwarded-for": "8.8.8.8, 203.0.113.7, 10.1.2.3",
    }
    response = client.get("/everything/a", headers=headers)
    assert response.headers["x-request-id"] == "r-1"
    metadata = service.metadata
    assert [metadata[name] for name in ("authorization", "x-request-id", "x-forwarded-for")] == ["Bearer t", "r-1", "203.0.113.7"]
    assert str(metadata["traceparent"]).split("-")[1] == trace.split("-")[1]
    assert service.seconds_left is not None and 4 < service.seconds_left <= 5.1


@pytest.mark.parametrize(
    ("forwarded_for", "expected"),
    [
        (["203.0.113.7:51234"], "203.0.113.7"),
        (["[2001:db8:0:0::7]:443"], "2001:db8::7"),
        (["::ffff:203.0.113.7"], "203.0.113.7"),
        (["203.0.113.7", "::ffff:10.1.2.3"], "203.0.113.7"),
    ],
)
def test_a_service_receives_the_clients_address_in_one_spelling(
    client: httpx.Client, service: EverythingServer, forwarded_for: list[str], expected: str
) -> None:
    client.get("/everything/a", headers=[("x-forwarded-for", value) for value in forwarded_for])
    assert service.metadata["x-forwarded-for"] == expected


@pytest.mark.parametrize("request_id", ["", "x" * 129, "a b", "é"])
def test_an_invalid_request_id_is_replaced(client: httpx.Client, request_id: str) -> None:
    response = client.get("/everything/a", headers={b"x-request-id": request_id.encode()})
    assert len(response.headers["x-request-id"]) == 32


def test_the_clients_deadline_applies(client: httpx.Client, service: EverythingServer) -> None:
    began = time.monotonic()
    assert error_of(client.get("/waits/30", headers={"grpc-timeout": "200m"})) == (504, "DEADLINE_EXCEEDED")
    assert time.monotonic() - began < 1.5
    assert error_of(client.get("/waits/30", headers={"grpc-timeout": "soon"})) == (400, "MALFORMED_REQUEST")


@pytest.mark.parametrize("timeout", ["99999999H", "99999999M", "99999999S", "99999999m", "99999999u"])
def test_a_long_deadline_is_long(client: httpx.Client, timeout: str) -> None:
    for path in ("/everything/a", "/everything/a:watch"):
        assert client.get(path, headers={"grpc-timeout": timeout}).status_code == 200
    assert client.post("/everything:import", content=b'{"text": "a"}', headers={"grpc-timeout": timeout}).status_code == 200


@pytest.mark.parametrize("unit", "HMSmun")
def test_a_deadline_of_zero_has_passed(client: httpx.Client, unit: str) -> None:
    for method, path in (("GET", "/everything/a"), ("GET", "/everything/a:watch"), ("POST", "/everything:import")):
        assert error_of(client.request(method, path, headers={"grpc-timeout": f"0{unit}"})) == (504, "DEADLINE_EXCEEDED")


@pytest.mark.parametrize("name", ["Authorization", "Idempotency-Key", "Content-Type", "Grpc-Timeout"])
@pytest.mark.parametrize("path", ["/everything", "/auth/token", "/everything:import", "/status", "/nowhere"])
def test_two_values_of_a_header_that_has_one_are_an_error(client: httpx.Client, name: str, path: str) -> None:
    for values in (("Bearer customer", "Bearer staff"), ("Bearer staff", "Bearer customer")):
        response = client.post(path, content=b"{}", headers=[(name, value) for value in values])
        assert response.status_code == 400
        assert response.json().get("error") == "invalid_request" or error_of(response) == (400, "MALFORMED_REQUEST")


def test_the_same_value_twice_is_one_value(client: httpx.Client, service: EverythingServer) -> None:
    assert client.get("/everything/a", headers=[("Authorization", "Bearer t"), ("Authorization", "Bearer t")]).status_code == 200
    assert service.metadata["authorization"] == "Bearer t"


def test_a_header_that_services_would_not_take_is_an_error_that_names_it(client: httpx.Client) -> None:
    response = client.get("/everything/a", headers={"authorization": "Bearer " + "t" * 20_000})
    assert error_of(response) == (400, "MALFORMED_REQUEST")
    assert "authorization" in response.json()["message"]


def test_there_is_a_default_deadline(client: httpx.Client) -> None:
    assert error_of(client.get("/waits/30")) == (504, "DEADLINE_EXCEEDED")


@pytest.mark.parametrize("path", ["/waits/30", "/everything/silent:watch"])
def test_a_client_that_disconnects_cancels_the_call(gateway_url: str, service: EverythingServer, path: str) -> None:
    service.cancelled.clear()
    asked = len(service.requests)
    with connection(gateway_url) as wire:
        wire.sendall(f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
        wait_for(lambda: len(service.requests) > asked)
    wait_for(service.cancelled.is_set)


def test_a_client_that_disconnects_during_an_upload_cancels_the_call(gateway_url: str, service: EverythingServer) -> None:
    service.cancelled.clear()
    with connection(gateway_url) as wire:
        wire.sendall(b'POST /everything:import HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n{"text": "a"}\n')
        time.sleep(0.3)
    wait_for(service.cancelled.is_set)


def connection(url: str) -> socket.socket:
    return socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])))


def wait_for(happened: Callable[[], object]) -> None:
    end = time.monotonic() + 60
    while not happened():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.05)


def test_a_stream_is_sent_as_lines_as_soon_as_each_is_there(client: httpx.Client) -> None:
    with client.stream("GET", "/everything/silent:watch") as response:
        lines = response.iter_lines()
        assert [json.loads(next(lines))["small"] for _ in range(2)] == [1, 2]
        assert response.headers["content-type"] == "application/x-ndjson"


def test_a_stream_is_sent_as_events_with_heartbeats(client: httpx.Client) -> None:
    with client.stream("GET", "/everything/silent:watch", headers={"accept": "text/event-stream"}) as response:
        assert response.headers["content-type"] == "text/event-stream"
        lines = response.iter_lines()
        got = [next(lines) for _ in range(6)]
    assert [line[:6] for line in got] == ["data: ", "", "data: ", "", ":", ""]


def test_an_error_before_the_first_message_is_an_ordinary_response(client: httpx.Client) -> None:
    assert client.get("/everything/forbidden:watch").status_code == 403


def test_an_error_in_a_stream_is_its_last_line(client: httpx.Client) -> None:
    lines = client.get("/everything/broken:watch").text.splitlines()
    assert len(lines) == 3 and json.loads(lines[2])["error"]["code"] == 10
    events = client.get("/everything/broken:watch", headers={"accept": "text/event-stream"}).text
    assert events.split("\n\n")[2].startswith('event: error\ndata: {"error":{"code":10,')


def test_a_stream_that_is_silent_for_too_long_ends(client: httpx.Client) -> None:
    lines = client.get("/everything/silent:watch").text.splitlines()
    assert json.loads(lines[-1])["error"]["details"][0]["reason"] == "DEADLINE_EXCEEDED"


def test_each_line_of_an_upload_is_a_request_and_unreadable_ones_are_reported(client: httpx.Client) -> None:
    lines = ['{"text": "a"}', "", '{"text": 7}', "{", '{"text": "b"}', "  ", '{"text": "c"} {"text": "d"}', '{"text": "é"}']
    response = client.post("/everything:import", content="\n".join(lines).encode()).json()
    assert (response["row_count"], response["texts"]) == (6, ["a"])
    assert [problem.partition(":")[0] for problem in response["problems"]] == ["2", "3", "5"]
    assert "inner.text: expected a string" in response["problems"][0]


def test_an_unreadable_line_ends_a_call_whose_request_has_no_field_for_it(client: httpx.Client) -> None:
    response = client.post("/inners:import", content=b'{"text": "a"}\n\n{"small": "x"}\n')
    assert error_of(response) == (400, "MALFORMED_REQUEST")
    assert "line 2" in response.json()["message"]
    assert invalid_fields(response) == ["small"]


def test_an_upload_may_be_larger_than_any_body_but_its_lines_may_not(client: httpx.Client) -> None:
    line = b'{"text": "' + b"a" * 1000 + b'"}\n'

    def lines() -> Iterator[bytes]:
        yield line * 1500
        yield b'{"text": "' + b"a" * (1024 * 1024) + b'"}\n'
        yield line * 1500

    response = client.post("/everything:import", content=lines()).json()
    assert (response["row_count"], [problem.partition(":")[0] for problem in response["problems"]]) == (3001, ["1501"])


def test_an_early_response_does_not_wait_for_the_end_of_an_upload(client: httpx.Client) -> None:
    def lines() -> Iterator[bytes]:
        yield b'{"text": "enough"}\n'
        time.sleep(0.5)
        yield b'{"text": "b"}\n'

    assert error_of(client.post("/everything:import", content=lines())) == (400, "ENOUGH")


def test_an_error_that_a_service_returns_while_lines_are_being_sent_reaches_the_client(client: httpx.Client) -> None:
    # Some of these lines are written at the very moment at which the response arrives.
    responses = [client.post("/everything:import", content=b"{}", headers={"authorization": "nobody"}) for _ in range(500)]
    assert {error_of(response) for response in responses} == {(403, "NOBODY")}


def test_a_token_is_issued_for_a_form_and_for_json(client: httpx.Client, service: EverythingServer) -> None:
    fields = {"grant_type": "password", "username": "ann@example.com", "password": "a b&c"}
    for response in (client.post("/auth/token", data=fields), client.post("/auth/token", json=fields)):
        assert (response.status_code, response.json()["token_type"], response.headers["cache-control"]) == (200, "Bearer", "no-store")
        assert getattr(service.requests[-1], "password") == "a b&c"  # noqa: B009 - its type has no static fields


def test_a_client_may_authenticate_by_http_basic(client: httpx.Client, service: EverythingServer) -> None:
    client.post("/auth/token", data={"grant_type": "client_credentials"}, auth=("catalog", "s:1"))
    request: Any = service.requests[-1]
    assert (request.client_id, request.client_secret) == ("catalog", "s:1")


@pytest.mark.parametrize(
    ("reason", "http_status", "error"),
    [
        ("INVALID_GRANT", 400, "invalid_grant"),
        ("SECOND_FACTOR_REQUIRED", 400, "mfa_required"),
        ("INVALID_SECOND_FACTOR", 400, "invalid_grant"),
        ("INVALID_CLIENT", 401, "invalid_client"),
        ("UNSUPPORTED_GRANT_TYPE", 400, "unsupported_grant_type"),
        ("INVALID_REQUEST", 400, "invalid_request"),
        ("TOO_MANY_SIGN_INS", 429, "invalid_request"),
        ("DATABASE_UNAVAILABLE", 503, "temporarily_unavailable"),
    ],
)
def test_token_errors_follow_oauth(client: httpx.Client, reason: str, http_status: int, error: str) -> None:
    response = client.post("/auth/token", data={"grant_type": "password", "username": reason})
    assert (response.status_code, response.json()["error"], response.headers["cache-control"]) == (http_status, error, "no-store")
    assert response.json()["error_description"] == "the 'service' says no"
    assert ("www-authenticate" in response.headers) == (http_status == 401)
    assert ("retry-after" in response.headers) == (http_status in (429, 503))


def test_the_error_for_an_unreadable_token_request_follows_oauth(client: httpx.Client) -> None:
    for response in (client.post("/auth/token", content=b"{"), client.post("/auth/token", data={"username": "\x00"})):
        assert (response.status_code, response.json()["error"]) == (400, "invalid_request")


def test_a_compressed_body_is_not_json(client: httpx.Client) -> None:
    response = client.post("/everything", content=gzip.compress(b"{}"), headers={"content-encoding": "gzip"})
    assert error_of(response) == (400, "MALFORMED_REQUEST")


def test_a_header_that_is_too_large_is_431(gateway_url: str) -> None:
    with connection(gateway_url) as wire:
        wire.sendall(b"GET /everything/a HTTP/1.1\r\nhost: x\r\nx: " + b"a" * 200_000 + b"\r\n\r\n")
        assert wire.recv(100).startswith(b"HTTP/1.1 431")
