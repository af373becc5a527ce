"""A walk through the services, which prints what came of each step as one JSON document.

HASHIRAMART_EMAIL, HASHIRAMART_PASSWORD    a member of staff
HASHIRAMART_AUTH, ..._CATALOG, ..._RECOMMENDER, ..._FORECASTER, ..._JOBS    addresses, by default 127.0.0.1:50051 to 50055
HASHIRAMART_TLS_CA, HASHIRAMART_TLS_CERTIFICATE, HASHIRAMART_TLS_KEY    for TLS: the authority, and the client's own certificate
"""

import json
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc

from hashiramart.catalog.v1.catalog_pb2 import GetProductRequest, ImportProductsRequest, ListProductsRequest, Product, WatchProductsRequest
from hashiramart.catalog.v1.catalog_pb2_grpc import CatalogServiceStub
from hashiramart.forecaster.v1.forecaster_pb2 import ForecastSalesRequest
from hashiramart.forecaster.v1.forecaster_pb2_grpc import ForecasterServiceStub
from hashiramart.jobs.v1.jobs_pb2 import CancelJobRequest, SubmitEtlJobRequest, WatchJobRequest
from hashiramart.jobs.v1.jobs_pb2_grpc import JobsServiceStub
from hashiramart.recommender.v1.recommender_pb2 import ListRecommendationsRequest
from hashiramart.recommender.v1.recommender_pb2_grpc import RecommenderServiceStub
from hashiramart_client import Session, Tls, call_error, open_channel, password_grant

SERVICES = ("auth", "catalog", "recommender", "forecaster", "jobs")
Step = dict[str, Any]


def main() -> None:
    with ExitStack() as stack:
        addresses = {name: os.environ.get(f"HASHIRAMART_{name.upper()}", f"127.0.0.1:{50051 + at}") for at, name in enumerate(SERVICES)}
        auth = stack.enter_context(open_channel(addresses.pop("auth"), tls=tls()))
        session = stack.enter_context(Session(auth, password_grant(os.environ["HASHIRAMART_EMAIL"], os.environ["HASHIRAMART_PASSWORD"])))
        channels = {name: stack.enter_context(open_channel(address, session, tls())) for name, address in addresses.items()}
        catalog = CatalogServiceStub(channels["catalog"])
        steps = {
            "sign_in": {"signed_in": bool(session.access_token())},
            "import": import_three(catalog),
            "products": list_products(catalog),
            "recommendations": step(lambda: recommend(RecommenderServiceStub(channels["recommender"]))),
            "forecast": step(lambda: forecast(ForecasterServiceStub(channels["forecaster"]))),
            "job": run_job(JobsServiceStub(channels["jobs"])),
            "error": step(lambda: {"product": catalog.GetProduct(GetProductRequest(id="no-such-product")).id}),
            "invalid": step(lambda: {"product": catalog.GetProduct(GetProductRequest(id="no such product")).id}),
            "deadline": step(lambda: watch(catalog, seconds=0.3)),
        }
    print(json.dumps(steps, indent=2))


def tls() -> Tls | None:
    """The files of TLS; None for plaintext."""
    ca, certificate, key = (os.environ.get(f"HASHIRAMART_TLS_{name}") for name in ("CA", "CERTIFICATE", "KEY"))
    return Tls(Path(ca), Path(certificate) if certificate else None, Path(key) if key else None) if ca else None


def step(run: Callable[[], Step]) -> Step:
    """The outcome of a step, or the error that it ended with, by its stable names."""
    try:
        return run()
    except grpc.RpcError as error:
        failure = call_error(error)
        return {"code": failure.code.name, "reason": failure.reason, "fields": [violation.field for violation in failure.violations]}


def import_three(catalog: CatalogServiceStub) -> Step:
    rows = (Product(id=f"conformance-{number}", name=f"Conformance {number}", price_cents=100 * number, stock=5) for number in (1, 2, 3))
    outcome = catalog.ImportProducts(ImportProductsRequest(product=row) for row in rows)
    return {"row_count": outcome.row_count, "failed_count": outcome.failed_count}


def list_products(catalog: CatalogServiceStub) -> Step:
    """All pages of a search, in order."""
    request = ListProductsRequest(search="conformance", order_by="id", page_size=2)
    ids: list[str] = []
    while True:
        page = catalog.ListProducts(request)
        ids += [product.id for product in page.products]
        if not page.next_page_token:
            return {"ids": ids}
        request.page_token = page.next_page_token


def watch(catalog: CatalogServiceStub, seconds: float) -> Step:
    """Waits for the end of a stream that has none, until the deadline."""
    return {"changes": sum(1 for _ in catalog.WatchProducts(WatchProductsRequest(), timeout=seconds))}


def recommend(recommender: RecommenderServiceStub) -> Step:
    return {"count": len(recommender.ListRecommendations(ListRecommendationsRequest(page_size=3)).recommendations)}


def forecast(forecaster: ForecasterServiceStub) -> Step:
    return {"days": len(forecaster.ForecastSales(ForecastSalesRequest(horizon_days=7)).points)}


def run_job(jobs: JobsServiceStub) -> Step:
    """Submits a job, retries that as after a lost response, follows the job, cancels it, and follows it to its end."""
    request = SubmitEtlJobRequest(request_id=str(uuid.uuid4()))
    job, repeated = jobs.SubmitEtlJob(request), jobs.SubmitEtlJob(request)
    events: Iterator[Any] = jobs.WatchJob(WatchJobRequest(id=job.id), timeout=120)
    next(events)
    cancelled = step(lambda: {"id": jobs.CancelJob(CancelJobRequest(id=job.id)).id})
    last = job
    for event in events:
        last = event.job if event.HasField("job") else last
    is_cancelled = cancelled.get("id") == job.id or cancelled.get("reason") == "JOB_ENDED"
    return {"submitted_once": job.id == repeated.id, "cancelled": is_cancelled, "ended": last.HasField("end_time")}


if __name__ == "__main__":
    main()
