"""The raw files of sales in HDFS: listing, uploading, landing and deleting them."""

import asyncio
import hashlib
import json
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TypeVar

import requests
import structlog
from fsspec import AbstractFileSystem

from lake.errors import UnreadableFile
from lake.hadoop import webhdfs
from lake.hadoop.kerberos import KerberosError, KerberosLogin
from lake.landing.canonical import examine
from lake.landing.landing import land
from lake.landing.mapping import Mapping
from lake.raw_file import ORIGINAL, SALES
from mesh.errors import InvalidArgument, OutOfRange, ResourceExhausted, Unavailable

T = TypeVar("T")
log = structlog.get_logger(__name__)

UPLOADS, INGEST_DATE = ".uploads", "ingest_date="
# In the folder of an upload: its parts, and once it has landed only what was said then, for a last part that is sent again.
PART, OUTCOME = "part-", "outcome.json"
FILE_ID = re.compile(r"[0-9a-f]{16}")
# Before this time has passed, an interrupted upload may go on.
UPLOAD_LIFETIME = timedelta(days=1)


class LandedFile(NamedTuple):
    """A file in the raw zone."""

    folder: str
    """Below the raw zone's root; sorts by the day of landing."""
    name: str
    sha256: str
    description: str
    line_count: int
    create_time: datetime

    @property
    def id(self) -> str:
        return self.sha256[:16]


class Landed(NamedTuple):
    """The outcome of an upload."""

    message: str
    columns: list[str]
    line_count: int


class RawFiles:
    """The raw zone, by HDFS's REST API. Methods raise `Unavailable` if HDFS cannot be reached.

    url: the root of the raw zone, as an fsspec URL
    upload_bytes: the largest size of an uploaded file
    login: signs in to a secured HDFS
    """

    def __init__(self, url: str, upload_bytes: int, login: KerberosLogin | None = None) -> None:
        self._url = url
        self._login = login
        self._upload_bytes = upload_bytes

    async def ping(self) -> None:
        """Asks HDFS for its root: the raw zone need not exist yet, and fsspec's `exists` raises no error."""
        await self._in_thread(lambda files, _: files.info("/"))

    async def list_files(self, after: str, limit: int) -> list[LandedFile]:
        """The first files whose folder sorts after another, in order."""
        return await self._in_thread(lambda files, root: _list_files(files, root, after, limit))

    async def delete(self, id: str) -> None:
        """Deletes a file, if there is such a file."""
        await self._in_thread(lambda files, root: _delete(files, root, id))

    async def store_part(self, upload: str, offset: int, content: bytes) -> int:
        """Stores a part of a file, and returns the size of all parts. A part that is there already is replaced; one at 0 begins anew.

        upload: the name of the upload. Once it has landed, the end of its last part is answered and nothing is stored.

        Raises `OutOfRange` for a part that does not begin where another ends, and `ResourceExhausted` for a file that is too large.
        """
        if offset + len(content) > self._upload_bytes:
            raise ResourceExhausted("REQUEST_TOO_LARGE", "a file may have {byte_count} bytes", byte_count=self._upload_bytes)
        return await self._in_thread(lambda files, root: _store_part(files, f"{root}/{UPLOADS}/{upload}", offset, content))

    async def land(self, upload: str, name: str, mapping: Mapping | None, *, validate_only: bool) -> Landed:
        """Lands an uploaded file and removes its parts, or only says how it would be read. Raises `InvalidArgument`.

        An upload that has landed has the outcome that it had.
        """
        return await self._in_thread(
            lambda files, root: self._land(files, f"{root}/{UPLOADS}/{upload}", name, mapping, validate_only=validate_only)
        )

    async def delete_expired_uploads(self) -> None:
        """Removes what uploads have left: the outcome, or the parts of one that was not completed."""
        await self._in_thread(_delete_expired_uploads)

    def _land(self, files: AbstractFileSystem, folder: str, name: str, mapping: Mapping | None, *, validate_only: bool) -> Landed:
        if outcome := _read_outcome(files, folder):
            return outcome[0]
        with tempfile.TemporaryDirectory(prefix="upload-") as local:
            file = Path(local, name)
            with file.open("wb") as whole:
                for part in _parts(files, folder):
                    with files.open(part) as content:
                        shutil.copyfileobj(content, whole)
            try:
                source = examine(file, mapping, _ignore)
                line_count = sum(1 for _ in source.lines()) - 1
                message = f"{name} would be read as {source.description}."
                if not validate_only:
                    message = land(file, self._url, datetime.now(UTC).date(), _ignore, mapping, self._login)
            except UnreadableFile as error:
                raise InvalidArgument("{fault}", field="content", reason="RAW_FILE_INVALID", fault=error.message) from error
            byte_count = file.stat().st_size
        landed = Landed(message, list(source.header), line_count)
        if not validate_only:
            # The outcome comes first: a last part that is sent again after any of these steps finds it, or all parts.
            files.pipe_file(f"{folder}/{OUTCOME}", json.dumps([landed, byte_count]).encode())
            for part in _parts(files, folder):
                files.rm_file(part)
        return landed

    async def _in_thread(self, call: Callable[[AbstractFileSystem, str], T]) -> T:
        def run() -> T:
            with _storage_errors():
                files, root = webhdfs.connect(self._url, self._login)
                # What others wrote must be seen.
                files.invalidate_cache()
                return call(files, root)

        return await asyncio.to_thread(run)


def upload_name(caller: str, upload_id: str) -> str:
    """The name of a caller's upload: the ids of different callers do not meet."""
    return hashlib.sha256(f"{caller}\n{upload_id}".encode()).hexdigest()[:32]


@contextmanager
def _storage_errors() -> Iterator[None]:
    try:
        yield
    except KerberosError as error:
        # Its text is for operators.
        log.warning("HDFS cannot be signed in to", reason=error.reason, error=str(error))
        raise Unavailable("STORAGE_UNAVAILABLE", "HDFS cannot be signed in to: {kerberos_reason}", kerberos_reason=error.reason) from error
    except PermissionError as error:
        raise Unavailable("STORAGE_UNAVAILABLE", "HDFS denies access to the raw zone") from error
    # fsspec raises RuntimeError for errors of WebHDFS.
    except (requests.RequestException, OSError, RuntimeError) as error:
        raise Unavailable("STORAGE_UNAVAILABLE", "HDFS cannot be reached") from error


def _list_files(files: AbstractFileSystem, root: str, after: str, limit: int) -> list[LandedFile]:
    found = (folder for folder in _landed_folders(files, root) if folder > after)
    return [_read(files, root, folder) for folder in islice(found, limit)]


def _delete(files: AbstractFileSystem, root: str, id: str) -> None:
    hidden = f"{root}/{SALES}/.deleted-{id}"
    # One that an interrupted deletion has left.
    if files.exists(hidden):
        files.rm(hidden, recursive=True)
    if folder := next((folder for folder in _landed_folders(files, root) if folder.endswith(f"/{id}")), None):
        # Out of sight at once, as a whole.
        files.mv(f"{root}/{folder}", hidden, recursive=True)
        files.rm(hidden, recursive=True)


def _landed_folders(files: AbstractFileSystem, root: str) -> Iterator[str]:
    """The folders of landed files below the root, in the order of their names."""
    for day in _children(files, f"{root}/{SALES}"):
        if day.rpartition("/")[2].startswith(INGEST_DATE):
            for folder in _children(files, day):
                if FILE_ID.fullmatch(folder.rpartition("/")[2]):
                    yield folder[folder.index(f"/{SALES}/{INGEST_DATE}") + 1 :]


def _read(files: AbstractFileSystem, root: str, folder: str) -> LandedFile:
    path = f"{root}/{folder}/{ORIGINAL}"
    original = json.loads(files.cat_file(path))
    line_count = max(original.get("line_count", 1) - 1, 0)
    return LandedFile(folder, original["name"], original["sha256"], original.get("description", ""), line_count, _change_time(files, path))


def _change_time(files: AbstractFileSystem, path: str) -> datetime:
    # WebHDFS gives it in the machine's own time, without a zone.
    changed: datetime = files.modified(path).astimezone(UTC)
    return changed


def _store_part(files: AbstractFileSystem, folder: str, offset: int, content: bytes) -> int:
    if offset == 0 and _children(files, folder):
        files.rm(folder, recursive=True)
    elif (outcome := _read_outcome(files, folder)) and outcome[1] == offset + len(content):
        return outcome[1]
    sizes = {int(path.rpartition("-")[2]): files.size(path) for path in _parts(files, folder)}
    end = sum(size for start, size in sizes.items() if start < offset)
    if offset != end:
        raise OutOfRange("UPLOAD_INTERRUPTED", "the next part begins at {byte_count}", byte_count=sum(sizes.values()))
    files.makedirs(folder, exist_ok=True)
    if content:
        files.pipe_file(f"{folder}/{PART}{offset:015d}", content)
    return offset + len(content)


def _parts(files: AbstractFileSystem, folder: str) -> list[str]:
    """The parts of an upload, in order."""
    return [path for path in _children(files, folder) if path.rpartition("/")[2].startswith(PART)]


def _read_outcome(files: AbstractFileSystem, folder: str) -> tuple[Landed, int] | None:
    """What was said when an upload landed, and the size of its file; None if it has not."""
    try:
        landed, byte_count = json.loads(files.cat_file(f"{folder}/{OUTCOME}"))
    except (FileNotFoundError, json.JSONDecodeError):  # Of one that was cut off all parts are there, and land again.
        return None
    return Landed(*landed), byte_count


def _children(files: AbstractFileSystem, folder: str) -> list[str]:
    """What is in a folder, by name; nothing if there is no such folder. Unlike fsspec's `glob` and `exists`, this reports an outage."""
    try:
        return sorted(files.ls(folder, detail=False))
    except FileNotFoundError:
        return []


def _delete_expired_uploads(files: AbstractFileSystem, root: str) -> None:
    oldest = datetime.now(UTC) - UPLOAD_LIFETIME
    for folder in _children(files, f"{root}/{UPLOADS}"):
        left = _children(files, folder)
        if not left or all(_change_time(files, path) < oldest for path in left):
            files.rm(folder, recursive=True)


def _ignore(_step: str, _share: float) -> None:
    """Nobody watches the progress."""
