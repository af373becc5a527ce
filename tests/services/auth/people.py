"""Users of auth, with an e-mail address, an account and tokens."""

import itertools

from hashiramart.auth.v1 import auth_pb2
from hashiramart.auth.v1.auth_pb2_grpc import AuthServiceStub

PASSWORD = "correct horse battery staple"

_numbers = itertools.count(1)

Metadata = tuple[tuple[str, str], ...]


class Person:
    """A person with an e-mail address, who calls from a network address of their own."""

    def __init__(self, stub: AuthServiceStub, name: str = "ann") -> None:
        number = next(_numbers)
        self._stub = stub
        self.email = f"{name}{number}@example.com"
        self.password = PASSWORD
        self.place: Metadata = (("x-forwarded-for", f"10.{number >> 8}.{number & 255}.7"),)

    def signs_up(self, request_id: str = "") -> auth_pb2.User:
        request = auth_pb2.CreateUserRequest(email=self.email, password=self.password, display_name="Ann", request_id=request_id)
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
        """The metadata of a call with this token."""
        return (("authorization", f"Bearer {token.access_token}"), *self.place)
