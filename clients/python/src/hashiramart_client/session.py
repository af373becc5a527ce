"""The sign-in of a client with threads."""

import threading
from types import TracebackType
from typing import Self

import grpc

from hashiramart.auth.v1.auth_pb2 import IssueTokenRequest, RevokeTokenRequest, Token
from hashiramart.auth.v1.auth_pb2_grpc import AuthServiceStub
from hashiramart_client.grants import SignIn


class Session:
    """Signs in with the first call, and renews the access token before it expires. May be shared by threads.

    auth: a channel to the auth service without a session
    grant: `password_grant` or `service_grant`
    """

    def __init__(self, auth: grpc.Channel, grant: IssueTokenRequest) -> None:
        self._auth = AuthServiceStub(auth)
        self._lock = threading.Lock()
        self._sign_in = SignIn(grant)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self.sign_out()

    def access_token(self) -> str:
        """A valid access token. Raises `grpc.RpcError` if there is none to be had."""
        with self._lock:
            if self._sign_in.is_due():
                try:
                    self._sign_in.accept(self._issue())
                except grpc.RpcError:
                    if not self._sign_in.is_valid():
                        raise
            return self._sign_in.token.access_token

    def sign_out(self) -> None:
        """Revokes the refresh token, if there is one. The next call signs in again."""
        with self._lock:
            if refresh := self._sign_in.take_refresh():
                self._auth.RevokeToken(RevokeTokenRequest(token=refresh.refresh_token))
            self._sign_in = SignIn(self._sign_in.grant)

    def _issue(self) -> Token:
        if refresh := self._sign_in.take_refresh():
            try:
                return self._auth.IssueToken(refresh)
            except grpc.RpcError as error:
                if error.code() != grpc.StatusCode.UNAUTHENTICATED:
                    raise
        return self._auth.IssueToken(self._sign_in.grant)
