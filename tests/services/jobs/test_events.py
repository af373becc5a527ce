"""Exporting recorded events and exposures from the recommender to the raw zone of a real HDFS."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import grpc.aio
import httpx
import pytest

from hashiramart.recommender.v1 import recommender_pb2
from lake.schemas import EVENTS
from mesh import channel
from mesh.identity import Role
from mesh.settings import MeshSettings
from services.jobs.errors import EngineUnavailable
from services.jobs.event_export import EventExport
from services.jobs.raw_zone import RawZoneClient
from tests.callers import Issuer
from tests.engines.hadoop import Hdfs
from tests.engines.ports import free_port
from tests.loops import Loop
from tests.services.jobs.recorder import Recorder

NUMBERS = itertools.count(1)


@pytest.fixture
def recorder(loop: Loop, mesh_settings: MeshSettings, issuer: Issuer) -> Iterator[Recorder]:
    # It implements one method of the contract.
    with Recorder(loop, mesh_settings, issuer) as recorder:  # type: ignore[abstract]
        yield recorder


class Paused(RawZoneClient):
    """A client that stops before a change of this kind until it is let go, like a worker that is paused."""

    kind = "CREATE"

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.reached, self.go = asyncio.Event(), asyncio.Event()

    async def _call(self, method: str, path: str, operation: str, **options: Any) -> httpx.Response:
        if operation == self.kind:
            self.reached.set()
            await self.go.wait()
        return await super()._call(method, path, operation, **options)


class PausedBeforeRenaming(Paused):
    kind = "RENAME"


class Exporter:
    """Exports to a raw zone of its own."""

    def __init__(self, loop: Loop, hdfs: Hdfs, recorder: Recorder, settings: MeshSettings, issuer: Issuer) -> None:
        self._loop, self._hdfs, self._recorder, self._settings, self._issuer = loop, hdfs, recorder, settings, issuer
        self._root = f"/hashiramart/raw-of-events-{next(NUMBERS)}"

    def export(self, *, times: int = 1, port: int | None = None) -> list[str | BaseException]:
        """What concurrent exports say of the events; `port` is that of HDFS."""
        outcomes = self._loop.run(self._export(times, port or self._hdfs.settings.namenode_port))
        return [outcome if isinstance(outcome, BaseException) else outcome[0] for outcome in outcomes]

    def export_all(self) -> list[str]:
        """What an export says of the events and of the exposures."""
        [outcome] = self._loop.run(self._export(1, self._hdfs.settings.namenode_port))
        assert isinstance(outcome, list)
        return outcome

    def exported(self, kind: str = "events") -> list[dict[str, object]]:
        """The events or exposures in the raw zone, in the order of their files."""
        files = sorted(path for path in self._hdfs.files(f"{self._root}/{kind}") if not path.rpartition("/")[2].startswith(("_", ".")))
        return [json.loads(line) for file in files if "/." not in file for line in self._hdfs.get(file).decode().splitlines()]

    def all_files(self) -> list[str]:
        """The paths of all files in the raw zone, hidden ones too."""
        return list(self._hdfs.files(self._root))

    def content(self, file: str) -> bytes:
        return self._hdfs.get(file)

    async def pause(self, paused: type[Paused], meanwhile: Callable[[], None]) -> list[str] | BaseException:
        """The outcome of an export that is paused before a change, while this happens and another exporter does its work."""
        async with self._connections() as (recommender, client):
            raw_zone = paused(client, self._url(self._hdfs.settings.namenode_port), "hashiramart", self._root)
            export = asyncio.create_task(EventExport(recommender, raw_zone, timedelta(0)).export())
            await raw_zone.reached.wait()
            meanwhile()
            await self._export(1, self._hdfs.settings.namenode_port)
            raw_zone.go.set()
            [outcome] = await asyncio.gather(export, return_exceptions=True)
            return outcome

    async def _export(self, times: int, port: int) -> list[list[str] | BaseException]:
        async with self._connections() as (recommender, client):
            raw_zone = RawZoneClient(client, self._url(port), "hashiramart", self._root)
            exports = (EventExport(recommender, raw_zone, timedelta(0)).export() for _ in range(times))
            return await asyncio.gather(*exports, return_exceptions=True)

    @asynccontextmanager
    async def _connections(self) -> AsyncIterator[tuple[grpc.aio.Channel, httpx.AsyncClient]]:
        async def proof() -> tuple[tuple[str, str], ...]:
            return self._issuer.metadata(Role.SERVICE, "jobs")

        service = recommender_pb2.DESCRIPTOR.services_by_name["RecommenderService"]
        async with (
            channel.connect(self._recorder.address, service, self._settings, proof) as recommender,
            httpx.AsyncClient(follow_redirects=True, timeout=20) as client,
        ):
            yield recommender, client

    @staticmethod
    def _url(port: int) -> str:
        return f"http://127.0.0.1:{port}"


@pytest.fixture
def exporter(loop: Loop, hdfs: Hdfs, recorder: Recorder, mesh_settings: MeshSettings, issuer: Issuer) -> Exporter:
    return Exporter(loop, hdfs, recorder, mesh_settings, issuer)


def ids(exporter: Exporter) -> list[object]:
    return [event["id"] for event in exporter.exported()]


def test_events_are_exported_once_with_the_fields_that_the_etl_reads(recorder: Recorder, exporter: Exporter) -> None:
    recorder.buy("a", "b", "c", customer_number="12345", order_id="500900")
    assert exporter.export() == ["3 recorded events were added to the raw zone"]
    assert ids(exporter) == ["a", "b", "c"]
    first = exporter.exported()[0]
    assert first == {
        "id": "a",
        "kind": "EVENT_KIND_PURCHASE",
        "product_id": "20002",
        "quantity": 2,
        "event_time": "2011-02-05T10:00:00Z",
        "user_id": "u-1",
        "customer_number": "12345",
        "order_id": "500900",
        "unit_price_cents": 250,
        "recommendation_id": "r-1",
    }
    assert first.keys() == EVENTS.keys()
    assert exporter.export() == ["0 recorded events were added to the raw zone"]
    recorder.buy("d")
    assert exporter.export() == ["1 recorded events were added to the raw zone"]
    assert ids(exporter) == ["a", "b", "c", "d"]


def test_an_interrupted_export_continues_where_it_stopped(recorder: Recorder, exporter: Exporter) -> None:
    recorder.buy("a", "b", "c")
    recorder.pages_left = 1
    [outcome] = exporter.export()
    assert outcome == "2 recorded events were added to the raw zone; the recommender does not give more: UNAVAILABLE"
    recorder.pages_left = 1000
    exporter.export()
    assert ids(exporter) == ["a", "b", "c"]


def test_concurrent_exports_write_each_page_once(recorder: Recorder, exporter: Exporter) -> None:
    recorder.buy("a", "b", "c", "d", "e")
    outcomes = exporter.export(times=3)
    assert all(isinstance(each, (str, EngineUnavailable)) for each in outcomes)
    exporter.export()
    assert ids(exporter) == ["a", "b", "c", "d", "e"]


def test_the_events_of_a_forgotten_user_leave_the_raw_zone_with_the_next_export(recorder: Recorder, exporter: Exporter) -> None:
    recorder.buy("a", "b")
    recorder.buy("c", user_id="u-2", customer_number="12345")
    recorder.buy("d")
    exporter.export()
    recorder.forget("u-2")
    assert exporter.export() == ["0 recorded events were added to the raw zone"]
    assert ids(exporter) == ["a", "b", "d"]
    # A forgotten user is listed once; the next export continues from there.
    recorder.buy("e")
    recorder.forget("u-1")
    recorder.buy("f", user_id="u-3")
    assert exporter.export() == ["1 recorded events were added to the raw zone"]
    assert ids(exporter) == ["f"]


def test_a_forgotten_user_is_listed_again_after_an_interrupted_export(recorder: Recorder, exporter: Exporter) -> None:
    recorder.buy("a", user_id="u-2")
    recorder.buy("b")
    exporter.export()
    recorder.forget("u-2")
    [error] = exporter.export(port=free_port())
    assert isinstance(error, EngineUnavailable)
    assert ids(exporter) == ["a", "b"]
    exporter.export()
    assert ids(exporter) == ["b"]


@pytest.mark.parametrize("paused", [Paused, PausedBeforeRenaming])
def test_an_exporter_that_was_paused_brings_no_forgotten_event_back(
    recorder: Recorder, exporter: Exporter, loop: Loop, paused: type[Paused]
) -> None:
    recorder.buy("a", user_id="u-2")
    recorder.buy("b", user_id="u-3")
    recorder.buy("c")
    exporter.export()
    recorder.forget("u-2")
    outcome = loop.run(exporter.pause(paused, meanwhile=lambda: recorder.forget("u-3")))
    assert isinstance(outcome, EngineUnavailable)
    assert ids(exporter) == ["c"]
    recorder.buy("d")
    exporter.export()
    assert ids(exporter) == ["c", "d"]
    assert not [path for path in exporter.all_files() if b"u-2" in exporter.content(path) or b"u-3" in exporter.content(path)]


@pytest.mark.parametrize("paused", [Paused, PausedBeforeRenaming])
def test_an_exporter_that_was_paused_with_a_new_page_leaves_nothing_behind(
    recorder: Recorder, exporter: Exporter, loop: Loop, paused: type[Paused]
) -> None:
    recorder.buy("a", user_id="u-2")
    outcome = loop.run(exporter.pause(paused, meanwhile=lambda: recorder.forget("u-2")))
    assert isinstance(outcome, EngineUnavailable)
    assert ids(exporter) == []
    assert not [path for path in exporter.all_files() if b"u-2" in exporter.content(path)]


def test_nothing_is_exported_while_hdfs_is_unavailable(recorder: Recorder, exporter: Exporter) -> None:
    recorder.buy("a")
    [error] = exporter.export(port=free_port())
    assert isinstance(error, EngineUnavailable)


def test_exposures_are_exported_once_with_all_columns(recorder: Recorder, exporter: Exporter) -> None:
    recorder.show("a", "b", "c")
    assert exporter.export_all() == ["0 recorded events were added to the raw zone", "3 exposures were added to the raw zone"]
    assert exporter.exported("exposures")[0] == {
        "recommendation_id": "a",
        "user_id": "u-1",
        "slot": "home",
        "model_version": "2",
        "fallback_step": "FALLBACK_STEP_UNSPECIFIED",
        "create_time": "2026-02-05T10:00:00Z",
        "experiment_id": "",
        "arm": "EXPERIMENT_ARM_UNSPECIFIED",
        "products": [{"product_id": "20002", "position": 1, "propensity": 0.9, "rule_id": "", "event_kinds": ["EVENT_KIND_CLICK"]}],
    }
    recorder.show("d")
    assert exporter.export_all()[1] == "1 exposures were added to the raw zone"
    assert [each["recommendation_id"] for each in exporter.exported("exposures")] == ["a", "b", "c", "d"]


def test_a_forgotten_user_leaves_the_exported_exposures(recorder: Recorder, exporter: Exporter, loop: Loop) -> None:
    """Also if the user is forgotten while the exposures are exported, by an exporter that then finds itself replaced."""
    recorder.show("a", user_id="u-2")
    recorder.show("b", user_id="u-3")
    recorder.show("c")
    exporter.export()
    recorder.forget("u-2")
    exporter.export()
    assert [each["recommendation_id"] for each in exporter.exported("exposures")] == ["b", "c"]
    recorder.show("d", user_id="u-3")
    outcome = loop.run(exporter.pause(PausedBeforeRenaming, meanwhile=lambda: recorder.forget("u-3")))
    assert isinstance(outcome, EngineUnavailable)
    assert not [path for path in exporter.all_files() if b"u-2" in exporter.content(path) or b"u-3" in exporter.content(path)]
    assert [each["recommendation_id"] for each in exporter.exported("exposures")] == ["c"]
