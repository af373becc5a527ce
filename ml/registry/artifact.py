"""Artifacts: a model as files on disk, with a manifest of their sizes and SHA-256 digests."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zipfile import BadZipFile

import lightgbm as lgb
import numpy as np
import pyarrow as pa
from numpy.lib.npyio import NpzFile
from pydantic import BaseModel, ValidationError

from ml.registry.errors import InvalidArtifact

# To be increased when older code cannot read what is written, or newer code cannot read what was written.
_FORMAT = 1
_MANIFEST = "manifest.json"
_ARRAYS = "arrays.npz"
_NAME = re.compile(r"arrays\.npz|\w{1,100}\.(txt|arrow)", re.ASCII)


@dataclass(frozen=True)
class Artifact:
    """The parts of a saved model."""

    facts: Mapping[str, Any]
    """JSON: columns, parameters, hash of the data, dates."""
    arrays: Mapping[str, np.ndarray]
    boosters: Mapping[str, lgb.Booster]
    tables: Mapping[str, pa.Table]


def save(
    folder: Path,
    kind: str,
    facts: Mapping[str, object],
    *,
    arrays: Mapping[str, np.ndarray],
    boosters: Mapping[str, lgb.Booster],
    tables: Mapping[str, pa.Table],
) -> None:
    """Writes a model: `arrays.npz`, a LightGBM text file per booster, an Arrow file per table, and `manifest.json`.

    Replaces the folder atomically. The same model gives the same bytes.

    kind: the kind of the model, which `load` checks
    boosters, tables: by names of letters, digits and `_`

    Raises `ValueError` for any other name, an array of objects, or a fact that is not valid JSON.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as work:
        fresh = Path(work, "fresh")
        fresh.mkdir()
        np.savez(fresh / _ARRAYS, allow_pickle=False, **arrays)
        for name, booster in boosters.items():
            (fresh / _file_name(f"{name}.txt")).write_text(booster.model_to_string())
        for name, table in tables.items():
            with pa.ipc.new_file(fresh / _file_name(f"{name}.arrow"), table.schema) as writer:
                writer.write_table(table)
        files = {path.name: _File(byte_count=path.stat().st_size, sha256=_sha256(path)) for path in sorted(fresh.iterdir())}
        manifest = _Manifest(format=_FORMAT, kind=kind, facts=dict(facts), files=files)
        (fresh / _MANIFEST).write_text(json.dumps(manifest.model_dump(), indent=1, allow_nan=False) + "\n")
        if folder.exists():
            folder.rename(Path(work, "before"))
        fresh.rename(folder)


def load(folder: Path, kind: str) -> Artifact:
    """Reads the model of this kind from a folder. Raises `InvalidArtifact`."""
    manifest = _read_manifest(folder)
    if manifest.kind != kind:
        raise InvalidArtifact(f"{folder / _MANIFEST} is that of a {manifest.kind}, not of a {kind}.")
    boosters = {Path(name).stem: _booster(folder / name) for name in manifest.files if name.endswith(".txt")}
    tables = {Path(name).stem: _table(folder / name) for name in manifest.files if name.endswith(".arrow")}
    return Artifact(manifest.facts, _arrays(folder / _ARRAYS), boosters, tables)


def digest(folder: Path) -> str:
    """The SHA-256 of the manifest, which identifies the whole artifact. Raises `InvalidArtifact` if the files do not match the manifest."""
    _read_manifest(folder)
    return _sha256(folder / _MANIFEST)


class _File(BaseModel, frozen=True, strict=True, extra="forbid"):
    byte_count: int
    sha256: str


class _Manifest(BaseModel, frozen=True, strict=True, extra="forbid"):
    format: int
    kind: str
    facts: dict[str, Any]
    files: dict[str, _File]


def _read_manifest(folder: Path) -> _Manifest:
    """The manifest of a folder, once every file has been checked against it."""
    path = folder / _MANIFEST
    try:
        manifest = _Manifest.model_validate_json(path.read_bytes())
    except OSError as error:
        raise InvalidArtifact(f"{path} cannot be read: {error.strerror}.") from error
    except ValidationError as error:
        raise InvalidArtifact(f"{path} is no manifest of a model: {error.errors()[0]['msg']}.") from error
    if manifest.format != _FORMAT:
        raise InvalidArtifact(f"{path} is of format {manifest.format}; this code reads format {_FORMAT}.")
    found = {entry.name for entry in folder.iterdir()} - {_MANIFEST}
    for name in sorted(found.symmetric_difference({*manifest.files, _ARRAYS})):
        raise InvalidArtifact(f"{folder / name} is {'not named in the manifest' if name in found else 'missing'}.")
    for name, file in manifest.files.items():
        _check_file(folder / name, file)
    return manifest


def _check_file(path: Path, file: _File) -> None:
    if not _NAME.fullmatch(path.name):
        raise InvalidArtifact(f"{path} is neither arrays, LightGBM text nor Arrow, which is all that models are made of.")
    if path.is_symlink() or not path.is_file():
        raise InvalidArtifact(f"{path} is not a file.")
    if (size := path.stat().st_size) != file.byte_count:
        raise InvalidArtifact(f"{path} has {size} bytes and was saved with {file.byte_count}.")
    if _sha256(path) != file.sha256:
        raise InvalidArtifact(f"{path} is not as it was saved: its SHA-256 is another.")


def _arrays(path: Path) -> dict[str, np.ndarray]:
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, NpzFile):
            with loaded:
                arrays = dict(loaded)
            # A member of the zip file that is not an array is returned as bytes.
            if all(isinstance(array, np.ndarray) for array in arrays.values()):
                return arrays
    except (BadZipFile, EOFError, OSError, ValueError) as error:
        raise InvalidArtifact(f"{path} holds no plain arrays: {error}.") from error
    raise InvalidArtifact(f"{path} holds something else than arrays.")


def _booster(path: Path) -> lgb.Booster:
    try:
        return lgb.Booster(model_file=path)
    except lgb.basic.LightGBMError as error:
        raise InvalidArtifact(f"{path} is no LightGBM model: {error}.") from error


def _table(path: Path) -> pa.Table:
    try:
        # Memory-mapped: what was read once and is not needed again gives its memory back.
        table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
        # Arrow believes the offsets and lengths that a file states; wrong ones lead out of its buffers.
        table.validate(full=True)
    except (pa.ArrowException, OSError) as error:
        raise InvalidArtifact(f"{path} is no Arrow file: {error}.") from error
    return table


def _file_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name} is no name for a file of a model")
    return name


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
