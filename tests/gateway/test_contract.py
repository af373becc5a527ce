"""Which rules of a contract the gateway serves, and which keep it from starting."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.contract import Contract, UnsupportedBinding
from tests.gateway.everything import compiled

SOURCE = """
syntax = "proto3";
package hashiramart.catalog.odd;
import "google/api/annotations.proto";
service OddService {{
  rpc Do({request}) returns ({response}) {{
    option (google.api.http) = {{{rule}}};
  }}
  rpc DoOther(Message) returns (Message) {{
    option (google.api.http) = {{get: "/taken/{{text}}:verb"}};
  }}
}}
message Message {{
  string text = 1;
  repeated string texts = 2;
  Message inner = 3;
}}
"""

UNSUPPORTED = [
    ('custom: {kind: "REPORT" path: "/a"}', "only get, put, post, delete and patch"),
    ('get: "/a" response_body: "text"', "response_body is not implemented"),
    ('get: "/a" body: "*"', "it has a body"),
    ('post: "/a" body: "no_such"', "there is no field 'no_such' for the body"),
    ('get: "/a/{no_such}"', "there is no field 'no_such'"),
    ('get: "/a/{inner.no_such}"', "there is no field 'inner.no_such'"),
    ('get: "/a/{texts}"', "a path cannot fill 'texts'"),
    ('get: "/a/{inner}"', "a path cannot fill 'inner'"),
    ('get: "/a/{text=**}/b"', "** is not the last segment"),
    ('get: "/a/{text}/{text}"', "a variable is named twice"),
    ('get: "a"', "the path cannot be read"),
    ('get: "/a/{text"', "the path cannot be read"),
    ('get: "/a/{text=}"', "the path cannot be read"),
    ('get: "/taken/{inner.text}:verb"', "has the same path"),
]


def contract(folder: Path, rule: str, request: str = "Message", response: str = "Message") -> Contract:
    source = folder / "odd.proto"
    source.write_text(SOURCE.format(rule=rule, request=request, response=response))
    return Contract(compiled(source, folder).SerializeToString())


@pytest.mark.parametrize(("rule", "reason"), UNSUPPORTED, ids=[rule for rule, _ in UNSUPPORTED])
def test_a_rule_that_is_not_implemented_is_named(tmp_path: Path, rule: str, reason: str) -> None:
    with pytest.raises(UnsupportedBinding, match="hashiramart.catalog.odd.OddService/Do") as raised:
        contract(tmp_path, rule)
    assert reason in str(raised.value)


def test_streams_that_http_cannot_carry_are_unsupported(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedBinding, match="both directions"):
        contract(tmp_path, 'post: "/a" body: "*"', "stream Message", "stream Message")
    with pytest.raises(UnsupportedBinding, match="needs a body"):
        contract(tmp_path, 'post: "/a"', "stream Message")


def test_an_rpc_without_a_rule_has_no_path(tmp_path: Path) -> None:
    bindings = contract(tmp_path, 'get: "/a" additional_bindings {post: "/b" body: "inner"}').bindings
    assert [binding.rule for binding in bindings] == ["GET /a", "POST /b", "GET /taken/{text}:verb"]


def test_the_gateway_does_not_start_with_a_rule_that_it_cannot_serve(tmp_path: Path) -> None:
    source = tmp_path / "odd.proto"
    source.write_text(SOURCE.format(rule='get: "/a" response_body: "text"', request="Message", response="Message"))
    descriptors = tmp_path / "all.binpb"
    descriptors.write_bytes(compiled(source, tmp_path).SerializeToString())
    environment = os.environ | {"GATEWAY_DESCRIPTORS": str(descriptors)}
    ended = subprocess.run([sys.executable, "-m", "gateway"], env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert ended.stderr.strip() == (
        "the gateway cannot serve the contracts: /hashiramart.catalog.odd.OddService/Do: GET /a: response_body is not implemented"
    )
