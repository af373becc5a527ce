"""Deletes what trainings left before a time: data and models in DVC's cache and remote, runs and versions in MLflow.

    python -m ml.pipeline.retention --before 2026-10-29T00:00:00+00:00

Kept are the champions, the champions before them that were replaced after that time, which a rollback goes back to, and what the
`dvc.lock` of the checkout names: another training fetches or makes everything else anew.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from dvc.config import Config
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from pydantic import ValidationError
from ruamel.yaml import YAML

from lake.bucket import Bucket, connect
from lake.errors import LakeError
from ml.pipeline.settings import Settings
from ml.registry.client import registered_name
from ml.registry.version import CHAMPION, PROMOTION_TAG, Promotion

MODELS = ("recommender", "forecaster")
# Where DVC keeps files in its cache and its remote: by MD5, the first two digits of which are a folder.
FILES = "files/md5"
LOCK = "dvc.lock"


def delete_data(lock: Path, cache: Path, remote: Bucket, before: datetime) -> int:
    """Deletes the files in DVC's cache and remote that were written before a time and that a lock does not name; returns how many."""
    kept = set(_named_files(lock, cache, remote))
    stale = [file for file in (cache / FILES).glob("*/*") if _write_time(file) < before and _md5(file.as_posix()) not in kept]
    for file in stale:
        file.unlink(missing_ok=True)
    keys = [key for key in remote.keys_before(FILES, before) if _md5(key) not in kept]
    remote.remove(keys)
    return len(stale) + len(keys)


def delete_models(url: str, before: datetime) -> int:
    """Deletes the runs in MLflow that began before a time, with their versions and files; returns how many.

    Those of the champions stay, and those of earlier champions that were replaced after that time.
    """
    client = MlflowClient(url)
    return sum(_delete_versions(client, url, registered_name(model), before) for model in MODELS)


def earlier_champions(champion: str, promotions: Mapping[str, Promotion], since: datetime) -> list[str]:
    """The champions before one that were replaced after a time and that rollbacks go back to, latest first.

    promotions: how each version last became the champion, by its number
    """
    promotion = promotions.get(champion)
    # Each was replaced when the one after it became the champion.
    kept = list[str]()
    for earlier in promotion.earlier_versions if promotion else ():
        if promotion is None or promotion.time < since:
            break
        kept.append(earlier)
        promotion = promotions.get(earlier)
    return kept


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m ml.pipeline.retention", description=__doc__)
    parser.add_argument("--before", type=datetime.fromisoformat, required=True, help="with a time zone")
    before, settings, checkout = parser.parse_args().before, Settings(), Path.cwd()
    try:
        dvc = Config(str(checkout / ".dvc"))
        remote_url = dvc["remote"][dvc["core"]["remote"]]["url"]
        remote = connect(settings.store_url, settings.store_region, urlsplit(remote_url).netloc)
        files = delete_data(checkout / LOCK, Path(dvc["cache"]["dir"]), remote, before)
        runs = delete_models(settings.mlflow_url, before)
    except (LakeError, MlflowException, ValidationError) as error:
        sys.exit(f"Not everything that has expired was deleted: {error}")
    print(f"deleted {files} files of DVC and {runs} runs of MLflow from before {before:%Y-%m-%d}")


def _named_files(lock: Path, cache: Path, remote: Bucket) -> Iterator[str]:
    """The MD5 of each file that a lock names, also of those in folders."""
    if not lock.exists():
        return
    for stage in YAML(typ="safe", pure=True).load(lock)["stages"].values():
        for output in stage.get("outs", ()):
            md5 = str(output["md5"])
            yield md5
            if md5.endswith(".dir"):
                yield from (entry["md5"] for entry in _folder(md5, cache, remote))


def _folder(md5: str, cache: Path, remote: Bucket) -> list[dict[str, Any]]:
    """The files of a folder; none if nobody has the list any more."""
    path = f"{FILES}/{md5[:2]}/{md5[2:]}"
    if (cache / path).exists():
        content = (cache / path).read_bytes()
    else:
        stored = remote.read(path)
        content = stored.content if stored else b"[]"
    files: list[dict[str, Any]] = json.loads(content)
    return files


def _md5(path: str) -> str:
    """The MD5 of a file in DVC's cache or remote."""
    return "".join(path.rsplit("/", 2)[1:])


def _write_time(file: Path) -> datetime:
    return datetime.fromtimestamp(file.stat().st_mtime, UTC)


def _delete_versions(client: MlflowClient, url: str, model: str, before: datetime) -> int:
    experiment = client.get_experiment_by_name(model)
    if experiment is None:
        return 0
    versions = client.search_model_versions(f"name='{model}'")
    aliases = [registered.aliases for registered in client.search_registered_models(f"name='{model}'")]
    champion = next((str(found[CHAMPION]) for found in aliases if CHAMPION in found), "")
    tags = {str(version.version): version.tags.get(PROMOTION_TAG) for version in versions}
    promotions = {number: Promotion.model_validate_json(tag) for number, tag in tags.items() if tag}
    numbers = {champion, *earlier_champions(champion, promotions, before)}
    kept = {version.run_id for version in versions if str(version.version) in numbers}
    expired = [run for run in _runs_before(client, experiment.experiment_id, before) if run.info.run_id not in kept]
    ids = {run.info.run_id for run in expired}
    for version in versions:
        if version.run_id in ids:
            client.delete_model_version(model, str(version.version))
    for run in expired:
        # The run itself is deleted last, as it is what names the files.
        files: Any = get_artifact_repository(run.info.artifact_uri, tracking_uri=url)
        files.delete_artifacts()
        client.delete_run(run.info.run_id)
    return len(expired)


def _runs_before(client: MlflowClient, experiment_id: str, before: datetime) -> list[Run]:
    condition = f"attributes.start_time < {int(before.timestamp() * 1000)}"
    runs: list[Run] = []
    token = ""
    while True:
        page = client.search_runs([experiment_id], condition, page_token=token or None)
        runs.extend(page)
        if not (token := page.token):
            return runs


if __name__ == "__main__":
    main()
