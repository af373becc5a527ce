"""Stage: copies the published clean data from the lake to `data/`."""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel

from lake.bucket import Bucket, connect
from lake.errors import InvalidCleanData, LakeError
from lake.manifest import DATASET_KEY, Dataset
from lake.reading import MODEL_TABLES, PUBLISH_SECONDS, read_pieces, read_published
from ml.pipeline.progress import Report, reporter
from ml.pipeline.settings import Settings

# What is held in memory of a table.
ROW_GROUP_ROWS = 1024 * 1024


class OriginFile(BaseModel, frozen=True):
    """A raw file that the data was made of."""

    name: str
    sha256: str


class DataOrigin(BaseModel, frozen=True):
    """How the data came about, which may differ where the data is equal."""

    job_id: str
    code_commit: str
    raw_files: tuple[OriginFile, ...]


def fetch(bucket: Bucket, folder: Path, report: Report = print, publish_seconds: float = PUBLISH_SECONDS) -> Dataset:
    """Writes the tables and `dataset.json` to `clean/` in a folder, and `origin.json` beside it. Equal data gives equal bytes in `clean/`.

    report: called with a message for each table
    publish_seconds: how long to wait for a publication under way

    Raises `LakeError`.
    """
    manifest, dataset = read_published(bucket, publish_seconds)
    clean = folder / "clean"
    clean.mkdir(parents=True, exist_ok=True)
    for name in MODEL_TABLES:
        if name not in dataset.columns:
            # Such as exposures, of a shop that has none.
            (clean / f"{name}.parquet").unlink(missing_ok=True)
            continue
        row_count = write_table(clean / f"{name}.parquet", name, list(dataset.columns[name]), read_pieces(bucket, manifest, name))
        report(f"{name}: {row_count:,} rows")
    _write(clean / "dataset.json", dataset.model_dump(mode="json"))
    _write(folder / "origin.json", DataOrigin.model_validate(manifest.model_dump()).model_dump(mode="json"))
    return dataset


def write_table(file: Path, name: str, columns: list[str], pieces: Iterable[pa.Table]) -> int:
    """Writes a table to a Parquet file, and returns the number of its rows. The division into pieces does not change the file.

    columns: that it must have
    pieces: its rows, at least one piece

    Raises `InvalidCleanData`.
    """
    groups = _row_groups(pieces)
    group, row_count = next(groups), 0
    if group.column_names != columns:
        raise InvalidCleanData(f"{name} has the columns {', '.join(group.column_names)}, and by {DATASET_KEY} {', '.join(columns)}.")
    with pq.ParquetWriter(file, group.schema, compression="zstd") as writer:
        for rows in chain([group], groups):
            writer.write_table(rows, ROW_GROUP_ROWS)
            row_count += rows.num_rows
    return row_count


def main() -> None:
    settings = Settings()
    report = reporter("get_cleaned_data", settings)
    report("fetching the clean data")
    try:
        dataset = fetch(connect(settings.store_url, settings.store_region, settings.lake_bucket), Path("data"), report)
    except LakeError as error:
        sys.exit(str(error))
    report(f"clean data from {dataset.first_date} through {dataset.through_date}, {dataset.sha256[:12]}")


def _row_groups(pieces: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """The same rows in groups of equal length, but for the last."""
    waiting = []
    for piece in pieces:
        waiting.append(piece)
        while sum(each.num_rows for each in waiting) > ROW_GROUP_ROWS:
            rows = pa.concat_tables(waiting)
            yield rows.slice(0, ROW_GROUP_ROWS)
            waiting = [rows.slice(ROW_GROUP_ROWS)]
    yield pa.concat_tables(waiting)


def _write(file: Path, content: Mapping[str, Any]) -> None:
    file.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
