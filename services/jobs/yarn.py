"""YARN, by its REST API: what applications there are, what they do, what they wrote."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import httpx


class EngineUnavailable(Exception):
    """HDFS, YARN or the store cannot be reached, or not as things are now. The text says which, for people."""


class Application(NamedTuple):
    """A YARN application."""

    id: str
    # NEW, NEW_SAVING, SUBMITTED, ACCEPTED, RUNNING, FINISHED, FAILED or KILLED.
    state: str
    # Of what has ended: SUCCEEDED, FAILED or KILLED.
    final_status: str
    # What YARN says of its end.
    diagnostics: str
    # DISABLED, or how far YARN has come with gathering the logs.
    log_status: str

    @property
    def ended(self) -> bool:
        return self.state in ("FINISHED", "FAILED", "KILLED")

    @property
    def logs_gathered(self) -> bool:
        return self.log_status in ("SUCCEEDED", "FAILED", "TIME_OUT")


class Progress(NamedTuple):
    """What a Spark application is at, and how many of the tasks of that it has done."""

    stage: str
    done_count: int
    total_count: int


class LogFile(NamedTuple):
    """A file that a container writes."""

    container: str
    # Where its node is asked.
    node: str
    name: str
    byte_count: int

    @property
    def key(self) -> str:
        return f"{self.container}/{self.name}"


class Yarn:
    """The ResourceManager at an address such as `http://127.0.0.1:8088`, as one of its users, and the nodes that it knows."""

    def __init__(self, client: httpx.AsyncClient, url: str, user: str) -> None:
        self._client = client
        self._url = url
        self._user = user

    async def tagged(self, tag: str) -> list[Application]:
        """The applications with this tag, the first submitted first."""
        # A ResourceManager that starts answers before it remembers its applications, but is not active before.
        if (await self._get("/ws/v1/cluster/info"))["clusterInfo"]["haState"] != "ACTIVE":
            raise EngineUnavailable("YARN is starting")
        found = await self._get("/ws/v1/cluster/apps", applicationTags=tag)
        return sorted(_application(fields) for fields in (found["apps"] or {}).get("app", ()))

    async def kill(self, id: str) -> None:
        """Asks for the end of an application."""
        url, state = f"{self._url}/ws/v1/cluster/apps/{id}/state", {"state": "KILLED"}
        try:
            answer = await self._client.put(url, params={"user.name": self._user}, json=state)
            answer.raise_for_status()
        except httpx.HTTPError as error:
            raise _unreachable() from error

    async def progress(self, id: str) -> Progress | None:
        """What a running Spark application is at; None if it does not say."""
        try:
            jobs: list[dict[str, Any]] = (await self._get(f"/proxy/{id}/api/v1/applications/{id}/jobs")) or []
        except (EngineUnavailable, NotKnown):
            return None
        if not jobs:
            return None
        stage = max(jobs, key=lambda job: (job["status"] == "RUNNING", job["jobId"])).get("description", "")
        of_stage = [job for job in jobs if job.get("description", "") == stage]
        done = sum(job["numCompletedTasks"] for job in of_stage)
        return Progress(stage, done, sum(job["numTasks"] - job["numSkippedTasks"] for job in of_stage))

    async def log_files(self, id: str) -> list[LogFile]:
        """The files that the live containers of an application write, as long as they are."""
        files = []
        try:
            attempts = (await self._get(f"/ws/v1/cluster/apps/{id}/appattempts"))["appAttempts"]["appAttempt"]
            for attempt in attempts:
                listed = await self._get(f"/ws/v1/cluster/apps/{id}/appattempts/{attempt['appAttemptId']}/containers")
                for container in listed.get("container", ()):
                    files += await self._files(container["containerId"], container["nodeHttpAddress"])
        except NotKnown:
            return files
        return files

    async def log(self, file: LogFile, offset: int) -> bytes:
        """What follows this byte of a file, as far as it is written."""
        wanted = file.byte_count - offset
        while True:
            url = f"{_node_url(file.node)}/ws/v1/node/containers/{file.container}/logs/{file.name}"
            # Nodes give the start of a file or, so asked, its end.
            parts = log_parts((await self._request(url, size=str(-wanted))).content, wanted)
            if not parts:
                return b""
            if parts[0].start <= offset:
                return parts[0].content[offset - parts[0].start :]
            wanted = parts[0].byte_count - offset

    async def _files(self, container: str, node: str) -> list[LogFile]:
        listed = (await self._request(f"{_node_url(node)}/ws/v1/node/containers/{container}/logs")).json()
        found = listed["containerLogsInfo"]
        infos = [info for entry in (found if isinstance(found, list) else [found]) for info in entry.get("containerLogInfo", ())]
        return [LogFile(container, node, info["fileName"], int(info["fileSize"])) for info in infos if info["fileName"] in LOG_FILES]

    async def _get(self, path: str, **parameters: str) -> Any:
        answer = await self._request(f"{self._url}{path}", **parameters)
        try:
            return answer.json()
        except ValueError as error:
            # A page that says that something is not there yet, or no longer.
            raise _unreachable() from error

    async def _request(self, url: str, **parameters: str) -> httpx.Response:
        try:
            answer = await self._client.get(url, params=parameters, headers={"Accept": "*/*"})
            if answer.status_code == httpx.codes.NOT_FOUND:
                raise NotKnown
            return answer.raise_for_status()
        except httpx.HTTPError as error:
            raise _unreachable() from error


class NotKnown(Exception):
    """YARN knows no such thing, or no longer."""


class LogPart(NamedTuple):
    """What is told of a file of a container: its length, and its content or the end of that."""

    container: str
    name: str
    byte_count: int
    content: bytes

    @property
    def start(self) -> int:
        """The place of the content in the file."""
        return self.byte_count - len(self.content)


def log_parts(text: bytes, size: int) -> list[LogPart]:
    """What YARN shows of files when asked for the last `size` bytes of each: before each a head says what it is and how long."""
    parts = []
    at = 0
    while head := _HEAD.search(text, at):
        byte_count = int(head["byte_count"])
        at = head.end() + min(byte_count, size)
        parts.append(LogPart(head["container"].decode(), head["name"].decode(), byte_count, text[head.end() : at]))
    return parts


# Of all that a container writes, what the application itself does.
LOG_FILES = ("stderr", "stdout")

_HEAD = re.compile(
    rb"^Container: (?P<container>\S+) on .*\nLogAggregationType: .*\n=+\nLogType:(?P<name>.*)\n"
    rb"(?:LogLastModifiedTime:.*\n)?LogLength:(?P<byte_count>\d+)\nLogContents:\n",
    re.MULTILINE,
)


def _application(fields: Mapping[str, Any]) -> Application:
    return Application(
        fields["id"], fields["state"], fields["finalStatus"], fields.get("diagnostics", "").strip(), fields.get("logAggregationStatus", "")
    )


def _node_url(address: str) -> str:
    return address if "://" in address else f"http://{address}"


def _unreachable() -> EngineUnavailable:
    return EngineUnavailable("YARN cannot be reached")
