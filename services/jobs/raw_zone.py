"""The raw zone, by the REST API of HDFS: what is in it, and how something gets in."""

from collections.abc import Mapping
from secrets import token_hex
from typing import Any

import httpx

from services.jobs.yarn import EngineUnavailable


class RawZone:
    """A folder of the HDFS whose NameNode is at an address such as `http://127.0.0.1:9870`, as one of its users.

    Each call may raise `EngineUnavailable`.
    """

    def __init__(self, client: httpx.AsyncClient, url: str, user: str, root: str) -> None:
        self._client = client
        self._root = f"{url}/webhdfs/v1{root}"
        self._path = root
        self._user = user

    async def names(self, folder: str) -> list[str]:
        """What is in a folder, but for what is hidden; nothing if there is no such folder."""
        answer = await self._call("GET", folder, "LISTSTATUS", missing=True)
        found = answer.json()["FileStatuses"]["FileStatus"] if answer.is_success else []
        return [entry["pathSuffix"] for entry in found if not entry["pathSuffix"].startswith((".", "_"))]

    async def read(self, file: str) -> bytes:
        """The content of a file."""
        return (await self._call("GET", file, "OPEN")).content

    async def place(self, folder: str, files: Mapping[str, bytes]) -> None:
        """Makes a folder with these files. It is there whole or not at all; one that is there already stays as it is."""
        parent, _, name = folder.rpartition("/")
        aside = f"{parent}/.{name}-{token_hex(4)}"
        for file, content in files.items():
            await self._call("PUT", f"{aside}/{file}", "CREATE", content=content)
        # With these options HDFS does not move the one into the other.
        await self._call("PUT", aside, "RENAME", destination=f"{self._path}/{folder}", renameoptions="NONE")

    async def replace(self, file: str, content: bytes) -> None:
        """Gives a file that is there another content. Whoever reads it finds the old one or the new."""
        folder, _, name = file.rpartition("/")
        aside = f"{folder}/.{name}-{token_hex(4)}"
        await self._call("PUT", aside, "CREATE", content=content)
        await self._call("PUT", aside, "RENAME", destination=f"{self._path}/{file}", renameoptions="OVERWRITE")

    async def _call(
        self, method: str, path: str, operation: str, *, content: bytes = b"", missing: bool = False, **words: Any
    ) -> httpx.Response:
        parameters = {"op": operation, "user.name": self._user, **words}
        try:
            answer = await self._client.request(method, f"{self._root}/{path}", params=parameters, content=content)
            return answer if missing and answer.status_code == httpx.codes.NOT_FOUND else answer.raise_for_status()
        except httpx.HTTPError as error:
            raise EngineUnavailable("HDFS cannot be reached") from error
