"""The champion is served through swaps, restarts, outages of registry and store, and invalid artifacts."""

import asyncio
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from mlflow import MlflowClient
from prometheus_client import REGISTRY

from ml.registry.champion import Champion
from ml.registry.client import GateNotPassed, RegistryClient, RegistryUnavailable
from ml.registry.errors import InvalidArtifact
from ml.registry.version import ModelVersion
from tests.engines.mlflow import SERVICE, Mlflow
from tests.engines.stores import Minio
from tests.loops import Loop
from tests.ml.model_registry import SECRET, SIGNER, ModelRegistry
from tests.ml.standin.model import Standin


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The model folder of a service."""
    return tmp_path / "models"


@contextmanager
def watching(promoted: Champion[Standin], loop: Loop) -> Iterator[None]:
    """Watches the registry for the duration of a `with` block."""

    async def begin() -> asyncio.Task[None]:
        return asyncio.create_task(promoted.watch())

    async def end(task: asyncio.Task[None]) -> None:
        task.cancel()
        await asyncio.wait([task])

    task = loop.run(begin())
    try:
        yield
    finally:
        loop.run(end(task))


def answer(promoted: Champion[Standin]) -> float | None:
    return promoted.serving.model.answer if promoted.serving else None


def promote(loop: Loop, promoted: Champion[Standin], number: str) -> ModelVersion:
    """Promotes a version through the champion of a service."""
    before = promoted.serving.version.number if promoted.serving else ""
    return loop.run(promoted.promote(number, "for a test", promoted_by="ann", expected_champion=before))


async def wait_for(promoted: Champion[Standin], wanted: float) -> None:
    while answer(promoted) != wanted:
        await asyncio.sleep(0.01)


def corrupt(store: Minio, version: ModelVersion, content: bytes) -> None:
    """Overwrites a model's arrays in the object store."""
    key = f"{version.artifact_path}/arrays.npz"
    client = store.client("mlflow")
    client.stat_object("mlflow", key)
    client.put_object("mlflow", key, io.BytesIO(content), len(content))


def test_nothing_is_served_before_the_first_promotion(registry: ModelRegistry, loop: Loop, folder: Path) -> None:
    registry.register(1)
    promoted = registry.champion_in(folder)
    loop.run(promoted.restore())
    loop.run(promoted.refresh())
    assert promoted.serving is None


def test_each_new_champion_is_served(registry: ModelRegistry, loop: Loop, folder: Path) -> None:
    promoted = registry.champion_in(folder)
    with watching(promoted, loop):
        for number in (1, 2):
            registry.promote(registry.register(number))
            loop.run(wait_for(promoted, number))
    assert promoted.serving
    assert promoted.serving.version.number == "2"
    through = REGISTRY.get_sample_value("champion_data_through_timestamp_seconds", {"model": registry.model})
    assert through == datetime(2011, 12, 9, tzinfo=UTC).timestamp()


def test_a_swap_leaves_no_gap_and_mixes_no_versions(registry: ModelRegistry, loop: Loop, folder: Path) -> None:
    numbers = {registry.register(answer): answer for answer in (1, 2, 3)}
    promoted = registry.champion_in(folder, poll_seconds=0)
    registry.promote("1")
    loop.run(promoted.refresh())

    seen: set[float] = set()

    async def look() -> None:
        while True:
            serving = promoted.serving
            assert serving is not None
            assert serving.model.answer == numbers[serving.version.number]
            seen.add(serving.model.answer)
            await asyncio.sleep(0.001)

    async def swap() -> None:
        looking = asyncio.create_task(look())
        for number in ("2", "3", "1"):
            await registry.client.promote(number, "for a test")
            await wait_for(promoted, numbers[number])
        looking.cancel()
        with suppress(asyncio.CancelledError):
            await looking

    with watching(promoted, loop):
        loop.run(swap())
    assert seen == {1, 2, 3}


def test_without_the_registry_the_last_model_is_served_also_after_a_restart(
    registry: ModelRegistry, loop: Loop, mlflow: Mlflow, folder: Path
) -> None:
    registry.promote(registry.register(1))
    promoted = registry.champion_in(folder)
    loop.run(promoted.refresh())
    with mlflow.stopped():
        with pytest.raises(RegistryUnavailable):
            loop.run(promoted.refresh())
        assert answer(promoted) == 1
        restarted = registry.champion_in(folder)
        loop.run(restarted.restore())
        assert restarted.serving == promoted.serving
        assert answer(restarted) == 1


def change_tag(name: str, value: str) -> Callable[[MlflowClient, ModelVersion, str], None]:
    def change(client: MlflowClient, version: ModelVersion, model: str) -> None:
        client.set_model_version_tag(model, version.number, name, value)

    return change


def register_without_run(client: MlflowClient, version: ModelVersion, model: str) -> None:
    bare = client.create_model_version(model, "s3://elsewhere/model", tags=version.provenance.tags())
    client.set_registered_model_alias(model, "champion", bare.version)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (change_tag("promotion", "yesterday"), "The tag promotion of version 2 .* was changed: the whole: Invalid JSON"),
        (change_tag("promotion", '{"time": 7}'), "The tag promotion of version 2 .* reason: Field required"),
        (change_tag("gate", "[]"), "version 2 .* was not registered by this pipeline: gate"),
        (change_tag("metrics", "NaN,"), "ersion 2 .* was not registered by this pipeline: the whole: Invalid JSON"),
        (change_tag("artifact_sha256", "../../etc"), "version 2 .* was not registered by this pipeline: artifact_sha256"),
        (change_tag("data_through_date", "0000-00-00"), "version 2 .* was not registered by this pipeline: data_through_date"),
        (register_without_run, "version 3 .* was not registered by this pipeline: run_id"),
    ],
    ids=["promotion", "half a promotion", "gate", "metrics", "path", "date", "no run"],
)
def test_a_wrong_tag_in_the_registry_leaves_the_model_on_disk_in_service_also_after_a_restart(
    registry: ModelRegistry,
    loop: Loop,
    mlflow: Mlflow,
    folder: Path,
    change: Callable[[MlflowClient, ModelVersion, str], None],
    fault: str,
) -> None:
    registry.promote(registry.register(1))
    loop.run(registry.champion_in(folder).refresh())
    change(MlflowClient(mlflow.url), registry.promote(registry.register(2)), registry.model)
    restarted = registry.champion_in(folder)
    loop.run(restarted.restore())
    with pytest.raises(InvalidArtifact, match=f"(?i){fault}"):
        loop.run(restarted.refresh())
    with watching(restarted, loop):
        assert answer(restarted) == 1
        MlflowClient(mlflow.url).set_registered_model_alias(registry.model, "champion", registry.register(4))
        loop.run(wait_for(restarted, 4))


def test_an_artifact_that_is_larger_than_allowed_is_not_fetched(registry: ModelRegistry, loop: Loop, folder: Path) -> None:
    registry.promote(registry.register(1))
    promoted = Champion(registry.client, folder, Standin.load, SECRET, 0.05, max_bytes=100)
    with pytest.raises(InvalidArtifact, match="The artifact of version 1 is larger than 100 bytes"):
        loop.run(promoted.refresh())
    assert promoted.serving is None
    assert list(folder.iterdir()) == []


def test_tags_of_an_older_format_are_left_alone(registry: ModelRegistry, loop: Loop, mlflow: Mlflow, folder: Path) -> None:
    version = registry.promote(registry.register(1))
    change_tag("promote_time", "nonsense")(MlflowClient(mlflow.url), version, registry.model)
    promoted = registry.champion_in(folder)
    loop.run(promoted.refresh())
    assert answer(promoted) == 1


def test_no_error_ends_the_watch(registry: ModelRegistry, loop: Loop, folder: Path) -> None:
    looks: list[str] = []

    class Unforeseen(RegistryClient):
        async def champion(self) -> ModelVersion | None:
            looks.append("look")
            if len(looks) < 3:
                raise KeyError("run_id")
            return await super().champion()

    registry.promote(registry.register(1))
    http = httpx.AsyncClient(auth=SERVICE)
    promoted = Champion(Unforeseen(http, registry.url, registry.model, SIGNER.verifier), folder, Standin.load, SECRET, 0.01)
    with watching(promoted, loop):
        loop.run(wait_for(promoted, 1))
    loop.run(http.aclose())


def test_without_the_store_the_last_model_is_served(registry: ModelRegistry, loop: Loop, minio: Minio, folder: Path) -> None:
    registry.promote(registry.register(1))
    second = registry.register(2)
    promoted = registry.champion_in(folder)
    with watching(promoted, loop):
        loop.run(wait_for(promoted, 1))
        with minio.stopped():
            registry.promote(second)
            with pytest.raises(RegistryUnavailable, match="The artifact of version 2 cannot be fetched"):
                loop.run(promoted.refresh())
            assert answer(promoted) == 1
        loop.run(wait_for(promoted, 2))


def test_an_artifact_that_was_changed_in_the_store_is_invalid(registry: ModelRegistry, loop: Loop, minio: Minio, folder: Path) -> None:
    registry.promote(registry.register(1))
    promoted = registry.champion_in(folder)
    loop.run(promoted.refresh())
    corrupt(minio, registry.promote(registry.register(2)), b"something else")
    with pytest.raises(InvalidArtifact, match=r"arrays\.npz has 14 bytes"):
        loop.run(promoted.refresh())
    assert answer(promoted) == 1
    assert len([path for path in folder.iterdir() if path.is_dir()]) == 1


def test_a_model_that_no_longer_gives_its_saved_answers_is_invalid(registry: ModelRegistry, loop: Loop, folder: Path) -> None:
    registry.promote(registry.register(1))
    promoted = registry.champion_in(folder)
    loop.run(promoted.refresh())
    registry.promote(registry.register(2, expected=3))
    with pytest.raises(InvalidArtifact, match="answers 2.0 and answered 3"):
        loop.run(promoted.refresh())
    assert answer(promoted) == 1


def test_any_error_of_loading_is_an_invalid_artifact(registry: ModelRegistry, loop: Loop, folder: Path) -> None:
    def load(folder: Path) -> Standin:
        raise KeyError("a column that this code does not know")

    promoted = Champion(registry.client, folder, load, SECRET, 0)
    registry.promote(registry.register(1))
    with pytest.raises(InvalidArtifact, match="cannot be loaded: KeyError"):
        loop.run(promoted.refresh())


def test_an_artifact_that_was_changed_on_disk_is_downloaded_again(registry: ModelRegistry, loop: Loop, folder: Path) -> None:
    registry.promote(registry.register(1))
    loop.run(registry.champion_in(folder).refresh())
    [arrays] = folder.glob("*/arrays.npz")
    arrays.write_bytes(b"something else")
    restarted = registry.champion_in(folder)
    loop.run(restarted.restore())
    assert restarted.serving is None
    loop.run(restarted.refresh())
    assert answer(restarted) == 1


def test_the_previous_artifact_is_kept_for_a_rollback_without_the_store(
    registry: ModelRegistry, loop: Loop, minio: Minio, folder: Path
) -> None:
    promoted = registry.champion_in(folder)
    for number in (1, 2, 3):
        promote(loop, promoted, registry.register(number))
    with minio.stopped():
        loop.run(promoted.roll_back("for a test", promoted_by="ann", expected_champion="3"))
    assert answer(promoted) == 2
    assert registry.champion_number() == "2"
    assert len([path for path in folder.iterdir() if path.is_dir()]) == 2


def test_a_promoted_version_is_served_at_once(registry: ModelRegistry, loop: Loop, folder: Path) -> None:
    promoted = registry.champion_in(folder)
    assert promote(loop, promoted, registry.register(1)).aliases == ("champion",)
    assert answer(promoted) == 1


def test_a_version_that_cannot_be_served_is_not_promoted(registry: ModelRegistry, loop: Loop, folder: Path) -> None:
    promoted = registry.champion_in(folder)
    promote(loop, promoted, registry.register(1))
    broken, failed = registry.register(2, expected=3), registry.register(4, passed=False)
    with pytest.raises(InvalidArtifact):
        promote(loop, promoted, broken)
    with pytest.raises(GateNotPassed):
        promote(loop, promoted, failed)
    assert (answer(promoted), registry.champion_number()) == (1, "1")


def test_another_model_of_the_same_number_is_served(registry: ModelRegistry, loop: Loop, mlflow: Mlflow, folder: Path) -> None:
    registry.promote(registry.register(1))
    promoted = registry.champion_in(folder)
    loop.run(promoted.refresh())
    MlflowClient(mlflow.url).delete_registered_model(registry.model)
    assert registry.register(2) == "1"
    registry.promote("1")
    loop.run(promoted.refresh())
    assert answer(promoted) == 2
