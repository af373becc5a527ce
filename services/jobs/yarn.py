"""A client of YARN's REST API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import httpx

from lake.hadoop.kerberos import KerberosError
from services.jobs.container_logs import LOG_FILES, LogFile, parse_logs
from services.jobs.errors import EngineUnavailable
from services.jobs.negotiation import engine_error


class Application(NamedTuple):
    """A YARN application."""

    id: str
    state: str
    """NEW, NEW_SAVING, SUBMITTED, ACCEPTED, RUNNING, FINISHED, FAILED or KILLED."""
    final_status: str
    """SUCCEEDED, FAILED or KILLED once it has ended."""
    diagnostics: str
    """YARN's explanation of its end."""
    log_status: str
    """The state of log aggregation, or DISABLED."""

    @property
    def is_saved(self) -> bool:
        """Whether a restarted ResourceManager still knows it."""
        return self.state not in ("NEW", "NEW_SAVING")

    @property
    def has_ended(self) -> bool:
        return self.state in ("FINISHED", "FAILED", "KILLED")

    @property
    def has_aggregated_logs(self) -> bool:
        return self.log_status in ("SUCCEEDED", "FAILED", "TIME_OUT")


class SparkProgress(NamedTuple):
    """The stage of a running Spark application, and the tasks of that stage."""

    stage: str
    done_count: int
    total_count: int


class YarnClient:
    """Calls the ResourceManager, and the NodeManagers that it knows, as one of YARN's users.

    url: of the ResourceManager, such as `http://127.0.0.1:8088`
    user: who kills applications; empty if the client signs in, and not needed for reading

    Methods raise `EngineUnavailable` unless they say otherwise.
    """

    def __init__(self, client: httpx.AsyncClient, url: str, user: str = "") -> None:
        self._client = client
        self._url = url
        self._user = user

    async def ping(self) -> None:
        """Asks the ResourceManager whether it is active."""
        # While it recovers its applications, it already answers, but is not active yet.
        if (await self._get("/ws/v1/cluster/info"))["clusterInfo"]["haState"] != "ACTIVE":
            raise EngineUnavailable("YARN is starting")

    async def list_applications(self, tag: str) -> list[Application]:
        """The applications with this tag, in the order of their submission."""
        await self.ping()
        found = await self._get("/ws/v1/cluster/apps", applicationTags=tag)
        return sorted(_application(fields) for fields in (found["apps"] or {}).get("app", ()))

    async def kill(self, id: str) -> None:
        """Asks YARN to kill an application; returns before it has ended."""
        url, state = f"{self._url}/ws/v1/cluster/apps/{id}/state", {"state": "KILLED"}
        try:
            claim = {"user.name": self._user} if self._user else None
            (await self._client.put(url, params=claim, json=state)).raise_for_status()
        except (httpx.HTTPError, KerberosError) as error:
            raise engine_error("YARN", error) from error

    async def progress(self, id: str) -> SparkProgress | None:
        """The progress of a running Spark application; None if it cannot be had. Raises nothing."""
        try:
            jobs: list[dict[str, Any]] = (await self._get(f"/proxy/{id}/api/v1/applications/{id}/jobs")) or []
        except (EngineUnavailable, _NotFound):
            return None
        if not jobs:
            return None
        stage = max(jobs, key=lambda job: (job["status"] == "RUNNING", job["jobId"])).get("description", "")
        of_stage = [job for job in jobs if job.get("description", "") == stage]
        done = sum(job["numCompletedTasks"] for job in of_stage)
        return SparkProgress(stage, done, sum(job["numTasks"] - job["numSkippedTasks"] for job in of_stage))

    async def list_log_files(self, id: str) -> list[LogFile]:
        """The log files of an application's running containers, with their current sizes."""
        files = []
        try:
            attempts = (await self._get(f"/ws/v1/cluster/apps/{id}/appattempts"))["appAttempts"]["appAttempt"]
            for attempt in attempts:
                listed = await self._get(f"/ws/v1/cluster/apps/{id}/appattempts/{attempt['appAttemptId']}/containers")
                for container in listed.get("container", ()):
                    files += await self._list_container_files(container["containerId"], container["nodeHttpAddress"])
        except _NotFound:
            return files
        return files

    async def read_log(self, file: LogFile, offset: int) -> bytes:
        """The content of a log file from this byte on."""
        size = file.byte_count - offset
        while True:
            url = f"{_node_url(file.node)}/ws/v1/node/containers/{file.container}/logs/{file.name}"
            # NodeManagers serve the first bytes of a file or, for a negative size, the last.
            parts = parse_logs((await self._request(url, size=str(-size))).content, size)
            if not parts:
                return b""
            if parts[0].start <= offset:
                return parts[0].content[offset - parts[0].start :]
            # The file has grown since it was listed.
            size = parts[0].byte_count - offset

    async def _list_container_files(self, container: str, node: str) -> list[LogFile]:
        listed = (await self._request(f"{_node_url(node)}/ws/v1/node/containers/{container}/logs")).json()
        found = listed["containerLogsInfo"]
        infos = [info for entry in (found if isinstance(found, list) else [found]) for info in entry.get("containerLogInfo", ())]
        return [LogFile(container, node, info["fileName"], int(info["fileSize"])) for info in infos if info["fileName"] in LOG_FILES]

    async def _get(self, path: str, **parameters: str) -> Any:
        response = await self._request(f"{self._url}{path}", **parameters)
        try:
            return response.json()
        except ValueError as error:
            # An HTML page instead: what the path names does not exist yet, or no longer.
            raise EngineUnavailable("YARN cannot be reached") from error

    async def _request(self, url: str, **parameters: str) -> httpx.Response:
        """Raises `_NotFound` and `EngineUnavailable`."""
        try:
            response = await self._client.get(url, params=parameters, headers={"Accept": "*/*"})
            if response.status_code == httpx.codes.NOT_FOUND:
                raise _NotFound
            return response.raise_for_status()
        except (httpx.HTTPError, KerberosError) as error:
            raise engine_error("YARN", error) from error


class _NotFound(Exception):
    """YARN does not know the resource, or no longer does."""


def _application(fields: Mapping[str, Any]) -> Application:
    return Application(
        fields["id"], fields["state"], fields["finalStatus"], fields.get("diagnostics", "").strip(), fields.get("logAggregationStatus", "")
    )


def _node_url(address: str) -> str:
    return address if "://" in address else f"http://{address}"
