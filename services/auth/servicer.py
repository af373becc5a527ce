"""The RPCs of the auth service."""

from dataclasses import replace
from datetime import datetime
from uuid import UUID

import grpc.aio
import structlog
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message

from hashiramart.auth.v1 import auth_pb2, auth_pb2_grpc
from mesh import identity
from mesh.client_address import ClientAddress, Networks, nearest_untrusted, peer_address
from mesh.errors import Aborted, FieldViolation, InvalidArgument, NotFound, PermissionDenied
from mesh.paging import PageTokens, Place, page_size
from services.auth.accounts import Accounts
from services.auth.domain import CallerGone, User
from services.auth.grants import Grants, basic_credentials
from services.auth.keys import SigningKeys
from services.auth.messages import profile_update, role_filter, signing_key_message, token_message, user_changes, user_message
from services.auth.repository.users import UserRepository
from services.auth.tokens import sign_in_id

_log = structlog.get_logger(__name__)

Context = grpc.aio.ServicerContext[Message, Message]


class AuthServicer(auth_pb2_grpc.AuthServiceServicer):
    """Signs users and services in, and manages users."""

    def __init__(
        self,
        grants: Grants,
        accounts: Accounts,
        users: UserRepository,
        keys: SigningKeys,
        page_tokens: PageTokens,
        trusted_proxies: Networks,
    ) -> None:
        self._grants = grants
        self._accounts = accounts
        self._users = users
        self._keys = keys
        self._page_tokens = page_tokens
        self._trusted_proxies = trusted_proxies

    async def IssueToken(self, request: auth_pb2.IssueTokenRequest, context: Context) -> auth_pb2.Token:
        match request.grant_type:
            case "password":
                _require(username=request.username, password=request.password)
                address = self._client_address(context)
                return token_message(await self._grants.exchange_password(request.username, request.password, address))
            case "refresh_token":
                _require(refresh_token=request.refresh_token)
                return token_message(await self._grants.exchange_refresh_token(request.refresh_token))
            case "client_credentials":
                name, secret = request.client_id, request.client_secret
                if not name:
                    name, secret = basic_credentials(_header(context, "authorization"))
                _require(client_id=name, client_secret=secret)
                return token_message(await self._grants.exchange_client_credentials(name, secret))
        raise InvalidArgument(
            "grant_type must be password, refresh_token or client_credentials", field="grant_type", reason="UNSUPPORTED_GRANT_TYPE"
        )

    async def RevokeToken(self, request: auth_pb2.RevokeTokenRequest, context: Context) -> Empty:
        await self._grants.revoke(request.token)
        return Empty()

    async def ListSigningKeys(self, request: auth_pb2.ListSigningKeysRequest, context: Context) -> auth_pb2.ListSigningKeysResponse:
        return auth_pb2.ListSigningKeysResponse(keys=map(signing_key_message, await self._keys.pair()))

    async def CreateUser(self, request: auth_pb2.CreateUserRequest, context: Context) -> auth_pb2.User:
        user = await self._accounts.sign_up(request.email, request.password, request.display_name, self._client_address(context))
        _log.info("signed up", user_id=str(user.id))
        return user_message(user)

    async def GetCurrentUser(self, request: auth_pb2.GetCurrentUserRequest, context: Context) -> auth_pb2.User:
        return user_message(await self._current_user())

    async def UpdateCurrentUser(self, request: auth_pb2.UpdateCurrentUserRequest, context: Context) -> auth_pb2.User:
        user = await self._current_user()
        address = self._client_address(context)
        return user_message(await self._accounts.update(user, profile_update(request), address, _current_sign_in()))

    async def DeleteCurrentUser(self, request: auth_pb2.DeleteCurrentUserRequest, context: Context) -> Empty:
        user = await self._current_user()
        await self._users.delete(user.id)
        _log.info("user deleted", user_id=str(user.id))
        return Empty()

    async def ListUsers(self, request: auth_pb2.ListUsersRequest, context: Context) -> auth_pb2.ListUsersResponse:
        await self._current_admin()
        size = page_size(request.page_size)
        after = _after(self._page_tokens.read(request))
        # One more than asked for shows whether another page follows.
        users = await self._users.page(after, size + 1, request.search, role_filter(request))
        response = auth_pb2.ListUsersResponse(users=map(user_message, users[:size]))
        if len(users) > size:
            last = users[size - 1]
            response.next_page_token = self._page_tokens.write(request, (last.create_time, str(last.id)))
        return response

    async def GetUser(self, request: auth_pb2.GetUserRequest, context: Context) -> auth_pb2.User:
        await self._current_admin()
        user = await self._users.get(UUID(request.id))
        if user is None:
            raise NotFound("user", request.id)
        return user_message(user)

    async def UpdateUser(self, request: auth_pb2.UpdateUserRequest, context: Context) -> auth_pb2.User:
        admin = await self._current_admin()
        changes = user_changes(request)

        def apply(user: User) -> User:
            if request.user.etag not in ("", user.etag):
                raise Aborted("STALE_ETAG", "the user was changed since it was read; read it again")
            return replace(user, **changes)

        user = await self._users.update(UUID(request.user.id), apply)
        _log.info("user changed", user_id=str(user.id), fields=sorted(changes), admin_id=str(admin.id))
        return user_message(user)

    async def _current_user(self) -> User:
        """The caller as of now, not as of when the token was issued. Raises `CallerGone`."""
        user = await self._users.get(UUID(identity.caller().subject))
        if user is None or user.disabled:
            raise CallerGone
        return user

    async def _current_admin(self) -> User:
        """The caller, who is still an admin: an old token must not let a former admin restore the role. Raises `PermissionDenied`."""
        user = await self._current_user()
        if not user.is_active_admin:
            raise PermissionDenied("ROLE_NOT_ALLOWED", "the caller is no longer an admin")
        return user

    def _client_address(self, context: Context) -> ClientAddress:
        return nearest_untrusted(peer_address(context.peer()), _header(context, "x-forwarded-for"), self._trusted_proxies)


def _header(context: Context, name: str) -> str:
    """The value of a header; if there are several, all of them, separated by commas."""
    return ",".join(str(value) for key, value in context.invocation_metadata() or () if key == name)


def _require(**parameters: str) -> None:
    """Raises `InvalidArgument` if any parameter of the grant is empty."""
    if missing := [name for name, value in parameters.items() if not value]:
        raise InvalidArgument(
            f"the grant needs {' and '.join(missing)}", violations=[FieldViolation(name, "is required for this grant") for name in missing]
        )


def _after(place: Place | None) -> tuple[datetime, UUID] | None:
    if place is None:
        return None
    create_time, id = place
    assert isinstance(create_time, datetime) and isinstance(id, str)  # noqa: S101 as `ListUsers` writes them
    return create_time, UUID(id)


def _current_sign_in() -> UUID:
    token = identity.caller().token
    assert token  # noqa: S101 users authenticate by a token only
    return sign_in_id(token)
