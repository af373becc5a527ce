"""What is known of the locked packages, and the lists of them."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from stack import audit
from stack.audit import Package, Report, Vulnerability
from stack.engines import jars
from stack.install import REQUIREMENTS

OLD = Vulnerability(id="PYSEC-1", fix_versions=("2.0",))


def test_the_list_of_a_role_has_each_locked_package_with_its_hashes(tmp_path: Path) -> None:
    file = REQUIREMENTS / "mesh.txt"
    document = json.loads(audit.write_sbom(file, tmp_path).read_text())
    assert (document["bomFormat"], document["components"][0]["type"]) == ("CycloneDX", "library")
    listed = {(part["name"], part.get("version")) for part in document["components"]}
    locked = re.findall(r"^([a-z0-9][\w.-]*)(?:\[[^\]]*\])?==([^\s;\\]+)", file.read_text(), re.MULTILINE)
    assert {(name, version) for name, version in locked} <= listed
    assert all(reference["hashes"] for part in document["components"] for reference in part.get("externalReferences", ()))


def test_a_known_vulnerability_is_named_and_fails() -> None:
    outcome = audit.judge(Report(dependencies=(Package(name="one", version="1.0", vulns=(OLD,)), Package(name="two", version="2.0"))))
    assert outcome == (["one 1.0: PYSEC-1, fixed in 2.0", "1 known vulnerabilities in 2 packages."], 1)


def test_a_database_that_knows_no_package_was_not_reached() -> None:
    outcome = audit.judge(Report(dependencies=(Package(name="one"), Package(name="two"))))
    assert outcome.code == audit.UNAVAILABLE
    assert "cannot be reached" in outcome.lines[0]


def test_an_answer_that_is_no_report_is_not_taken_for_one(tmp_path: Path) -> None:
    file = tmp_path / "missing.txt"
    outcome = audit.audit([file])
    assert (outcome.code, "cannot be reached" in outcome.lines[0]) == (audit.UNAVAILABLE, True)


def test_each_jar_has_the_digest_that_is_written_down(tmp_path: Path) -> None:
    folder = tmp_path / "jars"
    folder.mkdir()
    (folder / "a.jar").write_bytes(b"a")
    written = subprocess.run(["sha256sum", "a.jar"], cwd=folder, capture_output=True, text=True, check=True).stdout
    (tmp_path / "jars.sha256").write_text(written)
    jars.verify(folder, tmp_path / "jars.sha256")
    (folder / "b.jar").write_bytes(b"b")
    with pytest.raises(SystemExit, match=r"b\.jar is not among the jars"):
        jars.verify(folder, tmp_path / "jars.sha256")
    (folder / "b.jar").unlink()
    (folder / "a.jar").write_bytes(b"another")
    with pytest.raises(SystemExit, match=r"a\.jar is another file"):
        jars.verify(folder, tmp_path / "jars.sha256")


def test_the_command_explains_itself() -> None:
    run = subprocess.run([sys.executable, "-m", "stack.audit", "nonsense"], capture_output=True, text=True, check=False)
    assert (run.returncode, "python -m stack.audit sbom" in run.stderr) == (1, True)
