"""Publishing: one conditional write of the manifest replaces the clean data as a whole."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from lake.bucket import Bucket, StoredObject
from lake.errors import ObjectChanged, PublishConflict
from lake.manifest import DATASET_KEY, MANIFEST_KEY, Dataset, Manifest
from lake.schemas import TABLES

# Earlier manifests, by run id. Run ids begin with the time, so the latest sort last.
HISTORY = "clean/_manifests"
# Readers may still be reading what these name, the current one included.
KEPT_MANIFESTS = 10
# A run that began longer ago has ended, whether it published or not.
LONGEST_RUN = timedelta(days=1)
# How the id of a run begins.
_RUN_TIME = "%Y%m%dT%H%M%S"


@dataclass(frozen=True)
class Publication:
    """The published manifest, and its object as it was read."""

    manifest: Manifest
    stored: StoredObject


def read_publication(bucket: Bucket) -> Publication | None:
    """What is published now; None before the first run."""
    stored = bucket.read(MANIFEST_KEY)
    return None if stored is None else Publication(Manifest.model_validate_json(stored.content), stored)


def publish(bucket: Bucket, manifest: Manifest, replaces: Publication | None) -> None:
    """Publishes a manifest: before, readers see all of the earlier data, afterwards all of this.

    Then removes the files that none of the last ten manifests names: of runs that have published, and of those that began more than a day
    before, which have ended. Younger ones may still be writing.

    replaces: what was published when the run began

    Raises `PublishConflict` if something else has been published since.
    """
    if replaces is not None:
        bucket.write(f"{HISTORY}/{replaces.manifest.run_id}.json", replaces.stored.content)
    try:
        bucket.replace(MANIFEST_KEY, manifest.model_dump_json(indent=1).encode(), None if replaces is None else replaces.stored)
    except ObjectChanged as error:
        raise PublishConflict from error
    write_dataset(bucket, manifest.dataset())
    _remove_unnamed_files(bucket, manifest)


def write_dataset(bucket: Bucket, dataset: Dataset) -> None:
    """Writes `_DATASET.json` unless it is up to date: DVC runs the pipeline again when the object changes."""
    text = dataset.model_dump_json(indent=1).encode()
    stored = bucket.read(DATASET_KEY)
    if stored is None or stored.content != text:
        bucket.write(DATASET_KEY, text)


def expire_snapshots(bucket: Bucket, before: datetime) -> None:
    """Removes the manifests of runs that began before a time, except the published one, and the files that no remaining one names."""
    if publication := read_publication(bucket):
        _remove_unnamed_files(bucket, publication.manifest, f"{before:{_RUN_TIME}}")


def _remove_unnamed_files(bucket: Bucket, manifest: Manifest, expired_run: str = "") -> None:
    """Removes manifests beyond the last ten, and the files that no remaining one names, but for those of young runs.

    expired_run: manifests of runs whose id sorts before this are removed too
    """
    history = sorted(bucket.byte_counts(HISTORY))
    published = {_manifest_run(key) for key in history}
    oldest = f"{manifest.create_time - LONGEST_RUN:{_RUN_TIME}}"
    recent = [key for key in history[1 - KEPT_MANIFESTS :] if _manifest_run(key) >= expired_run]
    expired = [key for key in history if key not in recent]
    named = manifest.keys()
    for key in recent:
        if stored := bucket.read(key):
            named |= Manifest.model_validate_json(stored.content).keys()
    folders = {table.folder for table in TABLES.values()}
    unnamed = [key for folder in folders for key in bucket.byte_counts(folder) if key not in named]
    bucket.remove([*expired, *(key for key in unnamed if (run := _run_id(key)) < oldest or run in published)])


def _manifest_run(key: str) -> str:
    """The run whose manifest a key of the history holds."""
    return key.rpartition("/")[2].removesuffix(".json")


def _run_id(key: str) -> str:
    """The run that wrote a file; empty for a file of no run."""
    return key.partition("/run=")[2].partition("/")[0]
