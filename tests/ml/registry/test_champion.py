"""Services answer from the promoted model, whatever happens to the registry, the store, or the model after it."""

import asyncio
import io
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from mlflow import MlflowClient

from ml.registry.champion import Champion
from ml.registry.client import GateNotPassed, RegistryUnavailable
from ml.registry.errors import InvalidArtifact
from ml.registry.version import ModelVersion
from tests.engines.mlflow import Mlflow
from tests.engines.stores import Minio
from tests.loops import Loop
from tests.ml.shelf import Shelf
from tests.ml.standin.model import Standin


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a service keeps its model."""
    return tmp_path / "kept"


@contextmanager
def watched(promoted: Champion[Standin], loop: Loop) -> Iterator[None]:
    """It follows the registry for the length of a `with` block."""

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


async def wait_for(promoted: Champion[Standin], wanted: float) -> None:
    while answer(promoted) != wanted:
        await asyncio.sleep(0.01)


def spoil(store: Minio, version: ModelVersion, content: bytes) -> None:
    """Changes a model in the store."""
    key = f"{version.artifact_path}/arrays.npz"
    client = store.client("mlflow")
    client.stat_object("mlflow", key)
    client.put_object("mlflow", key, io.BytesIO(content), len(content))


def test_nothing_serves_before_a_model_is_promoted(shelf: Shelf, loop: Loop, folder: Path) -> None:
    shelf.put(1)
    promoted = shelf.served_by(folder)
    loop.run(promoted.restore())
    loop.run(promoted.refresh())
    assert promoted.serving is None


def test_the_champion_serves_and_is_followed(shelf: Shelf, loop: Loop, folder: Path) -> None:
    promoted = shelf.served_by(folder)
    with watched(promoted, loop):
        for number in (1, 2):
            shelf.promote(shelf.put(number))
            loop.run(wait_for(promoted, number))
    assert promoted.serving
    assert promoted.serving.version.number == "2"


def test_no_answer_is_missing_or_mixed_while_models_are_swapped(shelf: Shelf, loop: Loop, folder: Path) -> None:
    numbers = {shelf.put(answer): answer for answer in (1, 2, 3)}
    promoted = shelf.served_by(folder, poll_seconds=0)
    shelf.promote("1")
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
            await shelf.versions.promote(number)
            await wait_for(promoted, numbers[number])
        looking.cancel()
        with suppress(asyncio.CancelledError):
            await looking

    with watched(promoted, loop):
        loop.run(swap())
    assert seen == {1, 2, 3}


def test_without_the_registry_the_last_model_serves_also_after_a_restart(shelf: Shelf, loop: Loop, mlflow: Mlflow, folder: Path) -> None:
    shelf.promote(shelf.put(1))
    promoted = shelf.served_by(folder)
    loop.run(promoted.refresh())
    with mlflow.stopped():
        with pytest.raises(RegistryUnavailable):
            loop.run(promoted.refresh())
        assert answer(promoted) == 1
        restarted = shelf.served_by(folder)
        loop.run(restarted.restore())
        assert restarted.serving == promoted.serving
        assert answer(restarted) == 1


def test_without_the_store_the_last_model_serves(shelf: Shelf, loop: Loop, minio: Minio, folder: Path) -> None:
    shelf.promote(shelf.put(1))
    second = shelf.put(2)
    promoted = shelf.served_by(folder)
    with watched(promoted, loop):
        loop.run(wait_for(promoted, 1))
        with minio.stopped():
            shelf.promote(second)
            with pytest.raises(RegistryUnavailable, match="The artifact of version 2 cannot be fetched"):
                loop.run(promoted.refresh())
            assert answer(promoted) == 1
        loop.run(wait_for(promoted, 2))


def test_a_model_that_was_changed_in_the_store_is_refused(shelf: Shelf, loop: Loop, minio: Minio, folder: Path) -> None:
    shelf.promote(shelf.put(1))
    promoted = shelf.served_by(folder)
    loop.run(promoted.refresh())
    spoil(minio, shelf.promote(shelf.put(2)), b"something else")
    with pytest.raises(InvalidArtifact, match=r"arrays\.npz has 14 bytes"):
        loop.run(promoted.refresh())
    assert answer(promoted) == 1
    assert len([path for path in folder.iterdir() if path.is_dir()]) == 1


def test_a_model_that_answers_otherwise_than_it_did_is_refused(shelf: Shelf, loop: Loop, folder: Path) -> None:
    shelf.promote(shelf.put(1))
    promoted = shelf.served_by(folder)
    loop.run(promoted.refresh())
    shelf.promote(shelf.put(2, expected=3))
    with pytest.raises(InvalidArtifact, match="answers 2.0 and answered 3"):
        loop.run(promoted.refresh())
    assert answer(promoted) == 1


def test_what_watches_survives_a_model_of_any_other_code(shelf: Shelf, loop: Loop, folder: Path) -> None:
    def load(folder: Path) -> Standin:
        raise KeyError("a column that this code does not know")

    promoted = Champion(shelf.versions, folder, load, 0)
    shelf.promote(shelf.put(1))
    with pytest.raises(InvalidArtifact, match="cannot be loaded: KeyError"):
        loop.run(promoted.refresh())


def test_a_model_that_was_changed_on_disk_is_fetched_anew(shelf: Shelf, loop: Loop, folder: Path) -> None:
    shelf.promote(shelf.put(1))
    loop.run(shelf.served_by(folder).refresh())
    [arrays] = folder.glob("*/arrays.npz")
    arrays.write_bytes(b"something else")
    restarted = shelf.served_by(folder)
    loop.run(restarted.restore())
    assert restarted.serving is None
    loop.run(restarted.refresh())
    assert answer(restarted) == 1


def test_the_model_before_is_kept_for_a_rollback_without_the_store(shelf: Shelf, loop: Loop, minio: Minio, folder: Path) -> None:
    promoted = shelf.served_by(folder)
    for number in (1, 2, 3):
        loop.run(promoted.promote(shelf.put(number)))
    with minio.stopped():
        loop.run(promoted.rollback())
    assert answer(promoted) == 2
    assert shelf.champion() == "2"
    assert len([path for path in folder.iterdir() if path.is_dir()]) == 2


def test_a_promoted_version_serves_at_once(shelf: Shelf, loop: Loop, folder: Path) -> None:
    promoted = shelf.served_by(folder)
    assert loop.run(promoted.promote(shelf.put(1))).aliases == ("champion",)
    assert answer(promoted) == 1


def test_what_cannot_be_served_is_not_promoted(shelf: Shelf, loop: Loop, folder: Path) -> None:
    promoted = shelf.served_by(folder)
    loop.run(promoted.promote(shelf.put(1)))
    broken, failed = shelf.put(2, expected=3), shelf.put(4, passed=False)
    with pytest.raises(InvalidArtifact):
        loop.run(promoted.promote(broken))
    with pytest.raises(GateNotPassed):
        loop.run(promoted.promote(failed))
    assert (answer(promoted), shelf.champion()) == (1, "1")


def test_numbers_that_begin_anew_do_not_hide_another_model(shelf: Shelf, loop: Loop, mlflow: Mlflow, folder: Path) -> None:
    shelf.promote(shelf.put(1))
    promoted = shelf.served_by(folder)
    loop.run(promoted.refresh())
    MlflowClient(mlflow.url).delete_registered_model(shelf.model)
    assert shelf.put(2) == "1"
    shelf.promote("1")
    loop.run(promoted.refresh())
    assert answer(promoted) == 2
