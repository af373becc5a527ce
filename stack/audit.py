"""Looks for known vulnerabilities of the Python packages in requirements/, and writes lists of them.

python -m stack.audit         prints what is known of each locked version; exits with 1 if there is anything
python -m stack.audit sbom    writes a CycloneDX document for each role into .local/sbom
"""

import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ValidationError

from stack.install import REQUIREMENTS, ROOT

SBOM = ROOT / ".local" / "sbom"
# The exit code for a database that cannot be asked, as sysexits.h has it: the answer is neither yes nor no.
UNAVAILABLE = 69


class Vulnerability(BaseModel, frozen=True):
    """A known vulnerability of a package's version."""

    id: str
    fix_versions: tuple[str, ...] = ()


class Package(BaseModel, frozen=True):
    """A package as pip-audit has it. Of one without a version, the database knows nothing."""

    name: str
    version: str = ""
    vulns: tuple[Vulnerability, ...] = ()


class Report(BaseModel, frozen=True):
    """The report of pip-audit."""

    dependencies: tuple[Package, ...]


class AuditOutcome(NamedTuple):
    """What is printed, and the exit code."""

    lines: list[str]
    code: int


def judge(report: Report) -> AuditOutcome:
    """What a report says. A database that knows none of the packages was not reached: a registry's mirror without one answers so."""
    unknown = [package.name for package in report.dependencies if not package.version]
    if len(unknown) == len(report.dependencies):
        return AuditOutcome(["The database of known vulnerabilities cannot be reached: nothing was looked up."], UNAVAILABLE)
    found = [(package, each) for package in report.dependencies for each in package.vulns]
    lines = [
        f"{package.name} {package.version}: {each.id}, fixed in {', '.join(each.fix_versions) or 'no version'}" for package, each in found
    ]
    if unknown:
        lines.append(f"Not known to the database: {', '.join(unknown)}.")
    lines.append(f"{len(found)} known vulnerabilities in {len(report.dependencies)} packages.")
    return AuditOutcome(lines, 1 if found else 0)


def audit(files: list[Path]) -> AuditOutcome:
    """Looks up the packages that requirements files lock."""
    options = ["--require-hashes", "--disable-pip", "--progress-spinner=off", "--format=json"]
    names = [word for file in files for word in ("--requirement", str(file))]
    run = subprocess.run([_program("pip-audit"), *options, *names], capture_output=True, text=True, check=False)
    try:
        return judge(Report.model_validate_json(run.stdout))
    except ValidationError:
        reason = (run.stderr.strip().splitlines() or ["it says nothing"])[-1]
        return AuditOutcome([f"The database of known vulnerabilities cannot be reached: {reason}"], UNAVAILABLE)


def write_sbom(file: Path, folder: Path) -> Path:
    """Writes the CycloneDX document of a requirements file into a folder; the same file gives the same document."""
    folder.mkdir(parents=True, exist_ok=True)
    document = folder / f"{file.stem}.cdx.json"
    options = ["--output-reproducible", "--output-file", str(document)]
    subprocess.run([_program("cyclonedx-py"), "requirements", *options, str(file)], check=True, capture_output=True)
    return document


def main(arguments: list[str]) -> None:
    files = sorted(REQUIREMENTS.glob("*.txt"))
    match arguments:
        case []:
            outcome = audit(files)
            print("\n".join(outcome.lines))
            sys.exit(outcome.code)
        case ["sbom"]:
            for file in files:
                print(write_sbom(file, SBOM).relative_to(ROOT))
        case _:
            sys.exit(__doc__)


def _program(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


if __name__ == "__main__":
    main(sys.argv[1:])
