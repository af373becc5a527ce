"""The stage that registers: it judges the metrics of the recipe, and registers the model fitted on all history."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from mlflow import MlflowClient
from pydantic import SecretStr
from pytest import MonkeyPatch
from ruamel.yaml import YAML

from ml.pipeline import register as stage
from ml.pipeline.checkout import code_commit
from ml.pipeline.lease import LeaseLost
from ml.pipeline.register import Trainer
from ml.pipeline.registration import Registration, find_registration
from ml.pipeline.settings import Settings
from ml.registry import artifact
from ml.registry.client import PACKAGED_ARTIFACT, RegistryClient, RegistryUnavailable
from ml.registry.errors import InvalidArtifact
from ml.registry.version import ModelVersion
from tests.engines.mlflow import Mlflow
from tests.loops import Loop
from tests.ml.model_registry import SIGNER
from tests.ml.standin import evaluate, pyfunc, train
from tests.ml.standin.model import Standin
from tests.ml.workspace import RULES

MODEL = "hashiramart-recommender"
TRAINER = Trainer(train.refit, evaluate.measure, Standin.load, pyfunc)
DATES = {"first_date": "2011-11-05", "through_date": "2011-12-05"}


class Stage:
    """A folder in which the earlier stages have run."""

    def __init__(self, folder: Path, mlflow: Mlflow) -> None:
        self.folder = folder
        self.lease = folder / "lease"
        self.lease.write_text("1e9")
        self._settings = Settings(
            mlflow_url=mlflow.url,
            mlflow_username="training",
            mlflow_password=SecretStr(mlflow.secrets["MLFLOW_TRAINING_PASSWORD"]),
            signing_key=SecretStr(mlflow.secrets["PIPELINE_SIGNING_KEY"]),
            job_id="job-7",
            code_commit="c0ffee",
            lease=self.lease,
        )

    def require_shadow(self) -> None:
        """From now on, versions have to make lists in shadow before they are promoted."""
        self._settings = self._settings.model_copy(update={"required_shadow_lists": 10})

    def find_registration(self) -> Registration | None:
        """What an earlier attempt of the job has registered."""
        return find_registration("recommender", self._settings)

    def register(
        self,
        quality: float,
        data: str = "first",
        *,
        rows: int = 3,
        limit: float | None = None,
        through: str = DATES["through_date"],
        trainer: Trainer | None = None,
        **numbers: float,
    ) -> Registration:
        """Registers a recipe of this quality. The limit holds on the data called `first`."""
        recipe = {"quality": quality, **numbers}
        rules = [{**rule, "at_least": limit} for rule in RULES]
        gate = {"noise": 0.02, "limits_of": sha256("first"), "recommender": rules, "forecaster": rules}
        recipes = {"quick": recipe, "full": recipe}
        YAML().dump({"recipe": "quick", "gate": gate, "recommender": recipes, "forecaster": recipes}, self.folder / "params.yaml")
        self._write(
            "data/clean/dataset.json",
            {"schema_version": 1, "sha256": sha256(data), "columns": {}, "contents": {}, **DATES, "through_date": through},
        )
        self._write("data/origin.json", {"job_id": "job-6", "code_commit": "", "raw_files": [{"name": "a.csv", "sha256": "ab"}]})
        self._write("dvc.lock", {"stages": {"get_cleaned_data": {"outs": [{"path": "data/clean", "md5": "0123.dir"}]}}})
        clean = self.folder / "data" / "clean"
        pq.write_table(pa.table({"quantity": [1] * rows}), clean / "interactions.parquet")
        self._write("metrics/recommender.json", {"recommender": evaluate.measure(clean, recipe)})
        plots = [{"score": {"template": "bar_horizontal", "x": "score", "y": {"plots/recommender/score.csv": "recipe"}}}]
        YAML().dump({"plots": plots}, self.folder / "dvc.yaml")
        (self.folder / "plots" / "recommender").mkdir(parents=True, exist_ok=True)
        (self.folder / "plots" / "recommender" / "score.csv").write_text(f"recipe,score\nquick,{quality}\n")
        return stage.register(self.folder, "recommender", trainer or TRAINER, self._settings)

    def _write(self, name: str, content: object) -> None:
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / name).write_text(json.dumps(content))


def sha256(data: str) -> str:
    return hashlib.sha256(data.encode()).hexdigest()


@pytest.fixture
def pipeline(mlflow: Mlflow, tmp_path: Path) -> Stage:
    """A pipeline whose model has no version yet."""
    mlflow.forget(MODEL)
    return Stage(tmp_path, mlflow)


def champion(mlflow: Mlflow, loop: Loop) -> ModelVersion | None:
    async def ask() -> ModelVersion | None:
        async with httpx.AsyncClient(timeout=20, auth=mlflow.auth) as client:
            return await RegistryClient(client, mlflow.url, MODEL, SIGNER.verifier).champion()

    return loop.run(ask())


def failed(registration: Registration) -> list[tuple[str, float]]:
    return [(check.name, round(check.required, 4)) for check in registration.provenance.gate.checks if not check.passed]


def test_the_first_model_that_passes_is_promoted_with_its_provenance(pipeline: Stage, mlflow: Mlflow, loop: Loop) -> None:
    registration = pipeline.register(0.9)
    assert registration.promoted
    version = champion(mlflow, loop)
    assert version
    assert (version.number, version.run_id, version.provenance) == (registration.version, registration.run_id, registration.provenance)
    provenance = version.provenance
    assert (provenance.recipe, provenance.metrics) == ("quick", {"test.score": 0.9, "test.baseline.score": 0.5})
    assert provenance.lineage.model_dump() == {
        "dvc_revision": "0123.dir",
        "data_hash": sha256("first"),
        "job_id": "job-7",
        "etl_job_id": "job-6",
        "raw_files": ("a.csv ab",),
        "code_commit": "c0ffee",
    }


def test_the_run_has_the_attachments_and_the_model_fitted_on_all_history(pipeline: Stage, mlflow: Mlflow, tmp_path: Path) -> None:
    run_id = pipeline.register(0.9).run_id
    client = MlflowClient(mlflow.url)
    attachments = {entry.path for entry in client.list_artifacts(run_id)}
    assert attachments == {"model", "figures", "recommender", "recommender.json", "params.yaml", "dvc.lock", "dataset.json"}
    figure = Path(client.download_artifacts(run_id, "figures/score.png", str(tmp_path)))
    assert figure.read_bytes().startswith(b"\x89PNG")
    downloaded = Path(client.download_artifacts(run_id, f"model/{PACKAGED_ARTIFACT}", str(tmp_path)))
    assert Standin.load(downloaded).answer == 3
    inputs = client.get_run(run_id).inputs
    assert inputs
    assert [(each.dataset.digest, each.dataset.source) for each in inputs.dataset_inputs] == [
        (sha256("first")[:36], '{"uri": "s3://lake/clean"}')
    ]


def test_a_service_downloads_the_artifact_without_the_code_that_mlflow_runs(
    pipeline: Stage, mlflow: Mlflow, loop: Loop, tmp_path: Path
) -> None:
    registration, downloaded = pipeline.register(0.9), tmp_path / "downloaded"
    downloaded.mkdir()
    version = champion(mlflow, loop)
    assert version

    async def download() -> None:
        async with httpx.AsyncClient(timeout=20, auth=mlflow.auth) as client:
            await RegistryClient(client, mlflow.url, MODEL, SIGNER.verifier).download(version, downloaded, 1_000_000)

    loop.run(download())
    assert artifact.digest(downloaded) == registration.provenance.artifact_sha256


def test_a_model_that_does_not_beat_the_baseline_stays_a_challenger(pipeline: Stage, mlflow: Mlflow, loop: Loop) -> None:
    registration = pipeline.register(0.5)
    assert (registration.promoted, failed(registration)) == (False, [("test.score beats the baseline", 0.5)])
    assert champion(mlflow, loop) is None
    assert MlflowClient(mlflow.url).get_model_version_by_alias(MODEL, "challenger").version == registration.version


def test_a_model_that_is_worse_than_the_champion_does_not_replace_it(pipeline: Stage, mlflow: Mlflow, loop: Loop) -> None:
    first = pipeline.register(0.9)
    assert failed(pipeline.register(0.8)) == [("test.score is no worse than the champion's", 0.882)]
    version = champion(mlflow, loop)
    assert version
    assert version.number == first.version
    assert pipeline.register(0.89).promoted


def test_where_lists_in_shadow_are_required_a_better_model_waits_for_a_person(pipeline: Stage, mlflow: Mlflow, loop: Loop) -> None:
    pipeline.require_shadow()
    # The first one has nothing to be compared with.
    first = pipeline.register(0.8)
    assert (first.promoted, first.awaits_promotion) == (True, False)
    better = pipeline.register(0.9)
    assert (better.promoted, better.awaits_promotion) == (False, True)
    serving = champion(mlflow, loop)
    assert serving
    assert serving.number == first.version
    # Another attempt of the same job finds it as it is, and does not promote it either.
    again = pipeline.find_registration()
    assert again
    assert (again.version, again.promoted, again.awaits_promotion) == (better.version, False, True)
    worse = pipeline.register(0.5)
    assert (worse.promoted, worse.awaits_promotion) == (False, False)


def test_on_other_data_the_champions_recipe_is_measured_again(pipeline: Stage) -> None:
    pipeline.register(0.9)
    # There the champion's recipe comes to 0.7, not to 0.9.
    assert failed(pipeline.register(0.88, data="second", rows=2)) == [("test.score is no worse than the champion's", 0.686)]
    assert pipeline.register(0.89, data="second", rows=2).promoted


def test_a_champion_whose_recipe_the_code_cannot_fit_any_more_is_noted_and_not_compared(pipeline: Stage, monkeypatch: MonkeyPatch) -> None:
    pipeline.register(0.9)
    monkeypatch.setitem(globals(), "TRAINER", TRAINER._replace(measure=measure_renamed))
    registration = pipeline.register(0.6, data="second")
    assert registration.promoted
    assert registration.provenance.gate.notes == (
        "the recipe of version 1, the champion, cannot be fitted by this code, and is not compared: unexpected keyword 'quality'",
    )


def measure_renamed(data: Path, recipe: Mapping[str, Any]) -> dict[str, float]:
    """Code whose hyperparameter `quality` has another name by now."""
    raise TypeError(f"unexpected keyword {next(iter(recipe))!r}")


def test_a_model_of_older_data_than_the_champions_stays_a_challenger(pipeline: Stage, mlflow: Mlflow, loop: Loop) -> None:
    newer = pipeline.register(0.9)
    older = pipeline.register(0.95, "second", through="2011-12-04")
    assert (older.promoted, failed(older)) == (False, [("days from the end of the champion's data to that of this data", 0)])
    version = champion(mlflow, loop)
    assert version
    assert version.number == newer.version
    assert pipeline.register(0.95, "third", through="2011-12-05").promoted


@pytest.mark.parametrize(("other", "through"), [(0.99, "2011-12-05"), (0.9, "2011-12-06")], ids=["better", "newer"])
def test_a_champion_that_was_promoted_during_the_training_is_compared_with_before_it_is_replaced(
    pipeline: Stage, mlflow: Mlflow, loop: Loop, tmp_path: Path, other: float, through: str
) -> None:
    pipeline.register(0.8)

    def refit_meanwhile(data: Path, recipe: Mapping[str, Any]) -> Standin:
        model = train.refit(data, recipe)
        (tmp_path / "other").mkdir()
        assert Stage(tmp_path / "other", mlflow).register(other, through=through).promoted
        return model

    late = pipeline.register(0.9, trainer=TRAINER._replace(refit=refit_meanwhile))
    assert not late.promoted
    version = champion(mlflow, loop)
    assert version
    assert version.number != late.version
    tags = MlflowClient(mlflow.url).get_model_version(MODEL, late.version).tags
    assert json.loads(tags["gate"]) == late.provenance.gate.model_dump(mode="json")


@pytest.mark.parametrize("lease", ["0", "", "nonsense", None])
def test_after_its_lease_a_training_registers_and_promotes_nothing(pipeline: Stage, mlflow: Mlflow, loop: Loop, lease: str | None) -> None:
    def refit_too_long(data: Path, recipe: Mapping[str, Any]) -> Standin:
        if lease is None:
            pipeline.lease.unlink()
        else:
            pipeline.lease.write_text(lease)
        return train.refit(data, recipe)

    with pytest.raises(LeaseLost, match="the lease of job job-7 has ended"):
        pipeline.register(0.9, trainer=TRAINER._replace(refit=refit_too_long))
    assert champion(mlflow, loop) is None
    assert not MlflowClient(mlflow.url).search_model_versions(f"name='{MODEL}'")


def test_limits_hold_only_on_the_data_that_they_were_measured_on(pipeline: Stage) -> None:
    assert failed(pipeline.register(0.9, limit=0.95)) == [("test.score is at least 0.95", 0.95)]
    assert pipeline.register(0.9, "second", limit=0.95).promoted


def test_a_model_that_does_not_reproduce_its_answers_is_not_registered(pipeline: Stage, mlflow: Mlflow, loop: Loop) -> None:
    with pytest.raises(InvalidArtifact, match=r"answers 3\.0 and answered 4"):
        pipeline.register(0.9, lie=1)
    assert champion(mlflow, loop) is None


def test_without_mlflow_nothing_is_fitted(pipeline: Stage, mlflow: Mlflow) -> None:
    with mlflow.stopped(), pytest.raises(RegistryUnavailable, match="cannot be reached"):
        pipeline.register(0.9)
    assert not (pipeline.folder / "registered").exists()


def test_code_outside_of_a_git_checkout_has_no_commit(tmp_path: Path) -> None:
    assert code_commit(tmp_path) == ""


def test_scores_by_user_are_kept_with_the_version_and_compared_pair_by_pair(pipeline: Stage) -> None:
    def write(shift: float) -> None:
        (pipeline.folder / "scores").mkdir(exist_ok=True)
        scores = {"test.score": {str(user): 0.5 + user / 100 + shift for user in range(50)}}
        (pipeline.folder / "scores" / "recommender_scores.json").write_text(json.dumps(scores))

    write(0)
    assert pipeline.register(0.9).promoted
    write(-0.01)
    # The mean alone is within the noise.
    assert failed(pipeline.register(0.89)) == [("test.score is not worse than the champion's, of 50 pairs", 0)]
    write(0.01)
    assert pipeline.register(0.89).promoted
