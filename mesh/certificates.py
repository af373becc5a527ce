"""Makes the certificates by which the processes of one installation know each other: `python -m mesh.certificates --help` says how."""

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


def make(folder: Path, *, renew: bool = False) -> None:
    """A certificate authority (`ca.crt`) and, for each process, a key and a certificate (`auth.key`, `auth.crt`, ...).

    What is there and good for another month is left alone, so that a running process and a new one still know each other. So do they
    when the certificates are renewed: the authority is the same.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if not _is_good(folder / "ca.crt"):
        for old in folder.glob("*.crt"):
            old.unlink()
        key = _new_key(folder / "ca.key")
        authority = _signed(_subject("HashiraMart"), key, _subject("HashiraMart"), key, _AUTHORITY)
        (folder / "ca.crt").write_bytes(authority.public_bytes(Encoding.PEM))
    issuer = x509.load_pem_x509_certificate((folder / "ca.crt").read_bytes()).subject
    issuer_key = load_pem_private_key((folder / "ca.key").read_bytes(), password=None)
    if not isinstance(issuer_key, ec.EllipticCurvePrivateKey):
        raise TypeError(f"{folder / 'ca.key'} is not a key of an elliptic curve")
    for name in NAMES:
        if renew or not _is_good(folder / f"{name}.crt"):
            certificate = _signed(_subject(name), _new_key(folder / f"{name}.key"), issuer, issuer_key, _of_process(name))
            (folder / f"{name}.crt").write_bytes(certificate.public_bytes(Encoding.PEM))


def hand_out(folder: Path, places: Path) -> None:
    """Gives each process what is its own, and no other's, in a folder of its name: `tls.key`, `tls.crt`, `ca.crt`."""
    for name in NAMES:
        place = places / name
        place.mkdir(exist_ok=True)
        for source, target in ((f"{name}.key", "tls.key"), (f"{name}.crt", "tls.crt"), ("ca.crt", "ca.crt")):
            fresh = place / f".{target}"
            shutil.copy(folder / source, fresh)
            fresh.replace(place / target)


_LIFETIME = timedelta(days=825)
_RENEWAL = timedelta(days=30)

_AUTHORITY: list[tuple[x509.ExtensionType, bool]] = [
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


def _of_process(name: str) -> list[tuple[x509.ExtensionType, bool]]:
    """It serves under its name and on the loopback, and calls others."""
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


def _signed(
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


def _is_good(path: Path) -> bool:
    return path.exists() and x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc > datetime.now(UTC) + _RENEWAL


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m mesh.certificates", description="Makes the certificates that are missing or expire.")
    parser.add_argument("--folder", type=Path, default=Path(".local/certs"), help="where they and the authority's key are kept")
    parser.add_argument("--renew", action="store_true", help="make all anew, from the same authority")
    parser.add_argument("--hand-out", type=Path, metavar="FOLDER", help="give each process its own in a folder of its name in here")
    arguments = parser.parse_args()
    make(arguments.folder, renew=arguments.renew)
    if arguments.hand_out:
        hand_out(arguments.folder, arguments.hand_out)


if __name__ == "__main__":
    main()
