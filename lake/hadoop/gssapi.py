"""The system's GSS-API library (MIT Kerberos, RFC 2744) as far as a client of web services needs it: a credential from a keytab, a token.

It is called by ctypes: Debian has the library wherever it has curl, while a package that binds to it needs a compiler on each machine.
"""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import POINTER, byref, c_char_p, c_int, c_size_t, c_uint32, c_void_p

LIBRARY = "libgssapi_krb5.so.2"
INITIATE = 1
COMPLETE, CONTINUE_NEEDED = 0, 1
MECHANISM_CODE = 2
INDEFINITE = 0xFFFFFFFF
# The object identifiers in DER, without their tag and length.
KERBEROS, SPNEGO = b"\x2a\x86\x48\x86\xf7\x12\x01\x02\x02", b"\x2b\x06\x01\x05\x05\x02"
HOST_BASED_SERVICE, PRINCIPAL = b"\x2a\x86\x48\x86\xf7\x12\x01\x02\x01\x04", b"\x2a\x86\x48\x86\xf7\x12\x01\x02\x02\x01"


class GssError(Exception):
    """A call has failed.

    code: the mechanism's own, signed, such as -1765328378 for a client that the KDC does not know
    """

    def __init__(self, code: int, message: str) -> None:
        self.code = code
        super().__init__(message)


class _Buffer(ctypes.Structure):
    _fields_ = (("length", c_size_t), ("value", c_void_p))


class _Oid(ctypes.Structure):
    _fields_ = (("length", c_uint32), ("elements", c_char_p))


class _OidSet(ctypes.Structure):
    _fields_ = (("count", c_size_t), ("elements", POINTER(_Oid)))


class _StoreElement(ctypes.Structure):
    _fields_ = (("key", c_char_p), ("value", c_char_p))


class _Store(ctypes.Structure):
    _fields_ = (("count", c_uint32), ("elements", POINTER(_StoreElement)))


class GssApi:
    """The library, loaded once for a process. Raises `OSError` if the machine does not have it."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(LIBRARY)

    def initial_token(self, principal: str, store: dict[str, str], service: str) -> bytes:
        """The first token of a SPNEGO exchange with a service. Raises `GssError`.

        principal: who signs in
        store: the names of the keytab and of the cache of tickets, in the words of `gss_acquire_cred_from`. A ticket that the cache does
            not have, or that is about to expire, is got by the keytab.
        service: as in `HTTP@namenode.example.com`
        """
        # The ticket is got for Kerberos itself first, as SPNEGO's own errors hide which it was.
        with (
            self._credential(principal, store, KERBEROS),
            self._credential(principal, store, SPNEGO) as credential,
            self._name(service, HOST_BASED_SERVICE) as target,
        ):
            spnego, minor, context, token = _oid(SPNEGO), c_uint32(), c_void_p(), _Buffer()
            major = self._library.gss_init_sec_context(
                *(byref(minor), credential, byref(context), target, byref(spnego), c_uint32(), c_uint32()),
                *(None, None, None, byref(token), None, None),
            )
            try:
                self._check(major, minor, spnego)
                return ctypes.string_at(token.value, token.length) if token.value else b""
            finally:
                self._library.gss_release_buffer(byref(c_uint32()), byref(token))
                self._library.gss_delete_sec_context(byref(c_uint32()), byref(context), None)

    @contextmanager
    def _credential(self, principal: str, store: dict[str, str], elements: bytes) -> Iterator[c_void_p]:
        places = (_StoreElement * len(store))(*(_StoreElement(key.encode(), value.encode()) for key, value in store.items()))
        mechanism, minor, credential = _oid(elements), c_uint32(), c_void_p()
        mechanisms = _OidSet(1, ctypes.pointer(mechanism))
        with self._name(principal, PRINCIPAL) as name:
            major = self._library.gss_acquire_cred_from(
                *(byref(minor), name, c_uint32(INDEFINITE), byref(mechanisms), c_int(INITIATE)),
                *(byref(_Store(len(store), places)), byref(credential), None, None),
            )
        try:
            self._check(major, minor, mechanism)
            # The ticket is got no later than here.
            self._check(self._library.gss_inquire_cred(byref(minor), credential, None, None, None, None), minor, mechanism)
            yield credential
        finally:
            self._library.gss_release_cred(byref(c_uint32()), byref(credential))

    @contextmanager
    def _name(self, text: str, kind: bytes) -> Iterator[c_void_p]:
        content, oid, minor, name = text.encode(), _oid(kind), c_uint32(), c_void_p()
        buffer = _Buffer(len(content), ctypes.cast(c_char_p(content), c_void_p))
        try:
            self._check(self._library.gss_import_name(byref(minor), byref(buffer), byref(oid), byref(name)), minor, oid)
            yield name
        finally:
            self._library.gss_release_name(byref(c_uint32()), byref(name))

    def _check(self, major: int, minor: c_uint32, mechanism: _Oid) -> None:
        """Raises `GssError` unless a call has succeeded."""
        if major & 0xFFFFFFFF in (COMPLETE, CONTINUE_NEEDED):
            return
        text, more = _Buffer(), c_uint32()
        self._library.gss_display_status(*(byref(c_uint32()), minor, c_int(MECHANISM_CODE), byref(mechanism), byref(more), byref(text)))
        message = ctypes.string_at(text.value, text.length).decode(errors="replace") if text.value else f"error {major:#x}"
        self._library.gss_release_buffer(byref(c_uint32()), byref(text))
        raise GssError(c_int(minor.value).value, message)


def _oid(elements: bytes) -> _Oid:
    return _Oid(len(elements), elements)
