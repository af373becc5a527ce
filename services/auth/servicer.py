"""The RPCs of the auth service."""

from collections.abc import Collection
from contextlib import suppress
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
from mesh.field_masks import check_fixed_fields
from mesh.idempotency import idempotent_request
from mesh.identity import Role
from mesh.paging import PageTokens, Place, page_size
from mesh.timestamps import timestamp
from services.auth.accounts import Accounts
from services.auth.client_addresses import ClientAddresses
from services.auth.domain import MAX_USER_AGENT, RECENT_SIGN_IN, CallerGone, Client, SignInNotRecent, User
from services.auth.grants import Grants, basic_credentials
from services.auth.keys import SigningKeys
from services.auth.messages import (
    audit_event,
    audit_event_message,
    audit_filters,
    profile_update,
    role_filter,
    sign_in_message,
    signing_key_message,
    token_message,
    user_changes,
    user_message,
)
from services.auth.recovery import Recovery
from services.auth.repository.audit_events import AuditEventRepository
from services.auth.repository.revocations import RevocationRepository
from services.auth.repository.sign_ins import SignInRepository
from services.auth.repository.users import UserRepository
from services.auth.second_factors import SecondFactors
from services.auth.tokens import sign_in_id
from services.auth.visitors import Visitors

_log = structlog.get_logger(__name__)

Context = grpc.aio.ServicerContext[Message, Message]


class AuthServicer(auth_pb2_grpc.AuthServiceServicer):
    """Signs users and services in, and manages users."""

    def __init__(
        self,
        grants: Grants,
        visitors: Visitors,
        accounts: Accounts,
        users: UserRepository,
        sign_ins: SignInRepository,
        recovery: Recovery,
        second_factors: SecondFactors,
        second_factor_roles: Collection[Role],
        keys: SigningKeys,
        page_tokens: PageTokens,
        trusted_proxies: Networks,
        secret: bytes,
        audit_events: AuditEventRepository,
        revocations: RevocationRepository,
    ) -> None:
        """
        second_factor_roles: those that require a second factor
        secret: with which requests are digested, as some have passwords
        """
        self._grants = grants
        self._visitors = visitors
        self._accounts = accounts
        self._users = users
        self._sign_ins = sign_ins
        self._recovery = recovery
        self._second_factors = second_factors
        self._second_factor_roles = second_factor_roles
        self._keys = keys
        self._page_tokens = page_tokens
        self._trusted_proxies = trusted_proxies
        self._client_addresses = ClientAddresses()
        self._secret = secret
        self._audit_events = audit_events
        self._revocations = revocations

    async def IssueToken(self, request: auth_pb2.IssueTokenRequest, context: Context) -> auth_pb2.Token:
        match request.grant_type:
            case "password":
                _require(username=request.username, password=request.password)
                client = Client(self._client_address(context), _user_agent(context))
                visitor_id = self._visitors.visitor_id(request.visitor_token)
                tokens = await self._grants.exchange_password(request.username, request.password, request.one_time_code, client)
                if tokens.user:
                    await self._visitors.hand_over(visitor_id, tokens.user.id, tokens.user.customer_number)
                return token_message(tokens)
            case "anonymous":
                return token_message(await self._visitors.admit(self._client_address(context)))
            case "refresh_token":
                _require(refresh_token=request.refresh_token)
                visitor = await self._visitors.renew(request.refresh_token)
                return token_message(visitor or await self._grants.exchange_refresh_token(request.refresh_token))
            case "client_credentials":
                name, secret = request.client_id, request.client_secret
                if not name:
                    name, secret = basic_credentials(_header(context, "authorization"))
                _require(client_id=name, client_secret=secret)
                return token_message(await self._grants.exchange_client_credentials(name, secret))
        raise InvalidArgument(
            "grant_type must be password, refresh_token, client_credentials or anonymous",
            field="grant_type",
            reason="UNSUPPORTED_GRANT_TYPE",
        )

    async def RevokeToken(self, request: auth_pb2.RevokeTokenRequest, context: Context) -> Empty:
        await self._grants.revoke(request.token)
        return Empty()

    async def ListSigningKeys(self, request: auth_pb2.ListSigningKeysRequest, context: Context) -> auth_pb2.ListSigningKeysResponse:
        return auth_pb2.ListSigningKeysResponse(keys=map(signing_key_message, await self._keys.pair()))

    async def CreateUser(self, request: auth_pb2.CreateUserRequest, context: Context) -> auth_pb2.User:
        address, repeatable = self._client_address(context), idempotent_request(request, self._secret)
        visitor_id = self._visitors.visitor_id(request.visitor_token)
        user = await self._accounts.sign_up(request.email, request.password, request.display_name, address, repeatable)
        await self._visitors.hand_over(visitor_id, user.id, user.customer_number)
        _log.info("signed up", user_id=str(user.id))
        return self._message(user)

    async def GetCurrentUser(self, request: auth_pb2.GetCurrentUserRequest, context: Context) -> auth_pb2.User:
        return self._message(await self._current_user())

    async def UpdateCurrentUser(self, request: auth_pb2.UpdateCurrentUserRequest, context: Context) -> auth_pb2.User:
        user = await self._current_user()
        address, repeatable = self._client_address(context), idempotent_request(request, self._secret)
        return self._message(await self._accounts.update(user, profile_update(request), address, _current_sign_in(), repeatable))

    async def DeleteCurrentUser(self, request: auth_pb2.DeleteCurrentUserRequest, context: Context) -> Empty:
        user = await self._users.get(UUID(identity.caller().subject))
        if user and user.disabled:
            raise CallerGone
        if user and not await self._sign_ins.is_recent(_current_sign_in(), RECENT_SIGN_IN):
            raise SignInNotRecent
        # A token outlives its user: a repeated call finds nobody to delete.
        with suppress(NotFound):
            if user:
                await self._users.delete(user.id)
                _log.info("user deleted", user_id=str(user.id))
        return Empty()

    async def RequestPasswordReset(self, request: auth_pb2.RequestPasswordResetRequest, context: Context) -> Empty:
        await self._recovery.request_reset(request.email, self._client_address(context))
        return Empty()

    async def ResetPassword(self, request: auth_pb2.ResetPasswordRequest, context: Context) -> Empty:
        await self._recovery.reset(request.token, request.password, self._client_address(context))
        return Empty()

    async def RequestEmailVerification(self, request: auth_pb2.RequestEmailVerificationRequest, context: Context) -> Empty:
        await self._recovery.request_verification(await self._current_user())
        return Empty()

    async def VerifyEmail(self, request: auth_pb2.VerifyEmailRequest, context: Context) -> Empty:
        await self._recovery.verify(request.token)
        return Empty()

    async def ResetUserPassword(self, request: auth_pb2.ResetUserPasswordRequest, context: Context) -> Empty:
        await self._current_admin()
        await self._recovery.reset_user(UUID(request.id))
        return Empty()

    async def EnrollSecondFactor(self, request: auth_pb2.EnrollSecondFactorRequest, context: Context) -> auth_pb2.SecondFactorEnrollment:
        user = await self._current_user()
        enrollment = await self._second_factors.enroll(user, request.current_password, self._client_address(context))
        return auth_pb2.SecondFactorEnrollment(otpauth_uri=enrollment.otpauth_uri, secret=enrollment.secret)

    async def ConfirmSecondFactor(
        self, request: auth_pb2.ConfirmSecondFactorRequest, context: Context
    ) -> auth_pb2.ConfirmSecondFactorResponse:
        codes = await self._second_factors.confirm(await self._current_user(), request.one_time_code, _current_sign_in())
        return auth_pb2.ConfirmSecondFactorResponse(recovery_codes=codes)

    async def DisableSecondFactor(self, request: auth_pb2.DisableSecondFactorRequest, context: Context) -> Empty:
        user, address = await self._current_user(), self._client_address(context)
        await self._second_factors.disable(user, request.current_password, request.one_time_code, address, _current_sign_in())
        return Empty()

    async def ResetUserSecondFactor(self, request: auth_pb2.ResetUserSecondFactorRequest, context: Context) -> Empty:
        admin = await self._current_admin()
        await self._second_factors.reset(UUID(request.id))
        _log.info("second factor reset", user_id=request.id, admin_id=str(admin.id))
        return Empty()

    async def ListSignIns(self, request: auth_pb2.ListSignInsRequest, context: Context) -> auth_pb2.ListSignInsResponse:
        user, size = await self._current_user(), page_size(request.page_size)
        found = await self._sign_ins.page(user.id, _after(self._page_tokens.read(request)), size + 1)
        current = _current_sign_in()
        response = auth_pb2.ListSignInsResponse(sign_ins=[sign_in_message(row, current) for row in found[:size]])
        if len(found) > size:
            last = found[size - 1]
            response.next_page_token = self._page_tokens.write(request, (last["create_time"], str(last["id"])))
        return response

    async def EndSignIn(self, request: auth_pb2.EndSignInRequest, context: Context) -> Empty:
        await self._sign_ins.end_own((await self._current_user()).id, UUID(request.id))
        return Empty()

    async def ListUsers(self, request: auth_pb2.ListUsersRequest, context: Context) -> auth_pb2.ListUsersResponse:
        await self._current_admin()
        size = page_size(request.page_size)
        after = _after(self._page_tokens.read(request))
        # One more than asked for shows whether another page follows.
        users = await self._users.page(after, size + 1, request.search, role_filter(request))
        response = auth_pb2.ListUsersResponse(users=map(self._message, users[:size]))
        if len(users) > size:
            last = users[size - 1]
            response.next_page_token = self._page_tokens.write(request, (last.create_time, str(last.id)))
        return response

    async def GetUser(self, request: auth_pb2.GetUserRequest, context: Context) -> auth_pb2.User:
        await self._current_admin()
        user = await self._users.get(UUID(request.id))
        if user is None:
            raise NotFound("user", request.id)
        return self._message(user)

    async def UpdateUser(self, request: auth_pb2.UpdateUserRequest, context: Context) -> auth_pb2.User:
        admin = await self._current_admin()
        changes = user_changes(request)

        def apply(user: User) -> User:
            if request.user.etag not in ("", user.etag):
                raise Aborted("STALE_ETAG", "user '{id}' was changed since it was read; read it again", id=user.id)
            check_fixed_fields("user", request.user, request.update_mask, self._message(user))
            return replace(user, **changes)

        user = await self._users.update(UUID(request.user.id), apply, idempotent_request(request, self._secret))
        _log.info("user changed", user_id=str(user.id), fields=sorted(changes), admin_id=str(admin.id))
        return self._message(user)

    async def ListAuditEvents(self, request: auth_pb2.ListAuditEventsRequest, context: Context) -> auth_pb2.ListAuditEventsResponse:
        await self._current_admin()
        size = page_size(request.page_size)
        events = await self._audit_events.page(_after(self._page_tokens.read(request)), size + 1, audit_filters(request))
        response = auth_pb2.ListAuditEventsResponse(events=map(audit_event_message, events[:size]))
        if len(events) > size:
            last = events[size - 1]
            response.next_page_token = self._page_tokens.write(request, (last["event_time"], str(last["id"])))
        return response

    async def GetRevocations(self, request: auth_pb2.GetRevocationsRequest, context: Context) -> auth_pb2.Revocations:
        response = auth_pb2.Revocations()
        for subject, time in await self._revocations.list():
            response.revocations.add(subject=subject, not_before_time=timestamp(time))
        return response

    async def RecordAuditEvents(self, request: auth_pb2.RecordAuditEventsRequest, context: Context) -> Empty:
        service = identity.caller().subject
        if others := [event.rpc for event in request.events if not event.rpc.startswith(f"hashiramart.{service}.")]:
            raise PermissionDenied("ROLE_NOT_ALLOWED", "{service} may not record events of {rpc}", service=service, rpc=others[0])
        await self._audit_events.record([audit_event(event) for event in request.events])
        return Empty()

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

    def _message(self, user: User) -> auth_pb2.User:
        return user_message(user, self._second_factor_roles)

    def _client_address(self, context: Context) -> ClientAddress:
        address = nearest_untrusted(peer_address(context.peer()), _header(context, "x-forwarded-for"), self._trusted_proxies)
        self._client_addresses.note(address)
        return address


def _header(context: Context, name: str) -> str:
    """The value of a header; if there are several, all of them, separated by commas."""
    return ",".join(str(value) for key, value in context.invocation_metadata() or () if key == name)


def _user_agent(context: Context) -> str:
    """The program that calls, as it calls itself; behind the gateway, the one that calls the gateway."""
    return (_header(context, "grpcgateway-user-agent") or _header(context, "user-agent"))[:MAX_USER_AGENT]


def _require(**parameters: str) -> None:
    """Raises `InvalidArgument` if any parameter of the grant is empty."""
    if missing := [name for name, value in parameters.items() if not value]:
        raise InvalidArgument(
            "the grant needs {missing}",
            violations=[FieldViolation(name, "is required for this grant") for name in missing],
            missing=" and ".join(missing),
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
