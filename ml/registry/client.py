"""A client of MLflow's model registry, over its REST API.

Services use it instead of MLflow's own client, which would take more memory than a model.
"""

import logging
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ValidationError

from ml.registry.answers import Done, ErrorAnswer, Numbered, OneModel, OneVersion, StoredFiles, VersionAnswer, Versions
from ml.registry.errors import InvalidArtifact
from ml.registry.signature import Verifier
from ml.registry.version import CHALLENGER, CHAMPION, PREVIOUS, PROMOTION_TAG, ModelVersion, Promotion, Provenance

# The largest size of an artifact's files together. Those of the demo's models have less than a hundredth of it.
MAX_BYTES = 2 * 1024**3
# How many champions back a rollback can go.
_EARLIER_VERSIONS_KEPT = 20
# MLflow answers with the second for an alias that is not set.
_NOT_FOUND = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")

# The file that makes a folder a model of MLflow, and where in it is the artifact.
PACKAGE_FILE, PACKAGED_ARTIFACT = "MLmodel", "artifacts/model"

_log = logging.getLogger(__name__)

A = TypeVar("A", bound=BaseModel)


def registered_name(model: str) -> str:
    """The name of `recommender` or `forecaster` in the registry, which may hold models of others too."""
    return f"hashiramart-{model}"


class RegistryUnavailable(Exception):
    """MLflow, or the object store behind it, cannot be reached, or does not answer as its API does."""


class VersionNotFound(Exception):
    """There is no version of this number."""


class GateNotPassed(Exception):
    """The version did not pass the gate."""


class RolledBack(Exception):
    """The champion replaced the version by a rollback."""


class NoPreviousVersion(Exception):
    """No version was champion before the present one."""


class ChampionChanged(Exception):
    """The champion is not the version that was expected."""

    def __init__(self, number: str) -> None:
        """number: of the champion; empty if there is none"""
        super().__init__(number)
        self.number = number


class VersionPage(NamedTuple):
    """A page of versions, newest first."""

    versions: list[ModelVersion]
    next_token: str
    """MLflow's token for the next page; empty on the last."""


class RegistryClient:
    """The versions of one model in the registry of an MLflow server.

    Every method raises `RegistryUnavailable` if a call fails, times out or has an answer of another form, and `InvalidArtifact` for a
    version that was not registered and signed by this pipeline, or whose tags were changed since. Whatever MLflow answers, nothing else is
    raised.

    client: its timeouts apply to each call, and it signs in
    url: the address of MLflow, such as `http://127.0.0.1:5000`
    model: the registered name of the model
    verifier: of the pipeline's signatures
    """

    def __init__(self, client: httpx.AsyncClient, url: str, model: str, verifier: Verifier) -> None:
        self._client = client
        self._verifier = verifier
        self._url = url.rstrip("/")
        self.model = model

    async def ping(self) -> None:
        """Asks MLflow for the model, which need not exist."""
        await self._aliases()

    async def champion(self) -> ModelVersion | None:
        """The version that services are to answer from, or None before the first promotion."""
        return await self._by_alias(CHAMPION)

    async def champion_to_replace(self) -> ModelVersion | None:
        """The champion, or None if there is none, or only a version that the pipeline did not sign: no promotion is to wait for that one.

        Services do not serve such a version. Somebody has moved the alias, or changed tags, by a client of MLflow's.
        """
        try:
            return await self.champion()
        except InvalidArtifact as error:
            _log.warning("the alias champion of %s is at a version that counts as none: %s", self.model, error)
            return None

    async def challenger(self) -> ModelVersion | None:
        """The version that was trained last, unless it has become the champion; None without one."""
        return await self._by_alias(CHALLENGER)

    async def get(self, number: str) -> ModelVersion:
        """The version of this number. Raises `VersionNotFound`."""
        answer = await self._get("model-versions/get", OneVersion, {"name": self.model, "version": number})
        if answer is None:
            raise VersionNotFound(number)
        return self._version(answer.model_version)

    async def of_job(self, job_id: str) -> ModelVersion | None:
        """The version that a training job registered, or None."""
        query = {"filter": f"name='{self.model}' AND tags.job_id='{job_id}'", "max_results": 1}
        answer = await self._get("model-versions/search", Versions, query)
        # The result of a search has no aliases.
        return await self.get(answer.model_versions[0].version) if answer and answer.model_versions else None

    async def page(self, size: int, token: str = "") -> VersionPage:
        """At most `size` versions, newest first. token: `next_token` of the page before"""
        query = {"filter": f"name='{self.model}'", "order_by": "version_number DESC", "max_results": size}
        answer = await self._get("model-versions/search", Versions, query | ({"page_token": token} if token else {})) or Versions()
        # The result of a search has no aliases.
        aliases = await self._aliases()
        versions = []
        for found in answer.model_versions:
            # Versions that somebody else registered under the name are left out.
            with suppress(InvalidArtifact):
                versions.append(self._version(found.model_copy(update={"aliases": aliases.get(found.version, ())})))
        return VersionPage(versions, answer.next_page_token)

    async def check_promotion(self, number: str, expected_champion: str) -> None:
        """Raises what `promote` would raise for a version, unless it is the champion already."""
        version, champion = await self.get(number), await self.champion_to_replace()
        if not (champion and champion.number == number):
            _check_promotion(version, champion, expected_champion, force=False)

    async def promote(
        self,
        number: str,
        reason: str,
        *,
        promoted_by: str = "",
        expected_champion: str | None = None,
        force: bool = False,
        approval: str = "",
    ) -> ModelVersion:
        """Makes a version the champion. Changes nothing if it is that already, and approved so.

        promoted_by: a user's id; empty for a training
        approval: the proof that an admin forced it, for a version that did not pass the gate
        expected_champion: the number of `champion_to_replace` before the call, empty if there is none; None means any

        MLflow has no conditional write: of two processes that promote within the same milliseconds, the later one wins.

        Raises `VersionNotFound`, `ChampionChanged`, and unless forced `GateNotPassed` and `RolledBack`.
        """
        version, champion = await self.get(number), await self.champion_to_replace()
        if champion and champion.number == number and (not approval or champion.approval == approval):
            return await self._end_challenge(version)
        _check_promotion(version, champion, expected_champion, force)
        replaced = champion.number if champion else ""
        before = (champion.number, *(champion.promotion.earlier_versions if champion.promotion else ())) if champion else ()
        earlier = tuple(each for each in before if each != number)[:_EARLIER_VERSIONS_KEPT]
        return await self._make_champion(version, reason, promoted_by, replaced, earlier, rollback=False, approval=approval)

    async def rollback_target(self, expected_champion: str) -> ModelVersion:
        """The version that `roll_back` makes the champion, or the champion if it was rolled back to already.

        Raises `ChampionChanged`, `NoPreviousVersion`, and `VersionNotFound` if the version was deleted.
        """
        return await self._rollback_target(await self.champion(), expected_champion)

    async def roll_back(self, reason: str, *, promoted_by: str, expected_champion: str) -> ModelVersion:
        """Replaces the champion by the one before it. Changes nothing if the expected champion was rolled back already.

        Raises what `rollback_target` raises.
        """
        champion = await self.champion()
        target = await self._rollback_target(champion, expected_champion)
        if champion is None or champion.promotion is None or champion.number == target.number:
            return target
        earlier = champion.promotion.earlier_versions[1:]
        return await self._make_champion(target, reason, promoted_by, champion.number, earlier, rollback=True)

    async def download(self, version: ModelVersion, folder: Path, max_bytes: int) -> None:
        """Downloads the files of a version's artifact to a folder. Raises `InvalidArtifact` if they have more bytes together."""
        root, left, path = f"{self._url}/api/2.0/mlflow-artifacts/artifacts", max_bytes, version.artifact_path
        try:
            stored = await self._stored_files(root, path)
            # Versions of earlier releases are bare artifacts.
            if any(PurePosixPath(entry.path).name == PACKAGE_FILE for entry in stored.files):
                path = f"{path}/{PACKAGED_ARTIFACT}"
                stored = await self._stored_files(root, path)
            for entry in stored.files:
                # Only the last part of a path: the server cannot have a file written outside of the folder.
                name = PurePosixPath(entry.path).name
                with (folder / name).open("wb") as file:
                    async with self._client.stream("GET", f"{root}/{quote(path)}/{quote(name)}") as response:
                        async for chunk in response.raise_for_status().aiter_bytes():
                            left -= len(chunk)
                            if left < 0:
                                raise InvalidArtifact(f"The artifact of version {version.number} is larger than {max_bytes} bytes.")
                            file.write(chunk)
        except (httpx.HTTPError, ValidationError) as error:
            raise RegistryUnavailable(f"The artifact of version {version.number} cannot be fetched: {error}.") from error

    async def _stored_files(self, root: str, path: str) -> StoredFiles:
        """The files and folders in a folder of MLflow's store."""
        listed = await self._client.get(root, params={"path": path})
        return StoredFiles.model_validate_json(listed.raise_for_status().content)

    async def _rollback_target(self, champion: ModelVersion | None, expected_champion: str) -> ModelVersion:
        if champion and champion.was_rolled_back_from(expected_champion):
            return champion
        if champion is None or champion.number != expected_champion:
            raise ChampionChanged(champion.number if champion else "")
        if champion.promotion is None or not champion.promotion.earlier_versions:
            raise NoPreviousVersion
        return await self.get(champion.promotion.earlier_versions[0])

    async def _make_champion(
        self,
        version: ModelVersion,
        reason: str,
        promoted_by: str,
        replaced: str,
        earlier: tuple[str, ...],
        *,
        rollback: bool,
        approval: str = "",
    ) -> ModelVersion:
        promotion = Promotion(
            time=datetime.now(UTC),
            reason=reason,
            promoted_by=promoted_by,
            replaced_version=replaced,
            rollback=rollback,
            earlier_versions=earlier,
            approval=approval or version.approval,
        )
        # An interruption never leaves the model without a champion: the alias moves in one call, after everything it depends on.
        tag = {"name": self.model, "version": version.number, "key": PROMOTION_TAG, "value": promotion.model_dump_json()}
        await self._change("POST", "model-versions/set-tag", tag)
        if earlier:
            await self._set_alias(PREVIOUS, earlier[0])
        await self._set_alias(CHAMPION, version.number)
        if not earlier:
            await self._delete_alias(PREVIOUS)
        return await self._end_challenge(version)

    async def _end_challenge(self, version: ModelVersion) -> ModelVersion:
        """The champion after its promotion, of which this is the last step."""
        if CHALLENGER in version.aliases:
            await self._delete_alias(CHALLENGER)
        return await self.get(version.number)

    async def _by_alias(self, alias: str) -> ModelVersion | None:
        answer = await self._get("registered-models/alias", OneVersion, {"name": self.model, "alias": alias})
        return None if answer is None else self._version(answer.model_version)

    async def _aliases(self) -> Mapping[str, list[str]]:
        """The aliases of each version that has any, by its number."""
        answer = await self._get("registered-models/get", OneModel, {"name": self.model}) or OneModel()
        aliases: dict[str, list[str]] = {}
        for entry in answer.registered_model.aliases:
            aliases.setdefault(entry.version, []).append(entry.alias)
        return aliases

    async def _set_alias(self, alias: str, number: str) -> None:
        await self._change("POST", "registered-models/alias", {"name": self.model, "alias": alias, "version": number})

    async def _delete_alias(self, alias: str) -> None:
        await self._change("DELETE", "registered-models/alias", {"name": self.model, "alias": alias})

    async def _get(self, path: str, form: type[A], parameters: Mapping[str, Any]) -> A | None:
        """MLflow's answer, or None if it finds nothing of that name."""
        return await self._call("GET", path, form, params=parameters)

    async def _change(self, method: str, path: str, content: Mapping[str, Any]) -> None:
        await self._call(method, path, Done, json=content)

    async def _call(self, method: str, path: str, form: type[A], **content: Any) -> A | None:
        try:
            response = await self._client.request(method, f"{self._url}/api/2.0/mlflow/{path}", **content)
            if response.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
                raise RegistryUnavailable(f"MLflow at {self._url} refuses the account for {path}: {response.text.strip()}")
            is_refused = method == "GET" and response.is_client_error
            if is_refused and ErrorAnswer.model_validate_json(response.content).error_code in _NOT_FOUND:
                return None
            return form.model_validate_json(response.raise_for_status().content)
        except httpx.HTTPError as error:
            raise RegistryUnavailable(f"MLflow at {self._url} cannot be reached: {error}.") from error
        except ValidationError as error:
            raise RegistryUnavailable(f"MLflow at {self._url} answers {path} with something else: {_first(error)}.") from error

    def _version(self, found: Numbered) -> ModelVersion:
        """A version as MLflow describes it."""
        try:
            fields = VersionAnswer.model_validate(found.model_dump())
            tags = {tag.key: tag.value for tag in fields.tags}
            provenance = Provenance.from_tags(tags)
        except ValidationError as error:
            text = f"Version {found.version} of {self.model} in MLflow was not registered by this pipeline: {_first(error)}."
            raise InvalidArtifact(text) from error
        try:
            self._verifier.verify(self.model, tags)
        except InvalidArtifact as error:
            raise InvalidArtifact(f"Version {found.version} of {self.model} in MLflow is not used: {error}.") from error
        try:
            promotion = Promotion.model_validate_json(tags[PROMOTION_TAG]) if PROMOTION_TAG in tags else None
        except ValidationError as error:
            text = f"The tag {PROMOTION_TAG} of version {found.version} of {self.model} in MLflow was changed: {_first(error)}."
            raise InvalidArtifact(text) from error
        path = fields.source.removeprefix("mlflow-artifacts:").lstrip("/")
        return ModelVersion(
            number=fields.version,
            aliases=tuple(sorted(fields.aliases)),
            create_time=fields.creation_timestamp,
            promotion=promotion,
            run_id=fields.run_id,
            run_url=f"{self._url}/#/experiments/{path.partition('/')[0]}/runs/{fields.run_id}",
            artifact_path=path,
            provenance=provenance,
        )


def _check_promotion(version: ModelVersion, champion: ModelVersion | None, expected_champion: str | None, force: bool) -> None:
    """Raises what `RegistryClient.promote` raises for a version that is to replace the champion."""
    replaced = champion.number if champion else ""
    if expected_champion not in (None, replaced):
        raise ChampionChanged(replaced)
    if not (force or version.provenance.gate.passed):
        raise GateNotPassed(version.number)
    if champion and champion.was_rolled_back_from(version.number) and not force:
        raise RolledBack(version.number)


def _first(error: ValidationError) -> str:
    """The first fault that was found, with its place."""
    fault = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(map(str, fault['loc'])) or 'the whole'}: {fault['msg']}"
