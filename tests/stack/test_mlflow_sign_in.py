"""Who reaches MLflow, and with which rights."""

from base64 import b64encode
from collections.abc import Iterator
from itertools import product

import httpx
import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from tests.engines.mlflow import SERVICE, Mlflow

API = "/api/2.0/mlflow"
PATHS = ("/", "/version", f"{API}/experiments/search?max_results=1", "/ajax-api/2.0/mlflow/runs/search", "/graphql", "/v1/traces", "/x")


HEADERS = (
    None,
    "Basic",
    "Basic ä",
    "Basic " + b64encode(b"operator:").decode(),
    "Basic " + b64encode(b"operator:admin").decode(),
    "Basic " + b64encode(f"operator:{SERVICE[1]}".encode()).decode(),
    "Bearer " + b64encode(":".join(SERVICE).encode()).decode(),
)


@pytest.fixture(scope="module")
def http(mlflow: Mlflow) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=mlflow.url, timeout=60) as client:
        yield client


def test_nothing_is_open_without_a_sign_in_and_browsers_ask_for_it(http: httpx.Client) -> None:
    for path, header, method in product(PATHS, HEADERS, ("GET", "POST")):
        headers = [(b"authorization", header.encode())] if header else []
        response = http.request(method, path, headers=headers)
        assert response.status_code == httpx.codes.UNAUTHORIZED, (path, header)
        assert response.headers["www-authenticate"].startswith('Basic realm="MLflow"')


def test_the_health_is_open(http: httpx.Client, mlflow: Mlflow) -> None:
    assert http.get("/health").status_code == httpx.codes.OK
    assert http.get("/health/").status_code == httpx.codes.UNAUTHORIZED
    assert http.get(f"{mlflow.url}//health").status_code == httpx.codes.UNAUTHORIZED


def test_people_open_the_pages(http: httpx.Client, mlflow: Mlflow) -> None:
    page = http.get("/", auth=mlflow.auth)
    assert page.status_code == httpx.codes.OK
    assert page.headers["content-type"].startswith("text/html")


def test_another_site_cannot_use_the_sign_in_of_a_browser(http: httpx.Client, mlflow: Mlflow) -> None:
    headers = {"origin": "https://evil.example"}
    response = http.post(f"{API}/experiments/create", json={"name": "evil"}, headers=headers, auth=mlflow.auth)
    assert response.status_code == httpx.codes.FORBIDDEN


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "runs/create"),
        ("POST", "registered-models/create"),
        ("POST", "model-versions/create"),
        ("DELETE", "model-versions/delete"),
        ("DELETE", "registered-models/delete"),
        ("DELETE", "model-versions/delete-tag"),
        ("PATCH", "model-versions/update"),
        ("POST", "registered-models/alias/"),
    ],
)
def test_a_service_registers_and_deletes_nothing(http: httpx.Client, method: str, path: str) -> None:
    response = http.request(method, f"{API}/{path}", json={"name": "service"}, auth=SERVICE)
    assert response.status_code == httpx.codes.FORBIDDEN
    assert response.text == "The account recommender may not do this.\n"


def test_a_service_writes_no_files(http: httpx.Client, mlflow: Mlflow) -> None:
    url = "/api/2.0/mlflow-artifacts/artifacts/planted.txt"
    assert http.put(url, content=b"planted", auth=SERVICE).status_code == httpx.codes.FORBIDDEN
    assert http.put(url, content=b"mine", auth=mlflow.auth).status_code == httpx.codes.OK
    assert http.get(url, auth=SERVICE).content == b"mine"


def test_mlflows_own_client_signs_in_by_its_variables(mlflow: Mlflow, monkeypatch: pytest.MonkeyPatch) -> None:
    assert MlflowClient(mlflow.url).search_experiments(max_results=1)
    monkeypatch.delenv("MLFLOW_TRACKING_PASSWORD")
    with pytest.raises(MlflowException, match="401"):
        MlflowClient(mlflow.url).search_experiments(max_results=1)
