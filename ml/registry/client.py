"""A client of MLflow's model registry, over its REST API.

Services use it instead of MLflow's own client, which would take more memory than a model.
"""

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import quote

import httpx
from pydantic import ValidationError

from ml.registry.errors import InvalidArtifact
from ml.registry.version import CHALLENGER, CHAMPION, PREVIOUS, ModelVersion, Provenance

_PROMOTE_TIME = "promote_time"
# MLflow answers with the second for an alias that is not set.
_NOT_FOUND = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")


def registered_name(model: str) -> str:
    """The name of `recommender` or `forecaster` in the registry, which may hold models of others too."""
    return f"hashiramart-{model}"


class RegistryUnavailable(Exception):
    """MLflow, or the object store behind it, cannot be reached."""


class VersionNotFound(Exception):
    """There is no version of this number."""


class GateNotPassed(Exception):
    """The version did not pass the gate."""


class NoPreviousVersion(Exception):
    """No version was champion before the present one."""


class VersionPage(NamedTuple):
    """A page of versions, newest first."""

    versions: list[ModelVersion]
    next_token: str
    """MLflow's token for the next page; empty on the last."""


class RegistryClient:
    """The versions of one model in the registry of an MLflow server.

    Every method raises `RegistryUnavailable` if a call fails or times out, and `InvalidArtifact` for a version that was not
    registered by this pipeline.

    client: its timeouts apply to each call
    url: the address of MLflow, such as `http://127.0.0.1:5000`
    model: the registered name of the model
    """

    def __init__(self, client: httpx.AsyncClient, url: str, model: str) -> None:
        self._client = client
        self._url = url.rstrip("/")
        self._model = model

    async def champion(self) -> ModelVersion | None:
        """The version that services are to answer from, or None before the first promotion."""
        return await self._by_alias(CHAMPION)

    async def previous(self) -> ModelVersion:
        """The version that was champion before the present one. Raises `NoPreviousVersion`."""
        previous = await self._by_alias(PREVIOUS)
        if previous is None:
            raise NoPreviousVersion
        return previous

    async def get(self, number: str) -> ModelVersion:
        """The version of this number. Raises `VersionNotFound`."""
        answer = await self._call("GET", "model-versions/get", params={"name": self._model, "version": number})
        if answer is None:
            raise VersionNotFound(number)
        return self._version(answer["model_version"])

    async def of_job(self, job_id: str) -> ModelVersion | None:
        """The version that a training job registered, or None."""
        query = {"filter": f"name='{self._model}' AND tags.job_id='{job_id}'", "max_results": 1}
        answer = await self._call("GET", "model-versions/search", params=query) or {}
        found = answer.get("model_versions", ())
        # The result of a search has no aliases.
        return await self.get(str(found[0]["version"])) if found else None

    async def page(self, size: int, token: str = "") -> VersionPage:
        """At most `size` versions, newest first. token: `next_token` of the page before"""
        query = {"filter": f"name='{self._model}'", "order_by": "version_number DESC", "max_results": size}
        answer = await self._call("GET", "model-versions/search", params=query | ({"page_token": token} if token else {})) or {}
        # The result of a search has no aliases.
        aliases = await self._aliases()
        versions = []
        for fields in answer.get("model_versions", ()):
            # Versions that somebody else registered under the name are left out.
            with suppress(InvalidArtifact):
                versions.append(self._version({**fields, "aliases": aliases.get(str(fields["version"]), ())}))
        return VersionPage(versions, answer.get("next_page_token", ""))

    async def promote(self, number: str, *, force: bool = False) -> ModelVersion:
        """Makes a version the champion, and the present champion the previous version.

        Raises `VersionNotFound`, and `GateNotPassed` unless forced.
        """
        version, champion = await self.get(number), await self.champion()
        if not (force or version.provenance.gate.passed):
            raise GateNotPassed(number)
        if champion and champion.number == number:
            return version
        # An interruption never leaves the model without a champion: the alias moves in one call, after everything it depends on.
        if champion:
            await self._set_alias(PREVIOUS, champion.number)
        tag = {"name": self._model, "version": number, "key": _PROMOTE_TIME, "value": datetime.now(UTC).isoformat()}
        await self._call("POST", "model-versions/set-tag", json=tag)
        await self._set_alias(CHAMPION, number)
        if CHALLENGER in version.aliases:
            await self._call("DELETE", "registered-models/alias", json={"name": self._model, "alias": CHALLENGER})
        return await self.get(number)

    async def download(self, version: ModelVersion, folder: Path) -> None:
        """Downloads the files of a version's artifact to a folder."""
        root = f"{self._url}/api/2.0/mlflow-artifacts/artifacts"
        try:
            listed = await self._client.get(root, params={"path": version.artifact_path})
            for entry in listed.raise_for_status().json().get("files", ()):
                # Only the last part of a path: the server cannot have a file written outside of the folder.
                name = PurePosixPath(entry["path"]).name
                with (folder / name).open("wb") as file:
                    async with self._client.stream("GET", f"{root}/{quote(version.artifact_path)}/{quote(name)}") as response:
                        async for chunk in response.raise_for_status().aiter_bytes():
                            file.write(chunk)
        except httpx.HTTPError as error:
            raise RegistryUnavailable(f"The artifact of version {version.number} cannot be fetched: {error}.") from error

    async def _by_alias(self, alias: str) -> ModelVersion | None:
        answer = await self._call("GET", "registered-models/alias", params={"name": self._model, "alias": alias})
        return None if answer is None else self._version(answer["model_version"])

    async def _aliases(self) -> Mapping[str, list[str]]:
        """The aliases of each version that has any, by its number."""
        answer = await self._call("GET", "registered-models/get", params={"name": self._model}) or {}
        aliases: dict[str, list[str]] = {}
        for entry in answer.get("registered_model", {}).get("aliases", ()):
            aliases.setdefault(str(entry["version"]), []).append(entry["alias"])
        return aliases

    async def _set_alias(self, alias: str, number: str) -> None:
        await self._call("POST", "registered-models/alias", json={"name": self._model, "alias": alias, "version": number})

    async def _call(self, method: str, path: str, **content: Any) -> dict[str, Any] | None:
        """MLflow's answer, or None if a GET finds nothing of that name."""
        try:
            response = await self._client.request(method, f"{self._url}/api/2.0/mlflow/{path}", **content)
            if method == "GET" and response.is_client_error and response.json().get("error_code") in _NOT_FOUND:
                return None
            answer: dict[str, Any] = response.raise_for_status().json()
        except (httpx.HTTPError, ValueError) as error:
            raise RegistryUnavailable(f"MLflow at {self._url} cannot be reached: {error}.") from error
        return answer

    def _version(self, fields: Mapping[str, Any]) -> ModelVersion:
        """A version as MLflow describes it."""
        tags = {tag["key"]: tag["value"] for tag in fields.get("tags", ())}
        path = fields["source"].removeprefix("mlflow-artifacts:").lstrip("/")
        try:
            provenance = Provenance.from_tags(tags)
        except (KeyError, ValidationError) as error:
            raise InvalidArtifact(f"Version {fields['version']} of {self._model} in MLflow was not registered by this pipeline.") from error
        return ModelVersion(
            number=str(fields["version"]),
            aliases=tuple(sorted(fields.get("aliases", ()))),
            create_time=datetime.fromtimestamp(int(fields["creation_timestamp"]) / 1000, UTC),
            promote_time=datetime.fromisoformat(tags[_PROMOTE_TIME]) if _PROMOTE_TIME in tags else None,
            run_id=fields["run_id"],
            run_url=f"{self._url}/#/experiments/{path.partition('/')[0]}/runs/{fields['run_id']}",
            artifact_path=path,
            provenance=provenance,
        )
