"""The raw zone, while HDFS is away."""

import asyncio

import pytest

from mesh.errors import Unavailable
from services.jobs.raw_files import RawFiles
from tests.engines.ports import free_port


def test_the_check_of_hdfs_fails_while_nobody_answers() -> None:
    files = RawFiles(f"webhdfs://hashiramart@127.0.0.1:{free_port()}/hashiramart/raw", 1)
    with pytest.raises(Unavailable, match="HDFS cannot be reached"):
        asyncio.run(files.ping())
