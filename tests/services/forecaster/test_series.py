"""The list of what can be forecast, with the names that the catalogue has."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import grpc
import pytest

from hashiramart.catalog.v1.catalog_pb2_grpc import CatalogServiceStub
from hashiramart.forecaster.v1 import forecaster_pb2
from mesh.identity import Role
from mesh.settings import MeshSettings
from tests.callers import Issuer
from tests.engines.ports import free_port
from tests.loops import Loop
from tests.ml.forecaster.shop import COUNTRIES, DAYS, OPENING
from tests.services.catalog.replica import Replica as CatalogReplica
from tests.services.catalog.shop import Shop
from tests.services.database import migrate_services
from tests.services.errors import fails_with
from tests.services.forecaster.planner import Planner
from tests.services.forecaster.replica import ForecasterReplica
from tests.services.recommender.replica import CatalogServer

# In the order of the list.
SERIES = [
    ("SHOP", ""),
    ("CATEGORY", "Dishes"),
    ("CATEGORY", "Drinks"),
    *(("COUNTRY", country) for country in sorted(COUNTRIES)),
    *(("PRODUCT", product) for product in ("bowl", "coffee", "mug", "plate", "tea")),
]


@pytest.fixture(scope="module")
def database_urls(postgres_url: str) -> dict[str, str]:
    """The URL of each service's role in the database of the module, which has the tables of both."""
    return migrate_services(postgres_url, "catalog", "forecaster")


@pytest.fixture(scope="module")
def database_url(database_urls: dict[str, str]) -> str:
    return database_urls["forecaster"]


@pytest.fixture(scope="module")
def catalog(loop: Loop, database_urls: dict[str, str], mesh_settings: MeshSettings, issuer: Issuer) -> Iterator[CatalogServer]:
    """A catalog with one of the products."""
    replica = CatalogReplica(loop, database_urls["catalog"], mesh_settings)
    server = CatalogServer(loop, replica, mesh_settings, issuer, free_port())
    server.start()
    with grpc.insecure_channel(server.address) as channel:
        Shop(CatalogServiceStub(channel), issuer.metadata(Role.STAFF, "kim")).create("Earl Grey", id="tea")
    yield server
    server.stop()
    replica.stop()


@pytest.fixture(scope="module")
def catalog_address(catalog: CatalogServer) -> str:
    return catalog.address


@pytest.fixture(autouse=True, scope="module")
def promoted(replica: ForecasterReplica, forecasters: tuple[Path, Path]) -> str:
    """The version that is served."""
    number = replica.register(forecasters[0])
    replica.promote(number)
    replica.wait_for(number)
    return number


def listed(response: forecaster_pb2.ListForecastSeriesResponse) -> list[tuple[str, str]]:
    return [(forecaster_pb2.SeriesLevel.Name(each.level).removeprefix("SERIES_LEVEL_"), each.key) for each in response.series]


def test_every_series_is_listed_by_level_and_key(staff: Planner, promoted: str) -> None:
    response = staff.series()
    assert listed(response) == SERIES
    assert (response.model_version, response.time_zone, response.next_page_token) == (promoted, "Europe/London", "")
    assert response.data_through_date == (OPENING + timedelta(days=DAYS - 1)).isoformat()


def test_the_list_is_paged(staff: Planner) -> None:
    pages = [staff.series(page_size=4)]
    while token := pages[-1].next_page_token:
        pages.append(staff.series(page_size=4, page_token=token))
    assert [len(page.series) for page in pages] == [4, 4, 2]
    assert [each for page in pages for each in listed(page)] == SERIES


def test_series_are_filtered_by_level_and_by_the_start_of_their_key(staff: Planner) -> None:
    assert listed(staff.series(level=forecaster_pb2.SERIES_LEVEL_COUNTRY)) == SERIES[3:5]
    assert listed(staff.series(prefix="D")) == listed(staff.series(prefix="d")) == SERIES[1:3]
    assert listed(staff.series(prefix="t", level=forecaster_pb2.SERIES_LEVEL_PRODUCT)) == [("PRODUCT", "tea")]
    assert listed(staff.series(prefix="sofa")) == []


def test_a_series_has_the_days_of_its_first_and_last_sale(staff: Planner) -> None:
    days = {each.key: (each.first_date, each.last_date) for each in staff.series(level=forecaster_pb2.SERIES_LEVEL_PRODUCT).series}
    assert days["tea"][0] == OPENING.isoformat()
    assert days["bowl"][0] > (OPENING + timedelta(days=DAYS - 61)).isoformat()
    assert {last for _, last in days.values()} == {(OPENING + timedelta(days=DAYS - 1)).isoformat()}


def test_a_product_has_its_name_while_the_catalogue_has_it_and_answers(staff: Planner, catalog: CatalogServer) -> None:
    def names() -> dict[str, str]:
        return {each.key: each.name for each in staff.series().series}

    assert {key: name for key, name in names().items() if name} == {
        "Dishes": "Dishes",
        "Drinks": "Drinks",
        "France": "France",
        "United Kingdom": "United Kingdom",
        "tea": "Earl Grey",
    }
    catalog.stop()
    assert names()["tea"] == ""
    catalog.start()


def test_a_key_from_the_list_can_be_forecast(staff: Planner) -> None:
    for each in staff.series(level=forecaster_pb2.SERIES_LEVEL_PRODUCT).series:
        assert staff.means(product_id=each.key)


def test_a_token_belongs_to_its_list(staff: Planner) -> None:
    token = staff.series(page_size=4).next_page_token
    with fails_with(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_PAGE_TOKEN"):
        staff.series(page_size=4, page_token=token, prefix="t")
