"""Each reader either returns a value or raises the one error that names what is wrong."""

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.asgi import Event
from gateway.body import RequestBody
from gateway.errors import GatewayError
from gateway.exchange import Exchange
from gateway.json_parser import parse_json, parse_json_line
from gateway.malformed import MalformedRequest
from gateway.parameters import QueryReader
from gateway.reader import message_filler
from gateway.tokens import read_token, require_token
from lake.errors import LakeError
from lake.landing.canonical import examine
from lake.landing.mapping import InvalidMapping, parse_mapping
from mesh.client_address import nearest_untrusted, parse_address
from mesh.errors import Unauthenticated
from mesh.identity import Role, TokenVerifier
from mesh.settings import MeshSettings
from tests.callers import Issuer
from tests.contract.contracts import ROOT
from tests.fuzz.budget import BUDGET

ISSUER = Issuer(MeshSettings())
TOKEN = ISSUER.token(Role.STAFF, "ann", lifetime_seconds=10**6)
TEXT = st.text(max_size=30)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), TEXT, st.sampled_from(["1.5s", "2011-01-01T00:00:00Z", "id,name", "\ud800"])
)
MAPPING = "columns: {invoice: a, product: b, description: null, quantity: c, time: [d, e], price: f, customer: null, country: null}"
SALES = (
    "Invoice,StockCode,Description,Quantity,InvoiceDate,Price,Customer ID,Country\n"
    "489434,85048,LIGHTS,12,2009-12-01 07:45:00,6.95,13085,France\n"
)


def messages() -> list[Descriptor]:
    """All messages of our contracts that something may send."""
    pool, names = DescriptorPool(), []
    for file in FileDescriptorSet.FromString((ROOT / "gen" / "descriptors.binpb").read_bytes()).file:
        pool.Add(file)
        if file.package.startswith("hashiramart."):
            names += [f"{file.package}.{message.name}" for message in file.message_type if message.name.endswith("Request")]
    return [pool.FindMessageTypeByName(name) for name in names]


MESSAGES = messages()


def edits(text: bytes) -> st.SearchStrategy[bytes]:
    """A text with some of its bytes removed, repeated or replaced."""
    places = st.tuples(st.integers(0, len(text)), st.integers(0, 20), st.binary(max_size=8))

    def edit(changes: list[tuple[int, int, bytes]]) -> bytes:
        edited = text
        for start, length, other in changes:
            edited = edited[:start] + other + edited[start + length :]
        return edited

    return st.lists(places, max_size=4).map(edit)


def names_of(descriptor: Descriptor, depth: int = 2) -> list[str]:
    """The names of a message's fields, and of those within them."""
    own = [name for field in descriptor.fields for name in (field.name, field.json_name)]
    inner = [(field.name, field.message_type) for field in descriptor.fields if depth]
    return own + [f"{outer}.{name}" for outer, kind in inner if kind is not None for name in names_of(kind, depth - 1)]


@st.composite
def objects(draw: st.DrawFn) -> tuple[Descriptor, Any]:
    """A message type, and JSON whose keys it has."""
    descriptor = draw(st.sampled_from(MESSAGES))
    keys = st.sampled_from([*(name.rpartition(".")[2] for name in names_of(descriptor)), "x"])
    values = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4), max_leaves=12)
    return descriptor, draw(st.dictionaries(keys, values, max_size=5))


@st.composite
def queries(draw: st.DrawFn) -> tuple[Descriptor, str]:
    """A message type, and a query whose parameters it has."""
    descriptor = draw(st.sampled_from(MESSAGES))
    names = st.sampled_from([*names_of(descriptor), ""]) | TEXT
    values = TEXT | st.sampled_from(["true", "-1", "1e400", "2011-01-01T00:00:00Z", "%", "%ff", "%F0%9F"])
    return descriptor, "&".join(f"{name}={value}" for name, value in draw(st.lists(st.tuples(names, values), max_size=6)))


@BUDGET
@given(st.binary(max_size=200) | edits(b'{"a": [1, -2.5e3, "\\ud83d\\ude00", null, true], "b": {"c": ""}}'))
@example(b"[" * 10_000)
@example(b'{"\\ud800": 1}')
def test_json(data: bytes) -> None:
    for parse in (parse_json, parse_json_line):
        with suppress(MalformedRequest):
            parse(data)


@BUDGET
@given(objects())
def test_messages_from_json(case: tuple[Descriptor, Any]) -> None:
    descriptor, value = case
    message = GetMessageClass(descriptor)()
    with suppress(MalformedRequest):
        message_filler(descriptor)(message, parse_json(json.dumps(value).encode()), 0)
        message.SerializeToString()


@BUDGET
@given(queries())
def test_queries(case: tuple[Descriptor, str]) -> None:
    descriptor, query = case
    message = GetMessageClass(descriptor)()
    with suppress(MalformedRequest):
        QueryReader(descriptor).fill(message, query)
        message.SerializeToString()


@BUDGET
@given(st.lists(st.binary(max_size=40), max_size=6), st.integers(1, 50))
def test_lines(pieces: list[bytes], longest: int) -> None:
    left = [*pieces]

    async def receive() -> Event:
        return {"type": "http.request", "body": left.pop(0) if left else b"", "more_body": bool(left)}

    async def read() -> list[bytes | MalformedRequest]:
        body = RequestBody({b"transfer-encoding": b"chunked"}, receive)
        return [line async for line in body.lines(longest)]

    lines = asyncio.run(read())
    assert all(isinstance(line, MalformedRequest) or b"\n" not in line for line in lines)


NAMES = st.sampled_from(
    [b"authorization", b"grpc-timeout", b"traceparent", b"x-request-id", b"x-forwarded-for", b"content-length", b"user-agent"]
)


@BUDGET
@given(st.lists(st.tuples(NAMES, st.binary(max_size=60) | edits(b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")), max_size=5))
def test_headers(headers: list[tuple[bytes, bytes]]) -> None:
    async def nothing(*_: Any) -> Any:
        raise AssertionError("nothing is sent or received")

    scope = {"method": "GET", "query_string": b"", "headers": headers, "client": ("127.0.0.1", 1)}
    for use in (Exchange.check_headers, Exchange.timeout, Exchange.metadata):
        with suppress(MalformedRequest, GatewayError):
            use(Exchange(scope, nothing, nothing, ()))


@BUDGET
@given(edits(TOKEN.encode()) | st.binary(max_size=100))
def test_tokens(token: bytes) -> None:
    read_token(b"Bearer " + token)
    with suppress(GatewayError):
        require_token(b"Bearer " + token)
    mesh = MeshSettings()
    verifier = TokenVerifier(mesh.jwt_issuer, mesh.jwt_audience, ISSUER)
    with suppress(Unauthenticated):
        asyncio.run(verifier.verify(token.decode("latin-1")))
        # Base64 ignores the last bits of its last digit, and nothing else of a token may differ.
        assert token.rpartition(b".")[0] == TOKEN.encode().rpartition(b".")[0]


@BUDGET
@given(TEXT | st.ip_addresses().map(str), st.lists(TEXT | st.ip_addresses().map(str), max_size=4).map(",".join))
def test_addresses(peer: str, forwarded: str) -> None:
    if address := parse_address(peer):
        nearest_untrusted(address, forwarded, ())


@BUDGET
@given(st.text(max_size=80) | edits(MAPPING.encode()).map(lambda text: text.decode("latin-1")))
@example("a: 2011-99-99")
@example("a: 2011-01-01T99:00:00Z")
@example("[" * 2_000)
@example("a: &a [*a]")
@example("a: 0x")
@example("? [a]\n: 1")
@example("a: 12:99:99:99.")
def test_mappings(text: str) -> None:
    with suppress(InvalidMapping):
        parse_mapping(text, "shop.yaml")


@pytest.mark.parametrize("name", ["sales.csv", "sales.json", "sales.parquet", "sales.xlsx", "sales.csv.gz"])
def test_raw_files(name: str) -> None:
    with TemporaryDirectory() as folder:

        @BUDGET
        @given(st.binary(max_size=300) | edits(SALES.encode()))
        def check(content: bytes) -> None:
            file = Path(folder, name)
            file.write_bytes(content)
            with suppress(LakeError):
                for _ in examine(file, None, _ignore).lines():
                    pass

        run: Callable[[], None] = check
        run()


def _ignore(*_: object) -> None:
    """No progress is reported."""
