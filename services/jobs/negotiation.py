"""Signs in to the REST APIs of HDFS and YARN by Kerberos. Over HTTPS, the authorities are those of SSL_CERT_FILE."""

import asyncio
from collections.abc import AsyncGenerator

import httpx

from lake.hadoop.kerberos import KerberosError, KerberosLogin
from services.jobs.errors import EngineUnavailable


class Negotiate(httpx.Auth):
    """Signs in with every request, so that none has to be sent twice."""

    def __init__(self, login: KerberosLogin) -> None:
        self._login = login

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Raises `KerberosError`."""
        # A KDC that does not answer holds up only this request.
        request.headers["Authorization"] = await asyncio.to_thread(self._login.authorization, request.url.host)
        yield request


def engine_error(engine: str, error: httpx.HTTPError | KerberosError) -> EngineUnavailable:
    """What an operator has to know of a failed request."""
    match error:
        case KerberosError():
            return EngineUnavailable(f"{engine} cannot be signed in to: {error}")
        case httpx.HTTPStatusError(response=response) if response.status_code == httpx.codes.UNAUTHORIZED:
            return EngineUnavailable(f"{engine} wants a sign-in by Kerberos, or refuses this one: see KERBEROS_PRINCIPAL")
        case httpx.HTTPStatusError(response=response) if response.status_code == httpx.codes.FORBIDDEN:
            return EngineUnavailable(f"{engine} denies access")
        case _:
            return EngineUnavailable(f"{engine} cannot be reached")
