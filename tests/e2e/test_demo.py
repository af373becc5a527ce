"""The demo from nothing to recommendations and forecasts, on a sample of its sales."""

import asyncio
import csv
import gzip
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from dotenv import dotenv_values

from ml.registry.client import RegistryClient, registered_name
from ml.registry.signature import Signer
from stack.settings import ROOT
from tests.concurrent_calls import concurrent_calls
from tests.e2e.stack import ENGINES, SERVICES, Stack, own_stack
from tests.e2e.walk import ALL_PHASES, OF_A_FURTHER_ROLE, OF_MODELS, OF_THE_LAKE, walk
from tests.gateway.examples import examples

DEMO_SECONDS = 1800
# How long a service may take to serve a model after its promotion.
SWAP_SECONDS = 10
# The sample has the products and customers whose numbers these divide: enough to learn from, in little time.
PRODUCT_DIVISOR, CUSTOMER_DIVISOR = 12, 3


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack that has never been up, and sales for its demo."""
    sales = tmp_path_factory.mktemp("sales") / "sales.csv"
    write_sample(ROOT / "datasets" / "online_retail_ii.csv.gz", sales)
    own = own_stack(tmp_path_factory.mktemp("stack"))
    # Its job is Spark's with the properties of every shop.
    stack = Stack({**own.environment, "DEMO_FILE": str(sales), "SPARK_SUBMIT_OPTS": ""}, (*SERVICES, *ENGINES, "jobs-worker"))
    try:
        yield stack
    finally:
        stack.down()


def write_sample(source: Path, target: Path) -> None:
    """Writes a sample of the sales, in their order."""
    with gzip.open(source, "rt", newline="") as lines, target.open("w", newline="") as sample:
        rows, writer = csv.reader(lines), csv.writer(sample)
        header = next(rows)
        product, customer = header.index("StockCode"), header.index("Customer ID")
        writer.writerow(header)
        writer.writerows(
            row for row in rows if divides(PRODUCT_DIVISOR, row[product][:5]) and (divides(CUSTOMER_DIVISOR, row[customer] or "0"))
        )


def divides(number: int, text: str) -> bool:
    return text.isdigit() and int(text) % number == 0


def demo(stack: Stack) -> str:
    """Runs the demo, and returns its output."""
    answer = stack.run("demo", seconds=DEMO_SECONDS)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return answer.stdout


def interrupted_demo(stack: Stack, line: str) -> None:
    """Runs the demo until it prints a line with this beginning."""
    command = [sys.executable, "-m", "stack", "demo"]
    with subprocess.Popen(command, cwd=ROOT, env=os.environ | stack.environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert any(printed.startswith(line) for printed in process.stdout)
        process.terminate()


@contextmanager
def signed_in(stack: Stack, who: str) -> Iterator[httpx.Client]:
    """A client that is signed in as one of the demo's users, for the length of a `with` block."""
    accounts = dotenv_values(stack.folder / "demo.env")
    form = {"grant_type": "password", "username": accounts[f"{who}_EMAIL"], "password": accounts[f"{who}_PASSWORD"]}
    with httpx.Client(base_url=stack.rest, timeout=30) as http:
        http.headers["authorization"] = f"Bearer {http.post('/auth/token', data=form).raise_for_status().json()['access_token']}"
        yield http


def test_an_interrupted_demo_continues_and_ends_with_models_that_are_served(stack: Stack) -> None:
    interrupted_demo(stack, "etl ")
    output = demo(stack)
    assert re.search(r"shopper@example\.com +\S{40}", output)
    with signed_in(stack, "STAFF") as staff:
        jobs = staff.get("/jobs").json()["jobs"]
        assert [job["state"] for job in jobs] == ["JOB_STATE_SUCCEEDED_WITH_REJECTS"]
        for model in ("recommender", "forecaster"):
            champion = staff.get(f"/models/{model}").json()
            assert (champion["recipe"], champion["serving"], champion["gate"]["passed"]) == ("RECIPE_QUICK", True, True)
            assert champion["lineage"]["etl_job_id"] == jobs[0]["id"]
    with signed_in(stack, "SHOPPER") as shopper:
        number = shopper.get("/users/me").json()["customer_number"]
        assert int(number) % CUSTOMER_DIVISOR == 0
        listed = shopper.get("/recommendations/me").json()
        assert len(listed["recommendations"]) == 10
        assert listed["fallback_step"] == "FALLBACK_STEP_RANKER"


def test_the_calls_of_the_readme_work(stack: Stack) -> None:
    [script] = re.findall(r"^```bash\n(.*?)^```", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    script = script.replace(".local/demo.env", str(stack.folder / "demo.env")).replace("http://127.0.0.1:8000", stack.rest)
    script = script.replace("127.0.0.1:8000", stack.rest).replace("curl -s", "curl -s --fail-with-body")
    answer = subprocess.run(["bash", "-euo", "pipefail", "-c", script], check=False, capture_output=True, text=True, timeout=120)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    for expected in ('"recommendations":[{', '"points":[{', '"serving":true'):
        assert expected in answer.stdout


def test_a_second_demo_changes_nothing(stack: Stack) -> None:
    accounts = (stack.folder / "demo.env").read_bytes()
    with signed_in(stack, "STAFF") as staff:
        product = staff.get("/products").json()["products"][0]
        changed = staff.patch(f"/products/{product['id']}", json={"price_cents": product["price_cents"] + 1}).raise_for_status().json()
        stack.down()
        demo(stack)
        assert (stack.folder / "demo.env").read_bytes() == accounts
        assert (stack.folder / "demo.env").stat().st_mode & 0o777 == 0o600
    with signed_in(stack, "STAFF") as staff:
        assert staff.get(f"/products/{product['id']}").json() == changed
        assert len(staff.get("/jobs").json()["jobs"]) == 1
        for model in ("recommender", "forecaster"):
            assert [each["version"] for each in staff.get(f"/models/{model}/versions").json()["models"]] == ["1"]


async def promote(stack: Stack, model: str, number: str) -> None:
    """Promotes a version as a training does, in the registry only."""
    url, key = f"http://127.0.0.1:{stack.environment['MLFLOW_PORT']}", dotenv_values(stack.folder / "secrets.env")["PIPELINE_SIGNING_KEY"]
    async with httpx.AsyncClient(timeout=30, auth=stack.mlflow_account) as client:
        await RegistryClient(client, url, registered_name(model), Signer(str(key)).verifier).promote(number, "for a test")


@pytest.mark.parametrize("model, path", [("recommender", "/recommendations/me"), ("forecaster", "/forecasts/sales")])
def test_a_promoted_version_is_served_within_seconds_without_a_failed_call_and_rolled_back_by_one(
    stack: Stack, model: str, path: str
) -> None:
    mlflow, name = stack.mlflow_client(), registered_name(model)
    first = mlflow.get_model_version_by_alias(name, "champion")
    # The same model under another number stands for a newly trained one.
    tags = {tag: value for tag, value in first.tags.items() if tag != "promotion"}
    second = str(mlflow.create_model_version(name, str(first.source), first.run_id, tags).version)
    with signed_in(stack, "STAFF") as staff, signed_in(stack, "ADMIN") as admin:
        rollback = {"expected_champion_version": second, "reason": "for a test"}

        def ask() -> str:
            return str(staff.get(path).raise_for_status().json()["model_version"])

        with concurrent_calls(ask, 2) as versions:
            asyncio.run(promote(stack, model, second))
            deadline = time.monotonic() + SWAP_SECONDS
            while ask() != second:
                assert time.monotonic() < deadline, f"version {second} is not served"
            assert admin.post(f"/models/{model}:rollback", json=rollback).raise_for_status().json()["version"] == str(first.version)
            assert ask() == str(first.version)
    assert set(versions) == {str(first.version), second}


def test_the_examples_of_all_reads_work(stack: Stack) -> None:
    # Ids that the shop gives out itself are not known beforehand.
    ids = ("/users", "/jobs", "/schedules", "/calendar/entries", "/recommendations/rules", "/experiments")
    unknown = tuple(f"{resource}/{{id}}" for resource in ids)
    with signed_in(stack, "ADMIN") as admin:
        for example in filter(lambda each: each.is_read, examples(admin.get("/openapi.json").json())):
            headers = {"content-type": example.content_type} if example.content_type else {}
            with admin.stream(example.http_method, f"/v1{example.target}", content=example.body, headers=headers) as response:
                first = next(response.iter_lines(), "")
                assert response.status_code == (404 if example.path.startswith(unknown) else 200), (example, first)


@pytest.mark.parametrize("who, phases", [("SHOPPER", OF_A_FURTHER_ROLE), ("ADMIN", ALL_PHASES)])
def test_responses_about_models_conform_to_the_document_without_server_errors(stack: Stack, who: str, phases: str) -> None:
    with signed_in(stack, who) as client:
        token = client.headers["authorization"].removeprefix("Bearer ")
        walk(stack, token, "--include-path-regex", f"{OF_MODELS}|{OF_THE_LAKE}", phases=phases)
