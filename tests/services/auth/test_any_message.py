"""Whatever a message says, auth answers or refuses it: there is no internal error."""

import pytest
from google.protobuf.descriptor import MethodDescriptor

from hashiramart.auth.v1 import auth_pb2
from tests.fuzz.budget import SMALL_BUDGET
from tests.fuzz.calls import statuses_of
from tests.services.auth.people import Person

METHODS = list(auth_pb2.DESCRIPTOR.services_by_name["AuthService"].methods)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_no_message_is_an_internal_error(method: MethodDescriptor, grpc_addr: str, admin: Person) -> None:
    assert statuses_of(method, grpc_addr, admin.by(admin.signs_in()), SMALL_BUDGET)
