"""Auth as a process that can be stopped and started again."""

import asyncio
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import asyncpg
import grpc

from hashiramart.auth.v1 import auth_pb2_grpc
from stack.processes.probes import grpc_serves
from tests.engines.ports import free_port

SERVICE_SECRET = "the catalog's own secret, 100% long enough"


class Auth:
    """A replica of the auth service."""

    def __init__(self, folder: Path, database_url: str, **environment: str) -> None:
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.environment = {
            "AUTH_LISTEN": self.address,
            "AUTH_DATABASE_URL": database_url,
            "AUTH_SECRET": secrets.token_urlsafe(),
            "AUTH_SERVICE_SECRETS": f'{{"catalog": "{SERVICE_SECRET}"}}',
            "MESH_DRAIN_DELAY_SECONDS": "0",
            # A busy machine is not an outage.
            "MESH_DATABASE_ACQUIRE_SECONDS": "10",
            "MESH_DATABASE_CONNECT_SECONDS": "10",
        } | environment
        self._log = folder / f"auth-{self.port}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self.stop()

    def launch(self) -> None:
        """Starts the process without waiting until it serves."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "services.auth"], env=os.environ | self.environment, stdout=log, stderr=log
            )

    def start(self) -> None:
        """Starts the process, and waits until it serves."""
        self.launch()
        assert self._process
        deadline = time.monotonic() + 90
        while not self.serves():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self._process.kill()
                self._process.wait()
                raise RuntimeError(f"auth did not start:\n{self.log}")
            time.sleep(0.1)

    def stop(self) -> None:
        """Stops the process, and waits until it has exited with 0."""
        assert self._process
        self._process.terminate()
        assert self._process.wait(timeout=30) == 0, self.log

    def serves(self) -> bool:
        """Whether it reports itself healthy."""
        return grpc_serves(self.port)

    @property
    def log(self) -> str:
        return self._log.read_text()

    @contextmanager
    def stub(self) -> Iterator[auth_pb2_grpc.AuthServiceStub]:
        with grpc.insecure_channel(self.address) as channel:
            yield auth_pb2_grpc.AuthServiceStub(channel)

    def admin(self, *arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
        """Runs `python -m services.auth.admin` in its environment."""
        command = [sys.executable, "-m", "services.auth.admin", *arguments]
        return subprocess.run(
            command, env=os.environ | self.environment, input=typed, capture_output=True, text=True, check=False, timeout=60
        )


def sql(database_url: str, statement: str, *arguments: Any) -> list[asyncpg.Record]:
    """Runs a statement directly on the database, to let time pass or to inspect rows."""

    async def run() -> list[asyncpg.Record]:
        connection = await asyncpg.connect(database_url)
        try:
            return await connection.fetch(statement, *arguments)
        finally:
            await connection.close()

    return asyncio.run(run())
