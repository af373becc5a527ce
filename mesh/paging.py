"""Page sizes and page tokens."""

import binascii
import hmac
import json
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime

from google.protobuf.message import Message

from mesh.errors import InvalidArgument

DEFAULT_PAGE_SIZE = 25
MAX_PAGE_SIZE = 100
LIFETIME_SECONDS = 24 * 60 * 60

# Where a page ends: the values of the columns that the list is ordered by.
Place = tuple[str | int | float | datetime | None, ...]


def page_size(requested: int, default: int = DEFAULT_PAGE_SIZE, maximum: int = MAX_PAGE_SIZE) -> int:
    """How many to answer: the default for 0, and never more than the maximum."""
    if requested < 0:
        raise InvalidArgument("page_size must not be negative", field="page_size")
    return min(requested or default, maximum)


class PageTokens:
    """Writes and reads the tokens of one service's lists, which share its secret.

    A token is opaque and authenticated, lives for a day or as long as is said, and fits only the list and the arguments that it was
    made for. Between pages, only `page_size` may change.
    """

    def __init__(self, secret: bytes, lifetime_seconds: int = LIFETIME_SECONDS) -> None:
        self._secret = secret
        self._lifetime_seconds = lifetime_seconds

    def write(self, request: Message, place: Place) -> str:
        """The token of the page after `place`, in the list that `request` asked for."""
        expiry = int(time.time()) + self._lifetime_seconds
        content = json.dumps([expiry, *map(_to_json, place)], separators=(",", ":")).encode()
        return urlsafe_b64encode(self._seal(request, content) + content).decode().rstrip("=")

    def read(self, request: Message) -> Place | None:
        """Where the page that `request` asks for begins: after this place, or at the start if it has no token."""
        token: str = getattr(request, "page_token")  # noqa: B009 every list request has one, which the type cannot say
        if not token:
            return None
        sealed = _decode(token)
        seal, content = sealed[:_SEAL_BYTES], sealed[_SEAL_BYTES:]
        if not hmac.compare_digest(seal, self._seal(request, content)):
            raise _invalid("page_token was altered, or belongs to another list or to other arguments")
        expiry, *place = json.loads(content)
        if expiry < time.time():
            raise _invalid("page_token has expired")
        return tuple(map(_from_json, place))

    def _seal(self, request: Message, content: bytes) -> bytes:
        arguments = type(request)()
        arguments.CopyFrom(request)
        arguments.ClearField("page_token")
        arguments.ClearField("page_size")
        name = request.DESCRIPTOR.full_name.encode()
        sealed = b"\0".join((name, content, arguments.SerializeToString(deterministic=True)))
        return hmac.digest(self._secret, sealed, "sha256")[:_SEAL_BYTES]


_SEAL_BYTES = 16


def _decode(token: str) -> bytes:
    try:
        sealed = urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except (binascii.Error, ValueError):
        raise _invalid("page_token is not one of ours") from None
    # Base64 reads several texts as the same bytes; only the one that was written is taken.
    if urlsafe_b64encode(sealed).decode().rstrip("=") != token:
        raise _invalid("page_token is not one of ours")
    return sealed


def _invalid(message: str) -> InvalidArgument:
    return InvalidArgument(message, field="page_token", reason="INVALID_PAGE_TOKEN")


def _to_json(value: str | float | datetime | None) -> object:
    return {"time": value.isoformat()} if isinstance(value, datetime) else value


def _from_json(value: str | float | dict[str, str] | None) -> str | int | float | datetime | None:
    return datetime.fromisoformat(value["time"]) if isinstance(value, dict) else value
