"""Packs the code that a Spark application brings to the cluster."""

import zipfile
from pathlib import Path

# The folder of our packages, installed or checked out.
ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "spark" / "etl.py"
MODULES = ("spark/*.py", "spark/*.toml", "lake/*.py")


def pack(file: Path) -> None:
    """Writes the ETL's modules, and those of the lake that they use, to a zip file from which Python can import them."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for pattern in MODULES:
            for path in sorted(ROOT.glob(pattern)):
                archive.write(path, path.relative_to(ROOT))
