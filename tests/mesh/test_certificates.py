"""The certificates of an installation: issued, renewed, distributed."""

import stat
from pathlib import Path

from cryptography import x509

from mesh import certificates


def issued_by(certificate: Path, authority: Path) -> bool:
    loaded = x509.load_pem_x509_certificate(certificate.read_bytes())
    loaded.verify_directly_issued_by(x509.load_pem_x509_certificate(authority.read_bytes()))
    return True


def test_renewed_certificates_are_new_ones_of_the_same_authority(tmp_path: Path) -> None:
    certificates.issue(tmp_path)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    certificates.issue(tmp_path, renew=True)
    after = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    assert {name for name in before if before[name] == after[name]} == {"ca.crt", "ca.key"}
    assert all(issued_by(tmp_path / f"{name}.crt", tmp_path / "ca.crt") for name in certificates.NAMES)


def test_each_process_gets_its_own_key_and_no_other(tmp_path: Path) -> None:
    made, places = tmp_path / "authority", tmp_path / "places"
    places.mkdir()
    certificates.issue(made)
    certificates.distribute(made, places)
    assert {place.name for place in places.iterdir()} == set(certificates.NAMES)
    for name in certificates.NAMES:
        assert {file.name for file in (places / name).iterdir()} == {"tls.key", "tls.crt", "ca.crt"}
        assert (places / name / "tls.key").read_bytes() == (made / f"{name}.key").read_bytes()
        assert stat.S_IMODE((places / name / "tls.key").stat().st_mode) == 0o600
