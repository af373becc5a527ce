"""A model on disk is read back as it was saved, and refused when anything about it is not."""

import hashlib
import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
import pyarrow as pa
import pytest

from ml.registry import artifact
from ml.registry.errors import InvalidArtifact

KIND = "recommender"
FACTS = {"columns": ["views", "age"], "data_hash": "d0", "through_date": "2011-12-09", "rate": 0.05}
ARRAYS = {"factors": np.arange(6, dtype=np.float32).reshape(2, 3), "ids": np.array(["85123A", "22423"])}
PRODUCTS = pa.table({"product_id": ["22423", "85123A"], "price_cents": pa.array([1275, None], pa.int32())})
ROWS = np.random.default_rng(0).normal(size=(100, 2))


def booster() -> lgb.Booster:
    data = lgb.Dataset(ROWS, ROWS[:, 0] > 0)
    return lgb.train({"objective": "binary", "num_leaves": 4, "verbose": -1, "deterministic": True, "num_threads": 1}, data, 3)


BOOSTER = booster()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    saved = tmp_path / "models" / KIND
    artifact.save(saved, KIND, FACTS, arrays=ARRAYS, boosters={"ranker": BOOSTER}, tables={"products": PRODUCTS})
    return saved


def refusal(folder: Path, kind: str = KIND) -> str:
    with pytest.raises(InvalidArtifact) as error:
        artifact.load(folder, kind)
    return str(error.value)


def rewrite(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Changes the manifest."""
    manifest = json.loads((folder / "manifest.json").read_text())
    change(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest))


def vouch(folder: Path, name: str, content: bytes) -> None:
    """Puts a file there that the manifest vouches for, as only somebody could who writes both."""
    (folder / name).write_bytes(content)
    described = {"byte_count": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    rewrite(folder, lambda manifest: manifest["files"].update({name: described}))


def test_what_is_saved_is_read_back(folder: Path) -> None:
    read = artifact.load(folder, KIND)
    assert read.facts == FACTS
    assert {name: array.tolist() for name, array in read.arrays.items()} == {name: array.tolist() for name, array in ARRAYS.items()}
    assert read.arrays["factors"].dtype == np.float32
    assert read.tables["products"].equals(PRODUCTS)
    assert np.array_equal(read.boosters["ranker"].predict(ROWS), BOOSTER.predict(ROWS))


def test_the_same_model_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    artifact.save(again, KIND, FACTS, arrays=ARRAYS, boosters={"ranker": booster()}, tables={"products": PRODUCTS})
    assert artifact.digest(again) == artifact.digest(folder)


def test_another_model_has_another_digest(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    artifact.save(other, KIND, FACTS, arrays=ARRAYS, boosters={}, tables={})
    assert artifact.digest(other) != artifact.digest(folder)


def test_a_model_of_nothing_but_facts_is_a_model(tmp_path: Path) -> None:
    artifact.save(tmp_path / "small", KIND, {}, arrays={}, boosters={}, tables={})
    assert artifact.load(tmp_path / "small", KIND).arrays == {}


def test_saving_replaces_what_was_there_whole(folder: Path) -> None:
    artifact.save(folder, KIND, {"now": True}, arrays={}, boosters={}, tables={})
    assert artifact.load(folder, KIND).facts == {"now": True}
    assert [path.name for path in folder.parent.iterdir()] == [KIND]


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"arrays": {"objects": np.array([{}], dtype=object)}}, "allow_pickle"),
        ({"facts": {"score": float("nan")}}, "JSON"),
        ({"boosters": {"../ranker": BOOSTER}}, "../ranker.txt"),
        ({"tables": {"a b": PRODUCTS}}, "a b.arrow"),
    ],
)
def test_what_cannot_be_saved_leaves_what_was_there(folder: Path, wrong: dict[str, Any], told: str) -> None:
    before = artifact.digest(folder)
    model: dict[str, Any] = {"facts": FACTS, "arrays": ARRAYS, "boosters": {}, "tables": {}, **wrong}
    with pytest.raises(ValueError, match=told):
        artifact.save(folder, KIND, **model)
    assert artifact.digest(folder) == before
    assert [path.name for path in folder.parent.iterdir()] == [KIND]


@pytest.mark.parametrize("name", ["arrays.npz", "ranker.txt", "products.arrow"])
def test_a_file_with_one_changed_byte_is_refused(folder: Path, name: str) -> None:
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    assert f"{folder / name} is not as it was saved" in refusal(folder)


@pytest.mark.parametrize("name", ["arrays.npz", "ranker.txt", "products.arrow"])
def test_a_file_that_is_cut_short_is_refused(folder: Path, name: str) -> None:
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[:-10])
    assert f"{folder / name} has {len(content) - 10} bytes and was saved with {len(content)}" in refusal(folder)


@pytest.mark.parametrize("name", ["arrays.npz", "ranker.txt", "manifest.json"])
def test_a_file_that_is_missing_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    assert str(folder / name) in refusal(folder)


def test_arrays_are_never_optional(folder: Path) -> None:
    (folder / "arrays.npz").unlink()
    rewrite(folder, lambda manifest: manifest["files"].pop("arrays.npz"))
    assert "arrays.npz is missing" in refusal(folder)


def test_a_file_too_many_is_refused(folder: Path) -> None:
    (folder / "notes").mkdir()
    assert f"{folder / 'notes'} is not named in the manifest" in refusal(folder)


def test_a_model_of_another_kind_is_refused(folder: Path) -> None:
    assert "that of a recommender, not of a forecaster" in refusal(folder, "forecaster")


def test_a_format_of_another_time_is_refused(folder: Path) -> None:
    rewrite(folder, lambda manifest: manifest.update(format=2))
    assert "is of format 2; this code reads format 1" in refusal(folder)


@pytest.mark.parametrize("manifest", ["", "[]", "{}", '{"format": "1", "kind": "recommender", "facts": {}, "files": {}}', "\x80\x04"])
def test_what_is_no_manifest_is_refused(folder: Path, manifest: str) -> None:
    (folder / "manifest.json").write_text(manifest)
    assert "manifest.json is no manifest of a model" in refusal(folder)


def test_a_pickle_is_refused_whoever_vouches_for_it(folder: Path) -> None:
    vouch(folder, "model.pkl", pickle.dumps({}))
    assert f"{folder / 'model.pkl'} is neither arrays, LightGBM text nor Arrow" in refusal(folder)


def test_arrays_that_are_a_pickle_are_refused(folder: Path) -> None:
    vouch(folder, "arrays.npz", pickle.dumps(ARRAYS))
    assert "arrays.npz holds no plain arrays" in refusal(folder)


def test_a_pickle_among_the_arrays_is_refused(folder: Path) -> None:
    written = io.BytesIO()
    np.savez(written, objects=np.array([{}], dtype=object))
    vouch(folder, "arrays.npz", written.getvalue())
    assert "arrays.npz holds no plain arrays" in refusal(folder)


def test_something_else_among_the_arrays_is_refused(folder: Path) -> None:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        archive.writestr("objects.pkl", pickle.dumps({}))
    vouch(folder, "arrays.npz", written.getvalue())
    assert "arrays.npz holds something else than arrays" in refusal(folder)


def test_a_single_array_is_no_model(folder: Path) -> None:
    written = io.BytesIO()
    np.save(written, np.zeros(3))
    vouch(folder, "arrays.npz", written.getvalue())
    assert "arrays.npz holds something else than arrays" in refusal(folder)


def test_text_that_is_no_booster_is_refused(folder: Path) -> None:
    vouch(folder, "ranker.txt", b"print('hello')")
    assert "ranker.txt is no LightGBM model" in refusal(folder)


def test_a_table_that_is_none_is_refused(folder: Path) -> None:
    vouch(folder, "products.arrow", pickle.dumps({}))
    assert "products.arrow is no Arrow file" in refusal(folder)


@pytest.mark.parametrize("name", ["../outside.txt", "/etc/hostname", "../../x.arrow"])
def test_a_manifest_that_leads_out_of_its_folder_is_refused(folder: Path, name: str) -> None:
    (folder.parent / "outside.txt").write_text(BOOSTER.model_to_string())
    rewrite(folder, lambda manifest: manifest["files"].update({name: manifest["files"]["ranker.txt"]}))
    assert "is missing" in refusal(folder)


def test_a_link_out_of_the_folder_is_refused(folder: Path) -> None:
    outside = (folder / "ranker.txt").rename(folder.parent / "outside.txt")
    (folder / "ranker.txt").symlink_to(outside)
    assert f"{folder / 'ranker.txt'} is not a file" in refusal(folder)
