"""Watch tokens: how far a watcher has read the log of changes."""

import binascii
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode

from mesh.errors import InvalidArgument

# Together a multiple of three, which base64 does not pad.
_NUMBER_BYTES = 8
_SEAL_BYTES = 16


class WatchTokens:
    """Writes and reads the tokens of one log of changes, authenticated by its secret."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def write(self, number: int) -> str:
        """The token of a watcher who has read the changes up to this one."""
        content = number.to_bytes(_NUMBER_BYTES)
        return urlsafe_b64encode(content + self._seal(content)).decode()

    def read(self, token: str) -> int:
        """The number of the last change that was read. Raises `InvalidArgument` if the token is not from this log."""
        try:
            sealed = urlsafe_b64decode(token.encode())
        except binascii.Error:
            raise invalid_token() from None
        number = int.from_bytes(sealed[:_NUMBER_BYTES])
        # Several texts decode to the same bytes in base64; only the one that was written is accepted.
        if not hmac.compare_digest(self.write(number).encode(), token.encode()):
            raise invalid_token()
        return number

    def _seal(self, content: bytes) -> bytes:
        return hmac.digest(self._secret, content, "sha256")[:_SEAL_BYTES]


def invalid_token() -> InvalidArgument:
    return InvalidArgument("token was altered, or belongs to another catalogue", field="token", reason="WATCH_TOKEN_INVALID")
