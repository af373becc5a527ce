"""The TLS credentials of servers and channels. Plaintext is for the loopback, unless the settings allow it."""

import ipaddress
import ssl

import grpc

from mesh.settings import MeshSettings


def server_credentials(settings: MeshSettings, listen: str) -> grpc.ServerCredentials | None:
    """The credentials of a server at this address; None for plaintext. Raises `ValueError` where plaintext is not allowed."""
    if settings.tls_certificate is None or settings.tls_key is None:
        _check_plaintext(settings, listen)
        return None
    pair = (settings.tls_key.read_bytes(), settings.tls_certificate.read_bytes())
    required = settings.tls_require_client and settings.tls_ca is not None
    return grpc.ssl_server_credentials([pair], _authority(settings), required)


def channel_credentials(settings: MeshSettings, target: str) -> grpc.ChannelCredentials | None:
    """The credentials for calls to this address; None for plaintext. Raises `ValueError` where plaintext is not allowed."""
    if settings.tls_ca is None:
        _check_plaintext(settings, target)
        return None
    if settings.tls_certificate is None or settings.tls_key is None:
        return grpc.ssl_channel_credentials(_authority(settings))
    return grpc.ssl_channel_credentials(_authority(settings), settings.tls_key.read_bytes(), settings.tls_certificate.read_bytes())


def server_context(settings: MeshSettings, listen: str) -> ssl.SSLContext | None:
    """The TLS of a native server at this address; None for plaintext. Raises `ValueError` where plaintext is not allowed."""
    if settings.tls_certificate is None or settings.tls_key is None:
        _check_plaintext(settings, listen)
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=settings.tls_ca)
    context.load_cert_chain(settings.tls_certificate, settings.tls_key)
    context.set_alpn_protocols(["h2"])
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if settings.tls_require_client and settings.tls_ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_context(settings: MeshSettings, target: str) -> ssl.SSLContext | None:
    """The TLS of native calls to this address; None for plaintext. Raises `ValueError` where plaintext is not allowed."""
    if settings.tls_ca is None:
        _check_plaintext(settings, target)
        return None
    context = ssl.create_default_context(cafile=settings.tls_ca)
    if settings.tls_certificate is not None and settings.tls_key is not None:
        context.load_cert_chain(settings.tls_certificate, settings.tls_key)
    context.set_alpn_protocols(["h2"])
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _authority(settings: MeshSettings) -> bytes | None:
    return settings.tls_ca.read_bytes() if settings.tls_ca else None


def _check_plaintext(settings: MeshSettings, address: str) -> None:
    if not settings.plaintext_allowed and not _is_loopback(address):
        raise ValueError(
            f"{address} is not on the loopback: set MESH_TLS_CERTIFICATE, MESH_TLS_KEY and MESH_TLS_CA, or MESH_PLAINTEXT_ALLOWED"
        )


def _is_loopback(address: str) -> bool:
    scheme, _, rest = address.partition(":")
    if scheme == "unix":
        return True
    # gRPC's address syntax: `dns:///host:port`, `ipv4:host:port,host:port`, `ipv6:[host]:port`.
    addresses = rest.removeprefix("///") if scheme in ("dns", "ipv4", "ipv6") else address
    return all(_is_loopback_host(each.rpartition(":")[0].strip("[]")) for each in addresses.split(","))


def _is_loopback_host(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
