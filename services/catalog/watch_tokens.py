"""Watch tokens: how far somebody has watched the changes."""

import binascii
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode

from mesh.errors import InvalidArgument


class WatchTokens:
    """Writes and reads the tokens of one log of changes, by its secret."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def write(self, number: int) -> str:
        """The token of who has seen the changes up to this one."""
        content = number.to_bytes(_NUMBER_BYTES)
        return urlsafe_b64encode(content + self._seal(content)).decode()

    def read(self, token: str) -> int:
        """The last change that was seen. Raises `InvalidArgument` if the token is none of this log."""
        try:
            sealed = urlsafe_b64decode(token.encode())
        except binascii.Error:
            raise not_ours() from None
        content = sealed[:_NUMBER_BYTES]
        number = int.from_bytes(content)
        # Base64 reads several texts as the same bytes; only the one that was written is taken.
        if not hmac.compare_digest(self.write(number).encode(), token.encode()):
            raise not_ours()
        return number

    def _seal(self, content: bytes) -> bytes:
        return hmac.digest(self._secret, content, "sha256")[:_SEAL_BYTES]


def not_ours() -> InvalidArgument:
    """The token is not one of this log."""
    return InvalidArgument("token was altered, or belongs to another catalogue", field="token", reason="WATCH_TOKEN_INVALID")


# Together a multiple of three, which base64 does not pad.
_NUMBER_BYTES = 8
_SEAL_BYTES = 16
