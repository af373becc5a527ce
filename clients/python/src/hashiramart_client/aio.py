"""Channels and sign-in for asyncio."""

import asyncio
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from types import TracebackType
from typing import Protocol, Self, TypeVar

import grpc.aio

from hashiramart.auth.v1.auth_pb2 import IssueTokenRequest, RevokeTokenRequest, Token
from hashiramart.auth.v1.auth_pb2_grpc import AuthServiceStub
from hashiramart_client.channel import DEADLINE_SECONDS, Tls, channel_options, target, with_request_id, with_token
from hashiramart_client.grants import SignIn

Request = TypeVar("Request")
Response = TypeVar("Response")
Requests = AsyncIterable[Request] | Iterable[Request]


class AsyncAccessTokens(Protocol):
    """Gives the access token of the moment, as `AsyncSession` does."""

    async def access_token(self) -> str: ...


def open_channel(address: str, session: AsyncAccessTokens | None = None, tls: Tls | None = None) -> grpc.aio.Channel:
    """The same as `hashiramart_client.open_channel`, for asyncio."""
    interceptors: list[grpc.aio.ClientInterceptor] = [
        each(session) for each in (_UnaryUnarySetup, _UnaryStreamSetup, _StreamUnarySetup, _StreamStreamSetup)
    ]
    if tls is None:
        return grpc.aio.insecure_channel(target(address), channel_options(), interceptors=interceptors)
    return grpc.aio.secure_channel(target(address), tls.credentials(), channel_options(), interceptors=interceptors)


class AsyncSession:
    """The same as `hashiramart_client.Session`, for asyncio. May be shared by tasks.

    auth: a channel to the auth service without a session
    grant: `password_grant` or `service_grant`
    """

    def __init__(self, auth: grpc.aio.Channel, grant: IssueTokenRequest) -> None:
        self._auth = AuthServiceStub(auth)
        self._lock = asyncio.Lock()
        self._sign_in = SignIn(grant)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        await self.sign_out()

    async def access_token(self) -> str:
        """A valid access token. Raises `grpc.RpcError` if there is none to be had."""
        async with self._lock:
            if self._sign_in.is_due():
                try:
                    self._sign_in.accept(await self._issue())
                except grpc.RpcError:
                    if not self._sign_in.is_valid():
                        raise
            token: str = self._sign_in.token.access_token
            return token

    async def sign_out(self) -> None:
        """Revokes the refresh token, if there is one. The next call signs in again."""
        async with self._lock:
            if refresh := self._sign_in.take_refresh():
                await self._auth.RevokeToken(RevokeTokenRequest(token=refresh.refresh_token))
            self._sign_in = SignIn(self._sign_in.grant)

    async def _issue(self) -> Token:
        if refresh := self._sign_in.take_refresh():
            try:
                return await self._auth.IssueToken(refresh)
            except grpc.aio.AioRpcError as error:
                if error.code() != grpc.StatusCode.UNAUTHENTICATED:
                    raise
        return await self._auth.IssueToken(self._sign_in.grant)


class _AsyncCallSetup:
    """What the four kinds of interceptors share: gRPC accepts one class as one kind only."""

    def __init__(self, session: AsyncAccessTokens | None) -> None:
        self._session = session

    async def _details(self, details: grpc.aio.ClientCallDetails, timeout: float | None = None) -> grpc.aio.ClientCallDetails:
        token = await self._session.access_token() if self._session else None
        metadata = grpc.aio.Metadata(*with_token([*(details.metadata or ())], token))
        seconds = timeout if details.timeout is None else details.timeout
        return grpc.aio.ClientCallDetails(details.method, seconds, metadata, details.credentials, details.wait_for_ready)


class _UnaryUnarySetup(_AsyncCallSetup, grpc.aio.UnaryUnaryClientInterceptor):
    async def intercept_unary_unary(
        self,
        continuation: Callable[[grpc.aio.ClientCallDetails, Request], Awaitable[grpc.aio.UnaryUnaryCall[Request, Response]]],
        client_call_details: grpc.aio.ClientCallDetails,
        request: Request,
    ) -> grpc.aio.UnaryUnaryCall[Request, Response]:
        return await continuation(await self._details(client_call_details, DEADLINE_SECONDS), with_request_id(request))


class _UnaryStreamSetup(_AsyncCallSetup, grpc.aio.UnaryStreamClientInterceptor):
    async def intercept_unary_stream(
        self,
        continuation: Callable[[grpc.aio.ClientCallDetails, Request], Awaitable[grpc.aio.UnaryStreamCall[Request, Response]]],
        client_call_details: grpc.aio.ClientCallDetails,
        request: Request,
    ) -> grpc.aio.UnaryStreamCall[Request, Response]:
        return await continuation(await self._details(client_call_details), request)


class _StreamUnarySetup(_AsyncCallSetup, grpc.aio.StreamUnaryClientInterceptor):
    async def intercept_stream_unary(
        self,
        continuation: Callable[[grpc.aio.ClientCallDetails, Requests[Request]], Awaitable[grpc.aio.StreamUnaryCall[Request, Response]]],
        client_call_details: grpc.aio.ClientCallDetails,
        request_iterator: Requests[Request],
    ) -> grpc.aio.StreamUnaryCall[Request, Response]:
        return await continuation(await self._details(client_call_details), request_iterator)


class _StreamStreamSetup(_AsyncCallSetup, grpc.aio.StreamStreamClientInterceptor):
    async def intercept_stream_stream(
        self,
        continuation: Callable[[grpc.aio.ClientCallDetails, Requests[Request]], Awaitable[grpc.aio.StreamStreamCall[Request, Response]]],
        client_call_details: grpc.aio.ClientCallDetails,
        request_iterator: Requests[Request],
    ) -> grpc.aio.StreamStreamCall[Request, Response]:
        return await continuation(await self._details(client_call_details), request_iterator)
