"""A client of HashiraMart's services.

`open_channel` and `Session` are for threads, those of `hashiramart_client.aio` for asyncio. Messages and stubs are in the packages
`hashiramart.<service>.v1`.
"""

from hashiramart_client.channel import Tls, open_channel
from hashiramart_client.errors import CallError, call_error
from hashiramart_client.grants import password_grant, service_grant
from hashiramart_client.session import Session

__all__ = [
    "CallError",
    "Session",
    "Tls",
    "call_error",
    "open_channel",
    "password_grant",
    "service_grant",
]
