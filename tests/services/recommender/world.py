"""A shop whose customers are easy to see through: its products in a catalogue, and models that know its sales."""

from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path

from hashiramart.catalog.v1 import catalog_pb2
from ml.recommender.model import Recommender
from ml.recommender.train import fit_before
from ml.registry import artifact
from ml.registry.gate import Judgement
from ml.registry.version import ModelVersion, Provenance
from tests.ml.recommender.shop import COLOURS, OPENING, SMALL, habits
from tests.ml.shelf import LINEAGE
from tests.services.catalog.shop import row

# The day before which the sales lie.
CUTOFF = OPENING + timedelta(days=150)
TEAS, COFFEES = ([f"{taste}{number:02}" for number in range(len(COLOURS))] for taste in ("tea", "coffee"))


def products() -> list[catalog_pb2.ImportProductsRequest]:
    """Teas from 1.00 on, coffees from 2.00 on, and the one that came last."""
    teas, coffees = (
        [
            row(id, f"{colour} {category.lower()}", category=category, price_cents=cheapest + number, stock=5)
            for number, (id, colour) in enumerate(zip(ids, COLOURS, strict=True))
        ]
        for category, ids, cheapest in (("Tea", TEAS, 100), ("Coffee", COFFEES, 200))
    )
    return [*teas, *coffees, row("new", "red mug", category="Mugs", price_cents=300, stock=5)]


@cache
def model(until: date = CUTOFF) -> Recommender:
    """Knows the sales before a day."""
    return fit_before(habits(), until, SMALL)


def provenance(folder: Path) -> Provenance:
    """Of an artifact."""
    return Provenance(
        artifact_sha256=artifact.digest(folder),
        recipe="quick",
        parameters={},
        data_through_date=CUTOFF - timedelta(days=1),
        metrics={},
        gate=Judgement(checks=()),
        lineage=LINEAGE,
    )


def keep(model: Recommender, folder: Path, number: str = "1") -> None:
    """Leaves a model in a folder as the one that served last."""
    model.save(folder / "fresh")
    told = provenance(folder / "fresh")
    (folder / "fresh").rename(folder / told.artifact_sha256)
    now = datetime.now(UTC)
    version = ModelVersion(
        number=number, aliases=("champion",), create_time=now, promote_time=now, run_id="", run_url="", artifact_path="", provenance=told
    )
    (folder / "served.json").write_text(version.model_dump_json())
