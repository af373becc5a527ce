"""An artifact is loaded as it was saved, and is invalid if any part of it has changed."""

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


def load_error(folder: Path, kind: str = KIND) -> str:
    with pytest.raises(InvalidArtifact) as error:
        artifact.load(folder, kind)
    return str(error.value)


def rewrite(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Changes the manifest."""
    manifest = json.loads((folder / "manifest.json").read_text())
    change(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest))


def add_file(folder: Path, name: str, content: bytes) -> None:
    """Adds a file and its entry in the manifest, as an attacker with write access could."""
    (folder / name).write_bytes(content)
    described = {"byte_count": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    rewrite(folder, lambda manifest: manifest["files"].update({name: described}))


def test_a_saved_model_is_loaded_unchanged(folder: Path) -> None:
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


def test_a_model_may_consist_of_facts_only(tmp_path: Path) -> None:
    artifact.save(tmp_path / "small", KIND, {}, arrays={}, boosters={}, tables={})
    assert artifact.load(tmp_path / "small", KIND).arrays == {}


def test_saving_replaces_the_whole_folder(folder: Path) -> None:
    artifact.save(folder, KIND, {"now": True}, arrays={}, boosters={}, tables={})
    assert artifact.load(folder, KIND).facts == {"now": True}
    assert [path.name for path in folder.parent.iterdir()] == [KIND]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"arrays": {"objects": np.array([{}], dtype=object)}}, "allow_pickle"),
        ({"facts": {"score": float("nan")}}, "JSON"),
        ({"boosters": {"../ranker": BOOSTER}}, "../ranker.txt"),
        ({"tables": {"a b": PRODUCTS}}, "a b.arrow"),
    ],
)
def test_a_failed_save_leaves_the_old_model(folder: Path, wrong: dict[str, Any], message: str) -> None:
    before = artifact.digest(folder)
    model: dict[str, Any] = {"facts": FACTS, "arrays": ARRAYS, "boosters": {}, "tables": {}, **wrong}
    with pytest.raises(ValueError, match=message):
        artifact.save(folder, KIND, **model)
    assert artifact.digest(folder) == before
    assert [path.name for path in folder.parent.iterdir()] == [KIND]


@pytest.mark.parametrize("name", ["arrays.npz", "ranker.txt", "products.arrow"])
def test_a_file_with_one_changed_byte_is_invalid(folder: Path, name: str) -> None:
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    assert f"{folder / name} is not as it was saved" in load_error(folder)


@pytest.mark.parametrize("name", ["arrays.npz", "ranker.txt", "products.arrow"])
def test_a_file_that_is_cut_short_is_invalid(folder: Path, name: str) -> None:
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[:-10])
    assert f"{folder / name} has {len(content) - 10} bytes and was saved with {len(content)}" in load_error(folder)


@pytest.mark.parametrize("name", ["arrays.npz", "ranker.txt", "manifest.json"])
def test_a_file_that_is_missing_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    assert str(folder / name) in load_error(folder)


def test_the_arrays_file_is_required(folder: Path) -> None:
    (folder / "arrays.npz").unlink()
    rewrite(folder, lambda manifest: manifest["files"].pop("arrays.npz"))
    assert "arrays.npz is missing" in load_error(folder)


def test_an_extra_file_is_invalid(folder: Path) -> None:
    (folder / "notes").mkdir()
    assert f"{folder / 'notes'} is not named in the manifest" in load_error(folder)


def test_a_model_of_another_kind_is_invalid(folder: Path) -> None:
    assert "that of a recommender, not of a forecaster" in load_error(folder, "forecaster")


def test_another_format_is_invalid(folder: Path) -> None:
    rewrite(folder, lambda manifest: manifest.update(format=2))
    assert "is of format 2; this code reads format 1" in load_error(folder)


@pytest.mark.parametrize("manifest", ["", "[]", "{}", '{"format": "1", "kind": "recommender", "facts": {}, "files": {}}', "\x80\x04"])
def test_an_invalid_manifest_is_rejected(folder: Path, manifest: str) -> None:
    (folder / "manifest.json").write_text(manifest)
    assert "manifest.json is no manifest of a model" in load_error(folder)


def test_a_pickle_is_invalid_even_if_the_manifest_names_it(folder: Path) -> None:
    add_file(folder, "model.pkl", pickle.dumps({}))
    assert f"{folder / 'model.pkl'} is neither arrays, LightGBM text nor Arrow" in load_error(folder)


def test_a_pickle_in_place_of_the_arrays_is_invalid(folder: Path) -> None:
    add_file(folder, "arrays.npz", pickle.dumps(ARRAYS))
    assert "arrays.npz holds no plain arrays" in load_error(folder)


def test_a_pickle_among_the_arrays_is_invalid(folder: Path) -> None:
    written = io.BytesIO()
    np.savez(written, objects=np.array([{}], dtype=object))
    add_file(folder, "arrays.npz", written.getvalue())
    assert "arrays.npz holds no plain arrays" in load_error(folder)


def test_something_else_among_the_arrays_is_invalid(folder: Path) -> None:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        archive.writestr("objects.pkl", pickle.dumps({}))
    add_file(folder, "arrays.npz", written.getvalue())
    assert "arrays.npz holds something else than arrays" in load_error(folder)


def test_a_single_array_is_no_model(folder: Path) -> None:
    written = io.BytesIO()
    np.save(written, np.zeros(3))
    add_file(folder, "arrays.npz", written.getvalue())
    assert "arrays.npz holds something else than arrays" in load_error(folder)


def test_a_file_that_is_no_booster_is_invalid(folder: Path) -> None:
    add_file(folder, "ranker.txt", b"print('hello')")
    assert "ranker.txt is no LightGBM model" in load_error(folder)


def test_a_file_that_is_no_arrow_table_is_invalid(folder: Path) -> None:
    add_file(folder, "products.arrow", pickle.dumps({}))
    assert "products.arrow is no Arrow file" in load_error(folder)


def test_an_arrow_file_whose_offsets_lead_out_of_its_buffers_is_invalid(folder: Path) -> None:
    offsets = pa.py_buffer(np.array([0, 900_000, 3], np.int32))
    names = pa.Array.from_buffers(pa.string(), 2, [None, offsets, pa.py_buffer(b"abc")])
    written = io.BytesIO()
    with pa.ipc.new_file(written, pa.schema({"name": pa.string()})) as writer:
        writer.write_table(pa.table({"name": names}))
    add_file(folder, "products.arrow", written.getvalue())
    assert "products.arrow is no Arrow file" in load_error(folder)


@pytest.mark.parametrize("name", ["../outside.txt", "/etc/hostname", "../../x.arrow"])
def test_a_manifest_with_a_path_outside_the_folder_is_invalid(folder: Path, name: str) -> None:
    (folder.parent / "outside.txt").write_text(BOOSTER.model_to_string())
    rewrite(folder, lambda manifest: manifest["files"].update({name: manifest["files"]["ranker.txt"]}))
    assert "is missing" in load_error(folder)


def test_a_symbolic_link_is_invalid(folder: Path) -> None:
    outside = (folder / "ranker.txt").rename(folder.parent / "outside.txt")
    (folder / "ranker.txt").symlink_to(outside)
    assert f"{folder / 'ranker.txt'} is not a file" in load_error(folder)
