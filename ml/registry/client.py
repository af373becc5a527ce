"""The versions of a model, as MLflow's registry keeps them, over its REST API.

Serving uses this instead of MLflow's own client, which would take more memory than a model.
"""

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, date, datetime
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import quote

import httpx
from pydantic import BaseModel, TypeAdapter, ValidationError

from ml.registry.errors import Refused
from ml.registry.gate import Judgement

CHAMPION, CHALLENGER, PREVIOUS = "champion", "challenger", "previous"


def registered_name(model: str) -> str:
    """What the registry knows `recommender` or `forecaster` by, among the models of others."""
    return f"hashiramart-{model}"


class Unavailable(Exception):
    """MLflow, or the store behind it, cannot be reached."""


class UnknownVersion(Exception):
    """There is no such version."""


class NotPassed(Exception):
    """The version did not pass the gate."""


class NoPrevious(Exception):
    """No version served before the champion."""


class Lineage(BaseModel, frozen=True):
    """Where a model came from: enough to make it again."""

    # The MD5 that DVC gives the data set.
    dvc_revision: str
    # The SHA-256 of the clean data's content.
    data_hash: str
    # The job that trained it. Empty if it was trained by hand.
    job_id: str
    # The job whose ETL made the clean data.
    etl_job_id: str
    # As `name sha256`.
    raw_files: tuple[str, ...]
    code_commit: str


class Provenance(BaseModel, frozen=True):
    """What is told of a model when it is registered, and kept as tags of its version."""

    # The digest of its artifact.
    artifact_sha256: str
    recipe: str
    parameters: Mapping[str, Any]
    data_through_date: date
    # Of the recipe, fitted before the test window.
    metrics: Mapping[str, float]
    gate: Judgement
    lineage: Lineage

    def tags(self) -> dict[str, str]:
        """Of the version in MLflow: text is kept as it is, anything else as JSON."""
        fields = self.model_dump(mode="json", exclude={"lineage"}) | self.lineage.model_dump(mode="json")
        return {name: value if isinstance(value, str) else _JSON.dump_json(value).decode() for name, value in fields.items()}


class Version(BaseModel, frozen=True):
    """A registered model."""

    number: str
    # Of CHAMPION, CHALLENGER and PREVIOUS.
    aliases: tuple[str, ...]
    create_time: datetime
    # When it last became champion.
    promote_time: datetime | None
    run_id: str
    # The run's page in MLflow.
    run_url: str
    # Where MLflow's proxy has its artifact.
    artifact_path: str
    provenance: Provenance

    @property
    def was_promoted(self) -> bool:
        """Whether it has ever been champion: while it becomes that, it has the time of it and is still the challenger."""
        return CHAMPION in self.aliases or (self.promote_time is not None and CHALLENGER not in self.aliases)

    def same(self, other: "Version") -> bool:
        """An MLflow that began anew counts from 1 again, so the number alone does not tell."""
        return (self.number, self.provenance.artifact_sha256) == (other.number, other.provenance.artifact_sha256)


class Page(NamedTuple):
    """A page of versions, the newest first, and MLflow's token for the next; empty on the last."""

    versions: list[Version]
    next_token: str


class Versions:
    """The versions of one model in the registry of an MLflow at an address such as `http://127.0.0.1:5000`.

    Each call may raise `Unavailable`, and `Refused` for a version that is not ours. The client's timeouts are those of each call.
    """

    def __init__(self, client: httpx.AsyncClient, url: str, model: str) -> None:
        self._client = client
        self._url = url.rstrip("/")
        self._model = model

    async def champion(self) -> Version | None:
        """The version that is to serve; none before one was promoted."""
        return await self._by_alias(CHAMPION)

    async def previous(self) -> Version:
        """The version that served before the champion. Raises `NoPrevious`."""
        previous = await self._by_alias(PREVIOUS)
        if previous is None:
            raise NoPrevious
        return previous

    async def get(self, number: str) -> Version:
        """Raises `UnknownVersion`."""
        answer = await self._call("GET", "model-versions/get", params={"name": self._model, "version": number})
        if answer is None:
            raise UnknownVersion(number)
        return self._version(answer["model_version"])

    async def of_job(self, job_id: str) -> Version | None:
        """The version that was registered for a job, if one was."""
        told = {"filter": f"name='{self._model}' AND tags.job_id='{job_id}'", "max_results": 1}
        answer = await self._call("GET", "model-versions/search", params=told) or {}
        found = answer.get("model_versions", ())
        # A search does not tell the aliases.
        return await self.get(str(found[0]["version"])) if found else None

    async def page(self, size: int, token: str = "") -> Page:
        """So many versions from where the page before left off."""
        told = {"filter": f"name='{self._model}'", "order_by": "version_number DESC", "max_results": size}
        answer = await self._call("GET", "model-versions/search", params=told | ({"page_token": token} if token else {})) or {}
        known = await self._call("GET", "registered-models/get", params={"name": self._model}) or {}
        # A search does not tell the aliases.
        aliases: dict[str, list[str]] = {}
        for each in known.get("registered_model", {}).get("aliases", ()):
            aliases.setdefault(str(each["version"]), []).append(each["alias"])
        versions = []
        for fields in answer.get("model_versions", ()):
            # What somebody else has registered under the name is none of ours.
            with suppress(Refused):
                versions.append(self._version({**fields, "aliases": aliases.get(str(fields["version"]), ())}))
        return Page(versions, answer.get("next_page_token", ""))

    async def promote(self, number: str, *, force: bool = False) -> Version:
        """Makes a version the champion, and the champion the previous one. Raises `UnknownVersion`; `NotPassed` unless forced."""
        version, champion = await self.get(number), await self.champion()
        if not (force or version.provenance.gate.passed):
            raise NotPassed(number)
        if champion and champion.number == number:
            return version
        # Whatever interrupts this, there is a champion: the old one up to the last call but one.
        if champion:
            await self._call("POST", "registered-models/alias", json=self._named(PREVIOUS, champion.number))
        told = {"name": self._model, "version": number, "key": _PROMOTE_TIME, "value": datetime.now(UTC).isoformat()}
        await self._call("POST", "model-versions/set-tag", json=told)
        await self._call("POST", "registered-models/alias", json=self._named(CHAMPION, number))
        if CHALLENGER in version.aliases:
            await self._call("DELETE", "registered-models/alias", json={"name": self._model, "alias": CHALLENGER})
        return await self.get(number)

    async def download(self, version: Version, folder: Path) -> None:
        """Writes the files of its artifact to a folder."""
        root = f"{self._url}/api/2.0/mlflow-artifacts/artifacts"
        try:
            listed = await self._client.get(root, params={"path": version.artifact_path})
            for entry in listed.raise_for_status().json().get("files", ()):
                # Whatever a store says, nothing is written elsewhere.
                name = PurePosixPath(entry["path"]).name
                with (folder / name).open("wb") as file:
                    async with self._client.stream("GET", f"{root}/{quote(version.artifact_path)}/{quote(name)}") as answer:
                        async for piece in answer.raise_for_status().aiter_bytes():
                            file.write(piece)
        except httpx.HTTPError as error:
            raise Unavailable(f"The artifact of version {version.number} cannot be fetched: {error}.") from error

    async def _by_alias(self, alias: str) -> Version | None:
        answer = await self._call("GET", "registered-models/alias", params={"name": self._model, "alias": alias})
        return None if answer is None else self._version(answer["model_version"])

    def _named(self, alias: str, number: str) -> dict[str, str]:
        return {"name": self._model, "alias": alias, "version": number}

    async def _call(self, method: str, path: str, **content: Any) -> dict[str, Any] | None:
        """What MLflow answers; None if there is nothing of that name."""
        try:
            answer = await self._client.request(method, f"{self._url}/api/2.0/mlflow/{path}", **content)
            if method == "GET" and answer.is_client_error and answer.json().get("error_code") in _UNKNOWN:
                return None
            told: dict[str, Any] = answer.raise_for_status().json()
        except (httpx.HTTPError, ValueError) as error:
            raise Unavailable(f"MLflow at {self._url} cannot be reached: {error}.") from error
        return told

    def _version(self, fields: Mapping[str, Any]) -> Version:
        tags = {tag["key"]: tag["value"] for tag in fields.get("tags", ())}
        path = fields["source"].removeprefix("mlflow-artifacts:").lstrip("/")
        return Version(
            number=str(fields["version"]),
            aliases=tuple(sorted(fields.get("aliases", ()))),
            create_time=datetime.fromtimestamp(int(fields["creation_timestamp"]) / 1000, UTC),
            promote_time=datetime.fromisoformat(tags[_PROMOTE_TIME]) if _PROMOTE_TIME in tags else None,
            run_id=fields["run_id"],
            run_url=f"{self._url}/#/experiments/{path.partition('/')[0]}/runs/{fields['run_id']}",
            artifact_path=path,
            provenance=self._provenance(fields["version"], tags),
        )

    def _provenance(self, number: str, tags: Mapping[str, str]) -> Provenance:
        try:
            structured = {name: _JSON.validate_json(tags[name]) for name in ("parameters", "metrics", "gate", "raw_files")}
            return Provenance.model_validate({**tags, **structured, "lineage": {**tags, **structured}})
        except (KeyError, ValidationError) as error:
            raise Refused(f"Version {number} of {self._model} in MLflow was not registered by this pipeline.") from error


_PROMOTE_TIME = "promote_time"
# MLflow says the second of an alias that is not set.
_UNKNOWN = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
_JSON = TypeAdapter[object](object)
