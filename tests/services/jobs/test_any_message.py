"""Whatever a message says, the jobs service answers or refuses it: there is no internal error."""

import pytest
from google.protobuf.descriptor import MethodDescriptor

from hashiramart.jobs.v1 import jobs_pb2
from mesh.identity import Role
from tests.callers import Issuer
from tests.fuzz.budget import SMALL_BUDGET
from tests.fuzz.calls import statuses_of

METHODS = list(jobs_pb2.DESCRIPTOR.services_by_name["JobsService"].methods)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_no_message_is_an_internal_error(method: MethodDescriptor, grpc_addr: str, issuer: Issuer) -> None:
    assert statuses_of(method, grpc_addr, issuer.metadata(Role.ADMIN), SMALL_BUDGET)
