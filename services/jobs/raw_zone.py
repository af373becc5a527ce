"""A client of the raw zone, by the REST API of HDFS."""

from collections.abc import Mapping
from secrets import token_hex
from typing import Any

import httpx

from lake.hadoop.kerberos import KerberosError
from services.jobs.negotiation import engine_error


class RawZoneClient:
    """Reads and writes a folder of HDFS as one of its users. Every method may raise `EngineUnavailable`.

    url: of the NameNode, such as `http://127.0.0.1:9870`
    user: whom HDFS believes it to be; empty if the client signs in
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

    async def claim(self, folder: str) -> str:
        """Creates a working folder for changes to a folder, removes those of earlier claims, and returns its path.

        What was begun under an earlier claim fails from here on, however long its process was paused: HDFS neither creates a file in a
        folder that was removed nor renames it. So what is read after a claim is what the changes under it replace.
        """
        working = f"{folder}/.{token_hex(8)}"
        await self._call("PUT", working, "MKDIRS")
        response = await self._call("GET", folder, "LISTSTATUS")
        names = (entry["pathSuffix"] for entry in response.json()["FileStatuses"]["FileStatus"])
        for name in names:
            if name.startswith(".") and not working.endswith(f"/{name}"):
                await self.remove(f"{folder}/{name}")
        return working

    async def create_folder(self, working: str, folder: str, files: Mapping[str, bytes]) -> None:
        """Creates a folder with these files atomically, under a claim.

        Raises `EngineUnavailable` as well if the folder exists, or if there was another claim.
        """
        parent, _, name = folder.rpartition("/")
        temporary = f"{working}/{name}"
        await self._call("PUT", parent, "MKDIRS")
        await self._call("PUT", temporary, "MKDIRS")
        for file, content in files.items():
            await self._create(f"{temporary}/{file}", content)
        # Without this option HDFS would move the one folder into the other.
        await self._call("PUT", temporary, "RENAME", destination=f"{self._root}/{folder}", renameoptions="NONE")

    async def replace_file(self, working: str, file: str, content: bytes) -> None:
        """Replaces the content of an existing file atomically, under a claim. Raises `EngineUnavailable` as well if there was another."""
        temporary = f"{working}/{token_hex(4)}"
        await self._create(temporary, content)
        await self._call("PUT", temporary, "RENAME", destination=f"{self._root}/{file}", renameoptions="OVERWRITE")

    async def remove(self, path: str) -> None:
        """Removes a file or a folder with all that it holds; a missing one is no error."""
        await self._call("DELETE", path, "DELETE", recursive="true")

    async def _create(self, file: str, content: bytes) -> None:
        # A folder that another claim has removed is not created again.
        await self._call("PUT", file, "CREATE", content=content, createparent="false")

    async def _call(
        self, method: str, path: str, operation: str, *, content: bytes = b"", may_be_missing: bool = False, **options: Any
    ) -> httpx.Response:
        parameters = {"op": operation, **({"user.name": self._user} if self._user else {}), **options}
        try:
            response = await self._client.request(method, f"{self._url}/{path}", params=parameters, content=content)
            return response if may_be_missing and response.status_code == httpx.codes.NOT_FOUND else response.raise_for_status()
        except (httpx.HTTPError, KerberosError) as error:
            raise engine_error("HDFS", error) from error
