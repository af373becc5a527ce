"""Users, tokens and keys as the contract's messages, and requests as the domain's changes."""

from collections.abc import Collection
from datetime import datetime
from typing import TypedDict
from uuid import UUID

from asyncpg import Record
from google.protobuf.timestamp_pb2 import Timestamp
from jwt.algorithms import ECAlgorithm

from hashiramart.auth.v1 import auth_pb2
from mesh.audit import AuditEvent
from mesh.errors import InvalidArgument
from mesh.field_masks import ALL, check_paths, masked_fields
from mesh.identity import Role
from mesh.timestamps import timestamp, to_datetime
from services.auth.domain import ACCESS_TOKEN_LIFETIME, ProfileUpdate, User
from services.auth.grants import IssuedTokens
from services.auth.keys import SigningKey

_ROLES = {auth_pb2.ROLE_CUSTOMER: Role.CUSTOMER, auth_pb2.ROLE_STAFF: Role.STAFF, auth_pb2.ROLE_ADMIN: Role.ADMIN}
_ROLE_NUMBERS = {role: number for number, role in _ROLES.items()}
_PROFILE_FIELDS = {"display_name", "email", "password"}


class UserChanges(TypedDict, total=False):
    """The fields of a user that an admin changes."""

    display_name: str
    role: Role
    customer_number: str | None
    disabled: bool


def user_message(user: User, second_factor_roles: Collection[Role]) -> auth_pb2.User:
    """second_factor_roles: those that require a second factor"""
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
        email_verified=user.verified_email == user.email,
        second_factor_enabled=user.has_second_factor,
        second_factor_missing=user.lacks_second_factor(second_factor_roles),
    )


def sign_in_message(row: Record, current: UUID) -> auth_pb2.SignIn:
    """current: the id of the sign-in that the call belongs to"""
    return auth_pb2.SignIn(
        id=str(row["id"]),
        create_time=timestamp(row["create_time"]),
        use_time=timestamp(row["use_time"]),
        expire_time=timestamp(row["expire_time"]),
        client_address=row["address"],
        user_agent=row["user_agent"],
        is_current=row["id"] == current,
    )


def audit_event_message(row: Record) -> auth_pb2.AuditEvent:
    """The event in a row of the table."""
    return auth_pb2.AuditEvent(**{**row, "id": str(row["id"]), "event_time": timestamp(row["event_time"])})


def audit_event(message: auth_pb2.AuditEvent) -> AuditEvent:
    """The event that a service reports. Raises `InvalidArgument` for a time that no event can have."""
    fields = {field.name: getattr(message, field.name) for field in message.DESCRIPTOR.fields}
    own = {"id": UUID(message.id), "event_time": _time("event_time", message.event_time), "is_refusal": False}
    return AuditEvent(**(fields | own))


def audit_filters(request: auth_pb2.ListAuditEventsRequest) -> dict[str, object]:
    """What the list is limited to, by column."""
    texts = {name: getattr(request, name) for name in ("subject", "resource", "rpc", "code") if getattr(request, name)}
    times = {name: _time(name, getattr(request, name)) for name in ("start_time", "end_time") if request.HasField(name)}
    return texts | times


def token_message(tokens: IssuedTokens) -> auth_pb2.Token:
    return auth_pb2.Token(
        access_token=tokens.access_token,
        token_type="Bearer",  # noqa: S106 a type, not a token
        expires_in=int(ACCESS_TOKEN_LIFETIME.total_seconds()),
        refresh_token=tokens.refresh_token,
        scope=tokens.role,
    )


def signing_key_message(key: SigningKey) -> auth_pb2.SigningKey:
    """The public key as a JSON Web Key (RFC 7517)."""
    return auth_pb2.SigningKey(kid=key.id, use="sig", alg="ES256", **ECAlgorithm.to_jwk(key.public, as_dict=True))


def role_filter(request: auth_pb2.ListUsersRequest) -> Role | None:
    """The role that the list is limited to, or None for all roles."""
    return _ROLES.get(request.role)


def profile_update(request: auth_pb2.UpdateCurrentUserRequest) -> ProfileUpdate:
    """The fields that the mask names, with their new values; without a mask, those that are set. Raises `InvalidArgument`."""
    check_paths(request.update_mask, _PROFILE_FIELDS)
    paths = set(request.update_mask.paths) or {field.name for field, _ in request.ListFields()}
    masked = _PROFILE_FIELDS if ALL in paths else paths & _PROFILE_FIELDS
    for name in ("email", "password"):
        if name in masked and not request.HasField(name):
            raise InvalidArgument("the new {field} is missing", field=name)
    return ProfileUpdate(
        display_name=request.display_name if "display_name" in masked else None,
        email=request.email if "email" in masked else None,
        password=request.password if "password" in masked else None,
        current_password=request.current_password,
    )


def user_changes(request: auth_pb2.UpdateUserRequest) -> UserChanges:
    """The fields that the mask names, with their new values; without a mask, those that are set. Raises `InvalidArgument`."""
    user, paths = request.user, masked_fields(request.user, request.update_mask)
    changes: UserChanges = {}
    if "display_name" in paths:
        changes["display_name"] = user.display_name
    if "role" in paths:
        if user.role not in _ROLES:
            raise InvalidArgument("the new role is missing", field="user.role")
        changes["role"] = _ROLES[user.role]
    if "customer_number" in paths:
        changes["customer_number"] = user.customer_number or None
    if "disabled" in paths:
        changes["disabled"] = user.disabled
    return changes


def _time(field: str, value: Timestamp) -> datetime:
    try:
        return to_datetime(value)
    except ValueError:
        raise InvalidArgument("{field} is not a time of the years 1 to 9999", field=field) from None
