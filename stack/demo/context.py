"""What the steps of the demo share: settings, processes, accounts, and the means to act on them."""

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pyarrow as pa
from minio.credentials.providers import StaticProvider

from lake.bucket import Bucket, connect
from lake.reading import read_published, read_table
from stack import credentials
from stack.demo.client import Account, Json, ShopClient, UserClient
from stack.engines.object_store import ObjectStore
from stack.processes.definitions import object_store_of, processes
from stack.processes.process import Process
from stack.settings import ROOT, Settings

SHOPPER, STAFF, ADMIN = "SHOPPER", "STAFF", "ADMIN"
USERS = (SHOPPER, STAFF, ADMIN)


class DemoError(Exception):
    """The demo cannot continue; the message says why."""


@dataclass(frozen=True)
class DemoContext:
    """The stack that the demo fills, which is up."""

    settings: Settings
    shop: ShopClient

    @cached_property
    def processes(self) -> dict[str, Process]:
        """The stack's processes by name."""
        return {process.name: process for process in processes(self.settings)}

    @cached_property
    def store(self) -> ObjectStore:
        return object_store_of(self.settings)

    @cached_property
    def bucket(self) -> Bucket:
        """The bucket of the clean data."""
        keys = StaticProvider(*self.store.keys["training"])
        return connect(self.store.endpoint, self.store.region, self.settings.lake_bucket, keys)

    @property
    def accounts_file(self) -> Path:
        return self.settings.stack_folder / "demo.env"

    @cached_property
    def accounts(self) -> dict[str, Account]:
        """The accounts by user. Passwords are generated once, and stored in the file with the e-mail addresses."""
        emails = {f"{user}_EMAIL": f"{user.lower()}@example.com" for user in USERS}
        values = credentials.load_or_create(self.accounts_file, [f"{user}_PASSWORD" for user in USERS], **emails)
        return {user: Account(values[f"{user}_EMAIL"], values[f"{user}_PASSWORD"]) for user in USERS}

    async def sign_in(self, user: str) -> UserClient:
        return await self.shop.sign_in(self.accounts[user])

    async def change_user(self, user: Json, **fields: str) -> None:
        """Changes a user's fields as the admin."""
        await (await self.sign_in(ADMIN)).call("PATCH", f"/users/{user['id']}", json=fields)

    async def table(self, name: str) -> pa.Table:
        """A table of the clean data."""
        manifest, _ = await asyncio.to_thread(read_published, self.bucket)
        return await asyncio.to_thread(read_table, self.bucket, manifest, name)

    async def execute(self, command: Sequence[str], process: str, text: str = "") -> None:
        """Runs a command with the settings of a process, and `text` on its standard input. Raises `DemoError` if it fails."""
        environment: Mapping[str, str] = self.processes[process].program.environment
        child = await asyncio.create_subprocess_exec(*command, cwd=ROOT, env=os.environ | environment, stdin=asyncio.subprocess.PIPE)
        await child.communicate(text.encode())
        if child.returncode:
            raise DemoError(f"`{' '.join(['python', *command[1:]])}` failed.")


def say(subject: str, text: str) -> None:
    """Prints a line of the demo's progress."""
    print(f"{subject:16}{text}", flush=True)
