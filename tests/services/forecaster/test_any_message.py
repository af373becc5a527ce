"""Whatever a message says, the forecaster answers or refuses it: there is no internal error."""

from pathlib import Path

import pytest
from google.protobuf.descriptor import MethodDescriptor

from hashiramart.forecaster.v1 import accuracy_pb2, calendar_pb2, forecaster_pb2, reorder_pb2
from mesh.identity import Role
from tests.callers import Issuer
from tests.fuzz.budget import SMALL_BUDGET
from tests.fuzz.calls import statuses_of
from tests.services.forecaster.replica import ForecasterReplica

FILES = [forecaster_pb2, calendar_pb2, accuracy_pb2, reorder_pb2]
METHODS = [method for file in FILES for service in file.DESCRIPTOR.services_by_name.values() for method in service.methods]


@pytest.fixture(autouse=True, scope="module")
def promoted(replica: ForecasterReplica, forecasters: tuple[Path, Path]) -> None:
    """A version is served, so that messages reach the model."""
    number = replica.register(forecasters[0])
    replica.promote(number)
    replica.wait_for(number)
    replica.keep_forecast()


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_no_message_is_an_internal_error(method: MethodDescriptor, grpc_addr: str, issuer: Issuer) -> None:
    assert statuses_of(method, grpc_addr, issuer.metadata(Role.ADMIN), SMALL_BUDGET)
