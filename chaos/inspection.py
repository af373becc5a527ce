"""What a stack has after a run."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Mapping
from urllib.parse import urlencode

import httpx

from chaos.callers import PASSWORD, Callers, Gateways
from chaos.tally import Remains
from chaos.trial import TrialStack
from stack.demo.client import Account, Json, RestError

ENDED = ("JOB_STATE_SUCCEEDED", "JOB_STATE_SUCCEEDED_WITH_REJECTS", "JOB_STATE_FAILED", "JOB_STATE_CANCELLED")
# An ETL takes a minute on a quiet machine.
JOBS_SECONDS = 180
POLL_SECONDS = 2
# What one call records.
EVENTS = 500


async def inspect(stack: TrialStack, gateways: Gateways, callers: Callers, token: str) -> Remains:
    """Waits for the end of all jobs, and looks up what the callers have written."""
    jobs = await _ended_jobs(gateways, token)
    return Remains(
        prices=await _prices(gateways, token, callers.run),
        missing_events=await _missing_events(gateways, token, callers),
        missing_accounts=[email for email in callers.journal.accounts if not await _can_sign_in(gateways, email)],
        job_ids=[job["id"] for job in jobs],
        successes={job["id"]: await asyncio.to_thread(_successes, stack, job["id"]) for job in jobs},
    )


async def _ended_jobs(gateways: Gateways, token: str) -> list[Json]:
    """All jobs, when they have ended; what takes too long is cancelled."""
    deadline = time.monotonic() + JOBS_SECONDS
    while True:
        jobs: list[Json] = (await gateways.call(token, "GET", "/jobs?page_size=100"))["jobs"]
        running = [job for job in jobs if job["state"] not in ENDED]
        if not running:
            return jobs
        if time.monotonic() > deadline:
            for job in running:
                await gateways.call(token, "POST", f"/jobs/{job['id']}:cancel", json={})
        await asyncio.sleep(POLL_SECONDS)


async def _prices(gateways: Gateways, token: str, run: str) -> Mapping[str, list[int]]:
    prices: dict[str, list[int]] = defaultdict(list)
    page_token = ""
    while True:
        query = urlencode({"category": run, "page_size": 100, "page_token": page_token})
        page = await gateways.call(token, "GET", f"/products?{query}")
        for product in page["products"]:
            prices[product["name"]].append(product["price_cents"])
        page_token = page["next_page_token"]
        if not page_token:
            return prices


async def _missing_events(gateways: Gateways, token: str, callers: Callers) -> list[str]:
    """Sends acknowledged events again: each has to be a duplicate."""
    ids = callers.journal.events
    product = next((product.id for product in callers.journal.products.values() if product.id), "")
    missing = []
    for start in range(0, len(ids), EVENTS):
        events = [{"id": id, "kind": "EVENT_KIND_VIEW", "product_id": product} for id in ids[start : start + EVENTS]]
        answer = await gateways.call(token, "POST", "/events", json={"events": events})
        if answer["recorded_count"]:
            missing.append(f"({answer['recorded_count']} of {len(events)})")
    return missing


async def _can_sign_in(gateways: Gateways, email: str) -> bool:
    try:
        await gateways.token(Account(email, PASSWORD))
    except RestError as error:
        return error.reason not in ("invalid_grant", "INVALID_GRANT")
    return True


def _successes(stack: TrialStack, job: str) -> int:
    """How many applications of a job have succeeded."""
    url = f"http://127.0.0.1:{stack.settings.resourcemanager_port}/ws/v1/cluster/apps"
    found = httpx.get(url, params={"applicationTags": f"hashiramart-job-{job}"}, timeout=30).raise_for_status().json()["apps"]
    return sum(application["finalStatus"] == "SUCCEEDED" for application in (found or {}).get("app", ()))
