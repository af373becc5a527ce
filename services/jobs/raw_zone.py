"""A client of the raw zone, by the REST API of HDFS."""

from collections.abc import Mapping
from secrets import token_hex
from typing import Any

import httpx

from services.jobs.errors import EngineUnavailable


class RawZoneClient:
    """Reads and writes a folder of HDFS as one of its users. Every method may raise `EngineUnavailable`.

    url: of the NameNode, such as `http://127.0.0.1:9870`
    root: the folder's path; the paths that methods take are relative to it
    """

    def __init__(self, client: httpx.AsyncClient, url: str, user: str, root: str) -> None:
        self._client = client
        self._url = f"{url}/webhdfs/v1{root}"
        self._root = root
        self._user = user

    async def list_names(self, folder: str) -> list[str]:
        """The names in a folder, except hidden ones; empty if there is no such folder."""
        response = await self._call("GET", folder, "LISTSTATUS", may_be_missing=True)
        entries = response.json()["FileStatuses"]["FileStatus"] if response.is_success else []
        return [entry["pathSuffix"] for entry in entries if not entry["pathSuffix"].startswith((".", "_"))]

    async def read_file(self, file: str) -> bytes:
        """The content of a file."""
        return (await self._call("GET", file, "OPEN")).content

    async def create_folder(self, folder: str, files: Mapping[str, bytes]) -> None:
        """Creates a folder with these files atomically. Does nothing if it exists."""
        parent, _, name = folder.rpartition("/")
        temporary = f"{parent}/.{name}-{token_hex(4)}"
        for file, content in files.items():
            await self._call("PUT", f"{temporary}/{file}", "CREATE", content=content)
        # Without this option HDFS would move the one folder into the other.
        await self._call("PUT", temporary, "RENAME", destination=f"{self._root}/{folder}", renameoptions="NONE")

    async def replace_file(self, file: str, content: bytes) -> None:
        """Replaces the content of an existing file atomically."""
        folder, _, name = file.rpartition("/")
        temporary = f"{folder}/.{name}-{token_hex(4)}"
        await self._call("PUT", temporary, "CREATE", content=content)
        await self._call("PUT", temporary, "RENAME", destination=f"{self._root}/{file}", renameoptions="OVERWRITE")

    async def _call(
        self, method: str, path: str, operation: str, *, content: bytes = b"", may_be_missing: bool = False, **options: Any
    ) -> httpx.Response:
        parameters = {"op": operation, "user.name": self._user, **options}
        try:
            response = await self._client.request(method, f"{self._url}/{path}", params=parameters, content=content)
            return response if may_be_missing and response.status_code == httpx.codes.NOT_FOUND else response.raise_for_status()
        except httpx.HTTPError as error:
            raise EngineUnavailable("HDFS cannot be reached") from error
