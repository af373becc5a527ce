"""Signs in to the web services of a Hadoop cluster by Kerberos: SPNEGO (RFC 4559) with a keytab."""

from __future__ import annotations

import base64
from functools import cache
from pathlib import Path
from typing import NamedTuple

from pydantic import Field, FilePath, ValidationInfo, field_validator
from pydantic_settings import BaseSettings

from lake.errors import LakeError
from lake.hadoop.gssapi import GssApi, GssError

# Of MIT Kerberos, as its `krb5.h` numbers them, with the reason and what an operator should look at.
_KEYTAB, _PRINCIPAL, _CLOCK, _KDC = "KERBEROS_KEYTAB", "KERBEROS_PRINCIPAL", "KERBEROS_CLOCK", "KERBEROS_KDC"
_FAULTS = {
    -1765328378: (_PRINCIPAL, "the KDC does not know the principal"),
    -1765328383: (_PRINCIPAL, "the principal has expired"),
    -1765328361: (_PRINCIPAL, "the principal's key has expired"),
    -1765328366: (_PRINCIPAL, "the principal is locked or expired"),
    -1765328347: (_CLOCK, "the clock of this machine and that of the KDC are too far apart"),
    -1765328228: (_KDC, "no KDC of the realm can be reached"),
    -1765328230: (_KDC, "the realm is not in krb5.conf, or names no KDC"),
    -1765328164: (_KDC, "the KDC's host name cannot be resolved"),
    -1765328360: (_KEYTAB, "the KDC refuses the key in the keytab: it may be from before the last change of the password"),
    -1765328353: (_KEYTAB, "the keytab's key does not decrypt the KDC's answer: it may be from before the last change of the password"),
    # Of the cache of tickets, which nothing fills then.
    -1765328189: (_KEYTAB, "the keytab has no key of the principal, or cannot be read"),
    -1765328370: (_KEYTAB, "the KDC takes no kind of key that the keytab has"),
}


class KerberosError(LakeError):
    """Kerberos signs nobody in.

    reason: KERBEROS_KEYTAB, KERBEROS_PRINCIPAL, KERBEROS_CLOCK, KERBEROS_KDC or KERBEROS_FAILED: where to look
    """

    def __init__(self, reason: str, message: str) -> None:
        self.reason = reason
        super().__init__(f"{message} ({reason})")


class KerberosLogin(NamedTuple):
    """Who signs in, and by what."""

    principal: str
    keytab: Path
    config: Path | None = None
    """The krb5.conf, if it is not the system's."""
    cache: Path | None = None
    """Where tickets are kept for other programs; without it they are in the memory of the process."""

    def authorization(self, host: str) -> str:
        """The value of the header `Authorization` for a web service of this host. Raises `KerberosError`.

        A ticket is used for half of its life, and then got anew.
        """
        store = {"client_keytab": f"FILE:{self.keytab}", "ccache": f"FILE:{self.cache}" if self.cache else f"MEMORY:{self.principal}"}
        try:
            token = _library().initial_token(self.principal, store, f"HTTP@{host}")
        except GssError as error:
            reason, fault = _FAULTS.get(error.code, ("KERBEROS_FAILED", f"{host} cannot be signed in to"))
            raise KerberosError(reason, f"Kerberos, {self.principal} by {self.keytab}: {fault}: {error}") from error
        return f"Negotiate {base64.b64encode(token).decode()}"

    @property
    def java_environment(self) -> dict[str, str]:
        """The variables by which programs of Hadoop and Spark sign in. `spark-submit` gets the tokens of an application by the cache."""
        # Java does not know MIT's variable for another krb5.conf.
        options = {"JAVA_TOOL_OPTIONS": f"-Djava.security.krb5.conf={self.config}"} if self.config else {}
        tickets = {"KRB5CCNAME": str(self.cache)} if self.cache else {}
        return {"KRB5PRINCIPAL": self.principal, "KRB5KEYTAB": str(self.keytab), **options, **tickets}


class KerberosSettings(BaseSettings, env_prefix="KERBEROS_", frozen=True, env_ignore_empty=True, use_attribute_docstrings=True):
    """How to sign in to a secured HDFS and YARN, read from the environment as `KERBEROS_...`."""

    principal: str | None = None
    """The principal that owns the raw zone and submits applications, such as `hashiramart@EXAMPLE.COM`. Without one, nobody signs in."""
    keytab: FilePath | None = Field(None, validate_default=True)
    """The file with the key of the principal. Applications on the cluster get tokens for HDFS, never this key."""

    config: FilePath | None = Field(None, validation_alias="KRB5_CONFIG")
    """The file that names realms and KDCs, in place of `/etc/krb5.conf`."""

    @field_validator("keytab")
    @classmethod
    def _belongs_to_a_principal(cls, keytab: Path | None, info: ValidationInfo) -> Path | None:
        if (keytab is None) != (info.data.get("principal") is None):
            raise ValueError("KERBEROS_PRINCIPAL and KERBEROS_KEYTAB are set together, or not at all")
        return keytab

    @property
    def login(self) -> KerberosLogin | None:
        return KerberosLogin(self.principal, self.keytab, self.config) if self.principal and self.keytab else None


@cache
def _library() -> GssApi:
    try:
        return GssApi()
    except OSError as error:
        raise KerberosError("KERBEROS_FAILED", f"Debian's package libgssapi-krb5-2 is not installed: {error}") from error
