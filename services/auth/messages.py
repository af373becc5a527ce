"""Users, tokens and keys as the contract's messages, and requests as the domain's changes."""

from typing import TypedDict

from jwt.algorithms import ECAlgorithm

from hashiramart.auth.v1 import auth_pb2
from mesh.errors import FieldViolation, InvalidArgument
from mesh.identity import Role
from mesh.timestamps import timestamp
from services.auth.domain import ACCESS_TOKEN_LIFETIME, ProfileUpdate, User
from services.auth.grants import IssuedTokens
from services.auth.keys import SigningKey

_ROLES = {auth_pb2.ROLE_CUSTOMER: Role.CUSTOMER, auth_pb2.ROLE_STAFF: Role.STAFF, auth_pb2.ROLE_ADMIN: Role.ADMIN}
_ROLE_NUMBERS = {role: number for number, role in _ROLES.items()}
_EDITABLE_FIELDS = ("display_name", "role", "customer_number", "disabled")
# REST puts every key of the body into the mask. These two identify the user and the version, and are not changed.
_IDENTIFYING_FIELDS = ("id", "etag")


class UserChanges(TypedDict, total=False):
    """The fields of a user that an admin changes."""

    display_name: str
    role: Role
    customer_number: str | None
    disabled: bool


def user_message(user: User) -> auth_pb2.User:
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
    return ProfileUpdate(
        display_name=request.display_name if request.HasField("display_name") else None,
        email=request.email if request.HasField("email") else None,
        password=request.password if request.HasField("password") else None,
        current_password=request.current_password,
    )


def user_changes(request: auth_pb2.UpdateUserRequest) -> UserChanges:
    """The fields that the mask names, with their new values; without a mask, those that are set. Raises `InvalidArgument`."""
    user, paths = request.user, _mask(request)
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


def _mask(request: auth_pb2.UpdateUserRequest) -> set[str]:
    paths = set(request.update_mask.paths) or {field.name for field, _ in request.user.ListFields() if field.name in _EDITABLE_FIELDS}
    if "*" in paths:
        paths = paths - {"*"} | set(_EDITABLE_FIELDS)
    if others := sorted(paths - {*_EDITABLE_FIELDS, *_IDENTIFYING_FIELDS}):
        raise InvalidArgument(
            "update_mask names fields that cannot be changed",
            violations=[FieldViolation("update_mask", f"'{path}' is not a field that can be changed") for path in others],
        )
    return paths
