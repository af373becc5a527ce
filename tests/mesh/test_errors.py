"""Errors as they are sent to clients."""

import grpc.aio
import pytest
from google.rpc import error_details_pb2
from hypothesis import given, settings
from hypothesis import strategies as st

from hashiramart.catalog.v1 import catalog_pb2
from mesh.errors import FieldViolation, InvalidArgument, NotFound, OutOfRange, ResourceExhausted, StatusError, Unavailable, status
from mesh.identity import Role
from mesh.settings import MeshSettings
from tests.callers import Issuer
from tests.mesh.shop import connect_stub, detail, new_shop, reason, serve_shop

# What many clients accept, less the headers that every response has.
TRAILERS_BYTES = 8192 - 512

texts = st.builds(lambda text, times: text * times, st.text(st.characters(exclude_categories=["Cs"]), max_size=30), st.integers(0, 400))
violations = st.builds(
    lambda found, times: found * times, st.lists(st.builds(FieldViolation, texts, texts), max_size=4), st.integers(0, 400)
)


@settings(max_examples=200, deadline=None)
@given(texts, violations)
def test_any_error_fits_into_the_trailers_of_a_call(text: str, found: list[FieldViolation]) -> None:
    errors: list[StatusError] = [InvalidArgument(text, violations=found), NotFound("product", text), Unavailable("DOWN", text)]
    for error in (*errors, ResourceExhausted("TOO_MANY", text, retry_after_seconds=1.5)):
        response = status(error)
        percent_encoded = 3 * len(response.message.encode())
        assert percent_encoded + 4 * response.ByteSize() / 3 <= TRAILERS_BYTES
        assert response.code == error.code.value[0]
        assert error.message.startswith(response.message.removesuffix("…"))


@settings(max_examples=200, deadline=None)
@given(violations)
def test_the_first_violations_are_listed_and_the_others_counted(found: list[FieldViolation]) -> None:
    response = status(InvalidArgument("wrong", violations=found))
    info, listed = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    for packed in response.details:
        packed.Unpack(info) or packed.Unpack(listed)
    assert len(listed.field_violations) + int(info.metadata.get("omitted_violations", 0)) == len(found)
    assert bool(listed.field_violations) == bool(found)
    for shown, violation in zip(listed.field_violations, found, strict=False):
        assert violation.field.startswith(shown.field.removesuffix("…"))
        assert violation.description.startswith(shown.description.removesuffix("…"))


def metadata(error: StatusError) -> dict[str, str]:
    """The metadata of an error, as it is sent."""
    info = error_details_pb2.ErrorInfo()
    assert any(packed.Unpack(info) for packed in status(error).details)
    return dict(info.metadata)


def test_the_metadata_has_what_the_message_says() -> None:
    error = OutOfRange("TOO_LONG", "a file may have {limit:,} rows, not {count:,}", limit=100_000, count=100_001)
    assert error.message == "a file may have 100,000 rows, not 100,001"
    assert metadata(error) == {"limit": "100000", "count": "100001"}
    assert metadata(NotFound("product", "a")) == {"resource": "product", "id": "a"}
    assert metadata(Unavailable("DOWN", "the shop is closed")) == {}


def test_the_metadata_names_the_wrong_field() -> None:
    assert metadata(InvalidArgument("must not be empty", field="product.name")) == {"field": "product.name"}
    found = [FieldViolation("ids[3]", "too long"), FieldViolation("ids[4]", "too long")]
    assert metadata(InvalidArgument("{field}: {violation}", violations=found, violation="too long")) == {
        "field": "ids[3]",
        "violation": "too long",
    }


def test_a_message_may_quote_braces() -> None:
    assert NotFound("product", "{id} {0} {").message == "there is no product '{id} {0} {'"
    assert InvalidArgument("does not match {1,64}", field="id").message == "does not match {1,64}"


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(["product", "limit", "path", "problem", "first_number"]), texts))
def test_long_values_are_cut_in_the_metadata(values: dict[str, str]) -> None:
    error = OutOfRange("TOO_LONG", "too long", violations=(), retry_after_seconds=None, **values)
    sent = metadata(error)
    assert sent.keys() == values.keys()
    assert all(value.startswith(sent[key].removesuffix("…")) for key, value in values.items())
    assert 4 * status(error).ByteSize() / 3 <= TRAILERS_BYTES


@pytest.mark.parametrize("id", ["no good", "é" * 300, "x" * 10_000])
async def test_a_call_with_many_mistakes_ends_with_the_status_that_they_deserve(settings: MeshSettings, issuer: Issuer, id: str) -> None:
    product = catalog_pb2.Product(id=id, name=id, description=id, category=id, price_cents=-1)
    async with serve_shop(new_shop(), settings, issuer) as server, connect_stub(server, settings) as shop:
        for call in (
            shop.BatchGetProducts(catalog_pb2.BatchGetProductsRequest(ids=[id] * 500)),
            shop.CreateProduct(catalog_pb2.CreateProductRequest(product=product), metadata=issuer.metadata(Role.ADMIN)),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await call
            assert (refused.value.code(), reason(refused.value)) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
            assert detail(refused.value, error_details_pb2.BadRequest)
