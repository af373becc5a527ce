"""Errors as they are sent to clients."""

import grpc.aio
import pytest
from google.rpc import error_details_pb2
from hypothesis import given, settings
from hypothesis import strategies as st

from hashiramart.catalog.v1 import catalog_pb2
from mesh.errors import FieldViolation, InvalidArgument, NotFound, ResourceExhausted, StatusError, Unavailable, status
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
    for error in (*errors, ResourceExhausted("TOO_MANY", text, 1.5)):
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
