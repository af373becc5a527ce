"""The code that a Spark application brings with it to the cluster."""

import zipfile
from pathlib import Path

# Where our packages lie, installed or checked out.
ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "spark" / "etl.py"


def pack(file: Path) -> None:
    """Writes the ETL's modules, and what they take from the models' packages, to a zip file that Python can import from."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for pattern in _SHIPPED:
            for path in sorted(ROOT.glob(pattern)):
                archive.write(path, path.relative_to(ROOT))


_SHIPPED = ("spark/*.py", "spark/*.toml", "lake/*.py")
