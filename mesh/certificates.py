"""Issues the TLS certificates of the processes of an installation: `python -m mesh.certificates`."""

import argparse
import ipaddress
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NAMES = ("auth", "catalog", "recommender", "forecaster", "jobs", "gateway")

_LIFETIME = timedelta(days=825)
_RENEWAL = timedelta(days=30)

_AUTHORITY_EXTENSIONS: list[tuple[x509.ExtensionType, bool]] = [
    (x509.BasicConstraints(ca=True, path_length=0), True),
    (
        x509.KeyUsage(
            digital_signature=False,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=True,
            crl_sign=True,
            encipher_only=False,
            decipher_only=False,
        ),
        True,
    ),
]


def issue(folder: Path, *, renew: bool = False) -> None:
    """Issues what is missing or expires within a month: a certificate authority, and a key and a certificate for each process.

    The files are `ca.key`, `ca.crt`, `auth.key`, `auth.crt` and so on. Processes with older certificates accept the renewed ones, as long
    as the authority is the same.

    renew: issue the certificates of all processes anew, by the same authority
    """
    folder.mkdir(parents=True, exist_ok=True)
    if not _is_valid(folder / "ca.crt"):
        for old in folder.glob("*.crt"):
            old.unlink()
        key = _new_key(folder / "ca.key")
        authority = _certificate(_subject("HashiraMart"), key, _subject("HashiraMart"), key, _AUTHORITY_EXTENSIONS)
        (folder / "ca.crt").write_bytes(authority.public_bytes(Encoding.PEM))
    issuer = x509.load_pem_x509_certificate((folder / "ca.crt").read_bytes()).subject
    issuer_key = load_pem_private_key((folder / "ca.key").read_bytes(), password=None)
    if not isinstance(issuer_key, ec.EllipticCurvePrivateKey):
        raise TypeError(f"{folder / 'ca.key'} is not a key of an elliptic curve")
    for name in NAMES:
        if renew or not _is_valid(folder / f"{name}.crt"):
            certificate = _certificate(_subject(name), _new_key(folder / f"{name}.key"), issuer, issuer_key, _process_extensions(name))
            (folder / f"{name}.crt").write_bytes(certificate.public_bytes(Encoding.PEM))


def distribute(folder: Path, target_folder: Path) -> None:
    """Copies the key and certificate of each process, and the authority's certificate, to a folder of the process's name.

    The files there are `tls.key`, `tls.crt` and `ca.crt`, and each is replaced atomically.
    """
    for name in NAMES:
        place = target_folder / name
        place.mkdir(exist_ok=True)
        for source, target in ((f"{name}.key", "tls.key"), (f"{name}.crt", "tls.crt"), ("ca.crt", "ca.crt")):
            fresh = place / f".{target}"
            shutil.copy(folder / source, fresh)
            fresh.replace(place / target)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m mesh.certificates", description="Issues the certificates that are missing or expire within a month."
    )
    parser.add_argument("--folder", type=Path, default=Path(".local/certs"), help="the folder of the certificates and of all keys")
    parser.add_argument("--renew", action="store_true", help="issue all anew, by the same authority")
    parser.add_argument(
        "--hand-out", type=Path, metavar="FOLDER", help="copy the files of each process to a folder of its name in this folder"
    )
    arguments = parser.parse_args()
    issue(arguments.folder, renew=arguments.renew)
    if arguments.hand_out:
        distribute(arguments.folder, arguments.hand_out)


def _process_extensions(name: str) -> list[tuple[x509.ExtensionType, bool]]:
    """For a server with the name of the process, or on the loopback, and for a client."""
    addresses = [x509.IPAddress(ipaddress.ip_address(address)) for address in ("127.0.0.1", "::1")]
    names = x509.SubjectAlternativeName([x509.DNSName(name), x509.DNSName("localhost"), *addresses])
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    return [(x509.BasicConstraints(ca=False, path_length=None), True), (names, False), (usage, False)]


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _new_key(path: Path) -> ec.EllipticCurvePrivateKey:
    key = ec.generate_private_key(ec.SECP256R1())
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return key


def _certificate(
    subject: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    issuer: x509.Name,
    issuer_key: ec.EllipticCurvePrivateKey,
    extensions: list[tuple[x509.ExtensionType, bool]],
) -> x509.Certificate:
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(
        issuer, subject, key.public_key(), x509.random_serial_number(), now - timedelta(minutes=5), now + _LIFETIME
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(issuer_key, SHA256())


def _is_valid(path: Path) -> bool:
    return path.exists() and x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc > datetime.now(UTC) + _RENEWAL


if __name__ == "__main__":
    main()
