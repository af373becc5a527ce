"""Stage: copies the published clean data from the lake to `data/`."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from pydantic import BaseModel

from lake.bucket import Bucket, connect
from lake.errors import InvalidCleanData, LakeError
from lake.manifest import DATASET_KEY, Dataset
from lake.reading import MODEL_TABLES, PUBLISH_SECONDS, read_published, read_table
from ml.pipeline.progress import Report, reporter
from ml.pipeline.settings import Settings


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
        table = read_table(bucket, manifest, name)
        columns = list(dataset.columns[name])
        if table.column_names != columns:
            raise InvalidCleanData(f"{name} has the columns {', '.join(table.column_names)}, and by {DATASET_KEY} {', '.join(columns)}.")
        pq.write_table(table, clean / f"{name}.parquet", compression="zstd")
        report(f"{name}: {table.num_rows:,} rows")
    _write(clean / "dataset.json", dataset.model_dump(mode="json"))
    _write(folder / "origin.json", DataOrigin.model_validate(manifest.model_dump()).model_dump(mode="json"))
    return dataset


def main() -> None:
    settings = Settings()
    report = reporter("get_cleaned_data", settings)
    report("fetching the clean data")
    try:
        dataset = fetch(connect(settings.store_url, settings.store_region, settings.lake_bucket), Path("data"), report)
    except LakeError as error:
        sys.exit(str(error))
    report(f"clean data from {dataset.first_date} through {dataset.through_date}, {dataset.sha256[:12]}")


def _write(file: Path, content: Mapping[str, Any]) -> None:
    file.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
