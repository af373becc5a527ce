"""The RPCs of the auth service."""

from dataclasses import replace
from datetime import datetime
from typing import TypedDict
from uuid import UUID

import grpc.aio
import structlog
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message

from hashiramart.auth.v1 import auth_pb2, auth_pb2_grpc
from mesh import identity
from mesh.errors import Aborted, FieldViolation, InvalidArgument, NotFound, PermissionDenied
from mesh.identity import Role
from mesh.paging import PageTokens, Place, page_size
from mesh.timestamps import timestamp
from services.auth.clients import Networks, client_of
from services.auth.domain import ACCESS_TOKEN_LIFETIME, CallerGone, User, WrongPassword, email_address
from services.auth.grants import Credentials, Grants, basic_credentials
from services.auth.keys import SigningKeys, web_key
from services.auth.passwords import Passwords
from services.auth.refresh_tokens import RefreshToken
from services.auth.repository import AttemptRepository, SignInRepository, UserRepository
from services.auth.throttle import Client, sign_ups_from
from services.auth.tokens import sign_in_id

log = structlog.get_logger(__name__)

Context = grpc.aio.ServicerContext[Message, Message]


class AuthServicer(auth_pb2_grpc.AuthServiceServicer):
    """Signs users and services in, and keeps the users."""

    def __init__(
        self,
        users: UserRepository,
        sign_ins: SignInRepository,
        attempts: AttemptRepository,
        passwords: Passwords,
        credentials: Credentials,
        grants: Grants,
        keys: SigningKeys,
        page_tokens: PageTokens,
        trusted_proxies: Networks,
    ) -> None:
        self._users = users
        self._sign_ins = sign_ins
        self._attempts = attempts
        self._passwords = passwords
        self._credentials = credentials
        self._grants = grants
        self._keys = keys
        self._page_tokens = page_tokens
        self._trusted_proxies = trusted_proxies

    async def IssueToken(self, request: auth_pb2.IssueTokenRequest, context: Context) -> auth_pb2.Token:
        match request.grant_type:
            case "password":
                _require(username=request.username, password=request.password)
                granted = await self._grants.password(request.username, request.password, self._client(context))
            case "refresh_token":
                _require(refresh_token=request.refresh_token)
                granted = await self._grants.refresh_token(request.refresh_token)
            case "client_credentials":
                name, secret = request.client_id, request.client_secret
                if not name:
                    name, secret = basic_credentials(_metadata(context, "authorization"))
                _require(client_id=name, client_secret=secret)
                granted = await self._grants.client_credentials(name, secret)
            case _:
                raise InvalidArgument(
                    "grant_type must be password, refresh_token or client_credentials", field="grant_type", reason="UNSUPPORTED_GRANT_TYPE"
                )
        return auth_pb2.Token(
            access_token=granted.access_token,
            token_type="Bearer",  # noqa: S106 a type, not a token
            expires_in=int(ACCESS_TOKEN_LIFETIME.total_seconds()),
            refresh_token=granted.refresh_token,
            scope=granted.role,
        )

    async def RevokeToken(self, request: auth_pb2.RevokeTokenRequest, context: Context) -> Empty:
        if token := RefreshToken.parse(request.token):
            await self._sign_ins.end(token)
        return Empty()

    async def ListSigningKeys(self, request: auth_pb2.ListSigningKeysRequest, context: Context) -> auth_pb2.ListSigningKeysResponse:
        return auth_pb2.ListSigningKeysResponse(keys=[web_key(key) for key in await self._keys.pair()])

    async def CreateUser(self, request: auth_pb2.CreateUserRequest, context: Context) -> auth_pb2.User:
        email = email_address(request.email)
        with self._passwords.turn():
            await self._attempts.count(sign_ups_from(self._client(context)))
            # Hashed before anybody knows whether the address is taken, so that the time does not tell.
            password_hash = await self._passwords.hash(request.password)
        user = await self._users.add(email, request.display_name, Role.CUSTOMER, password_hash)
        log.info("signed up", user_id=str(user.id))
        return _message(user)

    async def GetCurrentUser(self, request: auth_pb2.GetCurrentUserRequest, context: Context) -> auth_pb2.User:
        return _message(await self._current_user())

    async def UpdateCurrentUser(self, request: auth_pb2.UpdateCurrentUserRequest, context: Context) -> auth_pb2.User:
        caller = await self._current_user()
        email = email_address(request.email) if request.HasField("email") else None
        password_hash: str | None = None
        proved: User | None = None
        if request.HasField("email") or request.HasField("password"):
            proved = await self._credentials.check(caller.email, request.current_password, self._client(context))
            if proved is None:
                raise WrongPassword
        if request.HasField("password"):
            with self._passwords.turn():
                password_hash = await self._passwords.hash(request.password)

        def change(user: User) -> User:
            if user.disabled:
                raise CallerGone
            if proved and user.password_hash != proved.password_hash:
                raise WrongPassword
            return replace(
                user,
                display_name=request.display_name if request.HasField("display_name") else user.display_name,
                email=email or user.email,
                password_hash=password_hash or user.password_hash,
            )

        return _message(await self._users.change(caller.id, change, current_sign_in=_current_sign_in()))

    async def DeleteCurrentUser(self, request: auth_pb2.DeleteCurrentUserRequest, context: Context) -> Empty:
        user = await self._current_user()
        await self._users.delete(user.id)
        log.info("user deleted", user_id=str(user.id))
        return Empty()

    async def ListUsers(self, request: auth_pb2.ListUsersRequest, context: Context) -> auth_pb2.ListUsersResponse:
        await self._admin()
        size = page_size(request.page_size)
        users = await self._users.page(
            after=_after(self._page_tokens.read(request)),
            # One more than asked for tells whether there is another page.
            limit=size + 1,
            search=request.search,
            role=_ROLES.get(request.role),
        )
        answer = auth_pb2.ListUsersResponse(users=map(_message, users[:size]))
        if len(users) > size:
            last = users[size - 1]
            answer.next_page_token = self._page_tokens.write(request, (last.create_time, str(last.id)))
        return answer

    async def GetUser(self, request: auth_pb2.GetUserRequest, context: Context) -> auth_pb2.User:
        await self._admin()
        user = await self._users.get(UUID(request.id))
        if user is None:
            raise NotFound("user", request.id)
        return _message(user)

    async def UpdateUser(self, request: auth_pb2.UpdateUserRequest, context: Context) -> auth_pb2.User:
        admin = await self._admin()
        changes = _changes(request)

        def change(user: User) -> User:
            if request.user.etag not in ("", user.etag):
                raise Aborted("STALE_ETAG", "the user was changed since it was read; read it again")
            return replace(user, **changes)

        user = await self._users.change(UUID(request.user.id), change)
        log.info("user changed", user_id=str(user.id), fields=sorted(changes), admin_id=str(admin.id))
        return _message(user)

    async def _current_user(self) -> User:
        """The caller, as the user is now and not when the token was issued."""
        user = await self._users.get(UUID(identity.caller().subject))
        if user is None or user.disabled:
            raise CallerGone
        return user

    async def _admin(self) -> User:
        """The caller, who is an admin still: one whose rights were taken away must not get them back by an old token."""
        user = await self._current_user()
        if not user.administers:
            raise PermissionDenied("ROLE_NOT_ALLOWED", "the caller is no admin any more")
        return user

    def _client(self, context: Context) -> Client:
        return client_of(context.peer(), _metadata(context, "x-forwarded-for"), self._trusted_proxies)


class _Changes(TypedDict, total=False):
    display_name: str
    role: Role
    customer_number: str | None
    disabled: bool


_CHANGEABLE = ("display_name", "role", "customer_number", "disabled")
_ROLES = {auth_pb2.ROLE_CUSTOMER: Role.CUSTOMER, auth_pb2.ROLE_STAFF: Role.STAFF, auth_pb2.ROLE_ADMIN: Role.ADMIN}
_ROLE_NUMBERS = {role: number for number, role in _ROLES.items()}


def _changes(request: auth_pb2.UpdateUserRequest) -> _Changes:
    """What an admin wants changed."""
    wanted = request.user
    paths = set(request.update_mask.paths) or {field.name for field, _ in wanted.ListFields() if field.name in _CHANGEABLE}
    if "*" in paths:
        paths = paths - {"*"} | set(_CHANGEABLE)
    # REST names all keys of the body: the id and the etag say which user is meant, and are no change.
    if others := sorted(paths - {*_CHANGEABLE, "id", "etag"}):
        raise InvalidArgument(
            "the mask names what cannot be changed",
            violations=[FieldViolation("update_mask", f"'{path}' is no field that can be changed") for path in others],
        )
    changes: _Changes = {}
    if "display_name" in paths:
        changes["display_name"] = wanted.display_name
    if "role" in paths:
        if wanted.role not in _ROLES:
            raise InvalidArgument("a role must be stated", field="user.role")
        changes["role"] = _ROLES[wanted.role]
    if "customer_number" in paths:
        changes["customer_number"] = wanted.customer_number or None
    if "disabled" in paths:
        changes["disabled"] = wanted.disabled
    return changes


def _metadata(context: Context, wanted: str) -> str:
    """The value of a header; if it came several times, all of them with commas between."""
    return ",".join(str(value) for name, value in context.invocation_metadata() or () if name == wanted)


def _require(**parameters: str) -> None:
    """Refuses a grant that lacks any of its parameters."""
    if missing := [name for name, value in parameters.items() if not value]:
        raise InvalidArgument(
            f"the grant needs {' and '.join(missing)}", violations=[FieldViolation(name, "is required for this grant") for name in missing]
        )


def _after(place: Place | None) -> tuple[datetime, UUID] | None:
    if place is None:
        return None
    create_time, id = place
    assert isinstance(create_time, datetime) and isinstance(id, str)  # noqa: S101 as written below
    return create_time, UUID(id)


def _current_sign_in() -> UUID:
    token = identity.caller().token
    assert token  # noqa: S101 users prove themselves by nothing else
    return sign_in_id(token)


def _message(user: User) -> auth_pb2.User:
    return auth_pb2.User(
        id=str(user.id),
        email=user.email,
        display_name=user.display_name,
        role=_ROLE_NUMBERS[user.role],
        customer_number=user.customer_number or "",
        disabled=user.disabled,
        create_time=timestamp(user.create_time),
        update_time=timestamp(user.update_time),
        etag=user.etag,
    )
