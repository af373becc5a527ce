"""A small shop with predictable customers: its products in the catalogue, and models trained on its sales."""

from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path

from hashiramart.catalog.v1 import catalog_pb2
from ml.forecaster.model import Forecaster
from ml.recommender.model import Recommender
from ml.recommender.train import fit_before
from ml.registry import artifact
from ml.registry.judgement import Check, Judgement
from ml.registry.version import ModelVersion, Provenance
from tests.ml.model_registry import LINEAGE
from tests.ml.recommender.shop import COLOURS, OPENING, SMALL, habits
from tests.services.catalog.shop import row

# The day after the last sales.
CUTOFF = OPENING + timedelta(days=150)
TEAS, COFFEES = ([f"{taste}{number:02}" for number in range(len(COLOURS))] for taste in ("tea", "coffee"))


def products() -> list[catalog_pb2.ImportProductsRequest]:
    """Teas from 1.00, coffees from 2.00, and one product that was added last."""
    teas, coffees = (
        [
            row(id, f"{colour} {category.lower()}", category=category, price_cents=cheapest + number, stock=5)
            for number, (id, colour) in enumerate(zip(ids, COLOURS, strict=True))
        ]
        for category, ids, cheapest in (("Tea", TEAS, 100), ("Coffee", COFFEES, 200))
    )
    return [*teas, *coffees, row("new", "red mug", category="Mugs", price_cents=300, stock=5)]


@cache
def train(until: date = CUTOFF) -> Recommender:
    """A model trained on the sales before a day."""
    return fit_before(habits(), until, SMALL)


def provenance(folder: Path, *, passed: bool = False) -> Provenance:
    """The provenance of a saved model. passed: whether it passed the gate"""
    return Provenance(
        artifact_sha256=artifact.digest(folder),
        recipe="quick",
        parameters={},
        data_through_date=CUTOFF - timedelta(days=1),
        metrics={},
        gate=Judgement(checks=(Check(name="for a test", passed=True, measured=1, required=0),) if passed else ()),
        lineage=LINEAGE,
    )


def save_as_champion(model: Recommender | Forecaster, folder: Path, number: str = "1") -> None:
    """Saves a model to a folder as a service would that served it last."""
    model.save(folder / "fresh")
    saved = provenance(folder / "fresh")
    (folder / "fresh").rename(folder / saved.artifact_sha256)
    now = datetime.now(UTC)
    version = ModelVersion(number=number, aliases=("champion",), create_time=now, run_id="", run_url="", artifact_path="", provenance=saved)
    (folder / "served.json").write_text(version.model_dump_json())
