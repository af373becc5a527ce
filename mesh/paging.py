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

_SIGNATURE_BYTES = 16

# Where a page ends: the values of the columns that the list is ordered by.
Place = tuple[str | int | float | datetime | None, ...]


def page_size(requested: int, default: int = DEFAULT_PAGE_SIZE, maximum: int = MAX_PAGE_SIZE) -> int:
    """The page size to use: the default for 0, and never more than the maximum."""
    if requested < 0:
        raise InvalidArgument("page_size must not be negative", field="page_size")
    return min(requested or default, maximum)


class PageTokens:
    """Writes and reads the page tokens of a service's lists.

    A token is opaque and signed (HMAC-SHA256), expires, and is valid only for the list and the arguments that it was made for. Between
    pages, only `page_size` may change.

    secret: the same for all replicas of the service
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def write(self, request: Message, place: Place) -> str:
        """The token of the page after `place` in the list that `request` asks for."""
        expiry = int(time.time()) + LIFETIME_SECONDS
        content = json.dumps([expiry, *map(_to_json, place)], separators=(",", ":")).encode()
        return urlsafe_b64encode(self._signature(request, content) + content).decode().rstrip("=")

    def read(self, request: Message) -> Place | None:
        """The place after which the page that `request` asks for begins; None for the first page. Raises `InvalidArgument`."""
        token: str = getattr(request, "page_token")  # noqa: B009 every list request has one, which `Message` does not say
        if not token:
            return None
        signed = _decode(token)
        signature, content = signed[:_SIGNATURE_BYTES], signed[_SIGNATURE_BYTES:]
        if not hmac.compare_digest(signature, self._signature(request, content)):
            raise _invalid("page_token was altered, or belongs to another list or to other arguments")
        expiry, *place = json.loads(content)
        if expiry < time.time():
            raise _invalid("page_token has expired")
        return tuple(map(_from_json, place))

    def _signature(self, request: Message, content: bytes) -> bytes:
        arguments = type(request)()
        arguments.CopyFrom(request)
        arguments.ClearField("page_token")
        arguments.ClearField("page_size")
        name = request.DESCRIPTOR.full_name.encode()
        signed = b"\0".join((name, content, arguments.SerializeToString(deterministic=True)))
        return hmac.digest(self._secret, signed, "sha256")[:_SIGNATURE_BYTES]


def _decode(token: str) -> bytes:
    try:
        signed = urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except (binascii.Error, ValueError):
        raise _invalid("page_token is not one of ours") from None
    # Base64 decodes several texts to the same bytes; only the one that was written is valid.
    if urlsafe_b64encode(signed).decode().rstrip("=") != token:
        raise _invalid("page_token is not one of ours")
    return signed


def _invalid(message: str) -> InvalidArgument:
    return InvalidArgument(message, field="page_token", reason="INVALID_PAGE_TOKEN")


def _to_json(value: str | float | datetime | None) -> object:
    return {"time": value.isoformat()} if isinstance(value, datetime) else value


def _from_json(value: str | float | dict[str, str] | None) -> str | int | float | datetime | None:
    return datetime.fromisoformat(value["time"]) if isinstance(value, dict) else value
