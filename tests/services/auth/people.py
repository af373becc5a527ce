"""Who calls auth: people with an address, an account and tokens; and how they are refused."""

import itertools
from collections.abc import Callable
from typing import NamedTuple

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from hashiramart.auth.v1 import auth_pb2
from hashiramart.auth.v1.auth_pb2_grpc import AuthServiceStub

PASSWORD = "correct horse battery staple"

_numbers = itertools.count(1)

Metadata = tuple[tuple[str, str], ...]


class Person:
    """Somebody with an e-mail address, at a place on the net that nobody else calls from."""

    def __init__(self, stub: AuthServiceStub, name: str = "ann") -> None:
        number = next(_numbers)
        self._stub = stub
        self.email = f"{name}{number}@example.com"
        self.password = PASSWORD
        self.place: Metadata = (("x-forwarded-for", f"10.{number >> 8}.{number & 255}.7"),)

    def signs_up(self) -> auth_pb2.User:
        request = auth_pb2.CreateUserRequest(email=self.email, password=self.password, display_name="Ann")
        return self._stub.CreateUser(request, metadata=self.place)

    def signs_in(self, password: str | None = None) -> auth_pb2.Token:
        request = auth_pb2.IssueTokenRequest(grant_type="password", username=self.email, password=password or self.password)
        return self._stub.IssueToken(request, metadata=self.place)

    def signs_up_and_in(self) -> auth_pb2.Token:
        self.signs_up()
        return self.signs_in()

    def refreshes(self, token: auth_pb2.Token) -> auth_pb2.Token:
        return self._stub.IssueToken(auth_pb2.IssueTokenRequest(grant_type="refresh_token", refresh_token=token.refresh_token))

    def by(self, token: auth_pb2.Token) -> Metadata:
        """What a call brings that is made with this token."""
        return (("authorization", f"Bearer {token.access_token}"), *self.place)


class Refusal(NamedTuple):
    """How a call was refused."""

    code: grpc.StatusCode
    reason: str
    fields: list[str]
    retry_seconds: float | None
    message: str


def refusal(call: Callable[[], object]) -> Refusal:
    """How this call is refused; fails if it is not."""
    try:
        answer = call()
    except grpc.RpcError as error:
        return refusal_in(error)
    raise AssertionError(f"not refused: {answer!r}")


def refusal_in(error: grpc.RpcError) -> Refusal:
    assert isinstance(error, grpc.Call)
    status = rpc_status.from_call(error)
    assert status, error
    info, bad, retry = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
    wait: float | None = None
    for detail in status.details:
        detail.Unpack(info)
        detail.Unpack(bad)
        if detail.Unpack(retry):
            wait = retry.retry_delay.ToTimedelta().total_seconds()
    return Refusal(error.code(), info.reason, [violation.field for violation in bad.field_violations], wait, status.message)
