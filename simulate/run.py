"""A simulation: an experiment, a log with exploration, a retraining on what the loop has recorded, and the truth beside each."""

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ml.experiments.off_policy import LEAST_LISTS, PolicyValue
from simulate.estimates import LoggedVisit, compare_policies
from simulate.market import Market
from simulate.shop import SimulatedShop, SimulationError, Visitor
from simulate.terminal import Terminal
from simulate.weeks import Visit, Week
from stack.demo.client import Json, RestError

# The slot of the visits, and two that show what it would show: they have its sources, and do not explore.
SLOT, PERSONAL, POPULAR = "simulation", "simulation-personal", "simulation-popular"
_SOURCES = {SLOT: "POPULAR", PERSONAL: "PERSONAL", POPULAR: "POPULAR"}
LIST_SIZE = 10
EXPLORATION_SHARE = 0.2
_SLOT_SETTINGS = {"size": LIST_SIZE, "exploration_share": EXPLORATION_SHARE}
# The shop's replicas know a change after two seconds at most.
_SPREAD_SECONDS = 3.0
# The log of exposures is written twice a second.
_LOG_SECONDS = 2.0
_SERVING_SECONDS = 120.0
# How much longer than others a week of the experiment may take, and how long a visit.
_EXPERIMENT_SLOWNESS, _VISIT_SECONDS = 3.0, 20.0
MIN_WEEKS = 4


class Plan(NamedTuple):
    """How many weeks each phase of the simulation has."""

    warm_up: int
    experiment: int
    log: int
    after: int

    @classmethod
    def of(cls, weeks: int) -> "Plan":
        """Splits so many weeks, at least MIN_WEEKS."""
        after = max(weeks // 5, 1)
        experiment = max((weeks - 1 - after) // 2, 1)
        return cls(1, experiment, weeks - 1 - after - experiment, after)


class Simulation:
    """One run. Each step may raise `RestError` or `SimulationError`."""

    def __init__(self, shop: SimulatedShop, market: Market, weeks: int, terminal: Terminal) -> None:
        self._shop = shop
        self._market = market
        self._plan = Plan.of(weeks)
        self._week_count = weeks
        self._terminal = terminal
        self._say = terminal.say
        self._visitors = [shop.visitor() for _ in range(market.shoppers)]
        self._week = Week(shop, market, self._visitors, SLOT)
        self._weeks: list[Json] = []

    async def run(self, retrain: bool) -> Json:
        """Carries the simulation out, and returns its report. retrain: whether to train on the loop's data, which takes minutes"""
        await self._set_up()
        began = time.monotonic()
        await self._visit("warm-up", self._plan.warm_up)
        experiment = await self._experiment((time.monotonic() - began) / self._plan.warm_up)
        estimates = await self._estimates()
        result: Json = {
            "shoppers": self._market.shoppers,
            "products": len(self._market.ids),
            "list_size": LIST_SIZE,
            "exploration_share": EXPLORATION_SHARE,
            "baselines": {
                "random": self._mean(lambda shopper: self._market.random_value(shopper, LIST_SIZE)),
                "best": self._mean(lambda shopper: self._market.best_value(shopper, LIST_SIZE)),
            },
            "experiment": experiment,
            "estimates": estimates,
        }
        if retrain:
            result["retraining"] = await self._retraining()
        await self._visit("after", self._plan.after)
        return result | {"weeks": self._weeks}

    async def _set_up(self) -> None:
        if len(self._market.ids) < 2 * LIST_SIZE:
            raise SimulationError(f"The shop has {len(self._market.ids)} products in stock; a simulation takes {2 * LIST_SIZE}.")
        await self._shop.stop_experiments(SLOT)
        for slot, source in _SOURCES.items():
            explores = _SLOT_SETTINGS if slot == SLOT else {"size": LIST_SIZE}
            await self._shop.put_slot(slot, source=f"SLOT_SOURCE_{source}", **explores)
        for visitor in self._visitors:
            await self._admit(visitor)
        await asyncio.sleep(_SPREAD_SECONDS)
        self._say("shop", f"{len(self._market.ids):,} products; {self._market.shoppers:,} shoppers come for {self._week_count} weeks")

    async def _admit(self, visitor: Visitor) -> None:
        """Waits until the shop lets the visitor in: it lets in 1,000 from one address within 15 minutes."""
        while not visitor.id:
            try:
                await visitor.arrive()
            except RestError as error:
                if not error.retry_after_seconds:
                    raise
                self._say("shop", f"{error}; going on in {error.retry_after_seconds:.0f} seconds")
                await asyncio.sleep(error.retry_after_seconds)

    async def _experiment(self, week_seconds: float) -> Json:
        """An experiment on personal lists in place of popular ones, its report beside the truth, and its conclusion.

        week_seconds: how long a week without probes takes
        """
        # From a shopper's first visit to the last one. Each visit also asks for two lists to know the truth.
        window = math.ceil(week_seconds * _EXPERIMENT_SLOWNESS * (self._plan.experiment - 1) + _VISIT_SECONDS)
        id = f"simulation-{datetime.now(UTC):%Y%m%d-%H%M%S}"
        treatment = {"id": SLOT, "source": "SLOT_SOURCE_PERSONAL", **_SLOT_SETTINGS}
        await self._shop.start_experiment(id, {"treatment": treatment, "traffic_share": 1, "outcome_window_seconds": window})
        await asyncio.sleep(_SPREAD_SECONDS)
        visits = await self._visit("experiment", 1, (PERSONAL, POPULAR))
        end = time.monotonic() + window
        visits += await self._visit("experiment", self._plan.experiment - 1, (PERSONAL, POPULAR))
        # A shopper counts when their window is over.
        rest = end - time.monotonic()
        self._say(
            "experiment",
            f"waiting {rest:.0f} seconds, until each shopper's time is over" if rest > 0 else "was slow: the last purchases do not count",
        )
        await asyncio.sleep(max(rest, 0) + _LOG_SECONDS)
        report = await self._shop.experiment_report(id)
        truth = {
            arm: float(np.mean([self._true_value(visit, slot) for visit in visits]))
            for arm, slot in (("control", POPULAR), ("treatment", PERSONAL))
        }
        verdict = report["revenue"]["verdict"].removeprefix("EXPERIMENT_VERDICT_").lower()
        decision = "KEEP" if verdict == "treatment_better" else "REVERT"
        await self._shop.conclude(id, decision, f"The report said {verdict}.")
        # What follows is about personal lists, whatever was decided.
        await self._shop.put_slot(SLOT, source="SLOT_SOURCE_PERSONAL", **_SLOT_SETTINGS)
        await asyncio.sleep(_SPREAD_SECONDS)
        lift = report["revenue"].get("lift") or {}
        self._say("experiment", f"{verdict}; the true lift is {truth['treatment'] / truth['control'] - 1:+.1%}")
        return {
            "id": id,
            "control": "popular products",
            "treatment": "personal recommendations",
            "weeks": self._plan.experiment,
            "verdict": verdict,
            "decision": decision.lower(),
            "shoppers": {arm: report[arm]["counted_shopper_count"] for arm in truth},
            "revenue_cents_per_visit": {arm: report[arm]["revenue_cents_per_shopper"] / self._plan.experiment for arm in truth},
            "lift": {"value": lift.get("value"), "lower": lift.get("lower"), "upper": lift.get("upper")},
            "true_revenue_cents_per_visit": truth,
            "true_lift": truth["treatment"] / truth["control"] - 1,
            "sample_ratio_mismatch": report["sample_ratio_mismatch"],
        }

    def _true_value(self, visit: Visit, slot: str) -> float:
        """What a visit would have earned in the mean with the list of a slot, with the exploration of the arms."""
        ids = visit.probes[slot]
        return self._market.explored_value(visit.shopper, ids[:LIST_SIZE], ids[LIST_SIZE:], EXPLORATION_SHARE)

    async def _estimates(self) -> list[Json]:
        """Estimates from the log of some weeks, beside the truth."""
        visits = await self._visit("log", self._plan.log, (PERSONAL,))
        await asyncio.sleep(_LOG_SECONDS)
        exposures = await self._shop.exposures(SLOT, frozenset(visit.shown.id for visit in visits))
        logged = [_logged(visit) for visit in visits if len(visit.probes[PERSONAL]) == 2 * LIST_SIZE]
        compared = compare_policies(self._market, logged, exposures)
        for each in compared:
            value = estimate(each.doubly_robust)
            interval = "too few lists for an interval" if value["lower"] is None else f"{value['lower']:.0f} to {value['upper']:.0f}"
            self._say("estimates", f"{each.name}: {value['value']:.0f} ({interval}), in truth {each.truth:.0f} cents a visit")
        return [
            {
                "policy": each.name,
                "truth": each.truth,
                "self_normalised": estimate(each.self_normalised),
                "doubly_robust": estimate(each.doubly_robust),
            }
            for each in compared
        ]

    async def _retraining(self) -> Json:
        """Trains on the loop's data, and compares the lists before and after it: the same shoppers, who know as much."""
        before, old = await self._probe(), (await self._shop.champion())["version"]
        submitted = await self._shop.submit_training(f"{datetime.now(UTC):%Y-%m-%d}")
        stage = ""
        async for job in self._shop.watch_job(submitted["id"]):
            message = (job.get("failure") or {}).get("message", "")
            if (job["stage"] or message) != stage:
                stage = job["stage"] or message
                self._say("retraining", stage)
        if not job["state"].startswith("JOB_STATE_SUCCEEDED"):
            raise SimulationError(f"The retraining failed: {message} (job {job['id']}; GET /jobs/{job['id']}/logs says more).")
        new = await self._serving(old)
        after = await self._probe()
        self._say("retraining", f"version {new} earns {after['personal']:.0f} cents a visit, version {old} earned {before['personal']:.0f}")
        return {"version_before": old, "version_after": new, "before": before, "after": after}

    async def _serving(self, old: str) -> str:
        """Waits until another version than the old one is served, and returns it."""
        deadline = time.monotonic() + _SERVING_SECONDS
        while time.monotonic() < deadline:
            with suppress(RestError):
                champion = await self._shop.champion()
                if champion["version"] != old and champion["serving"]:
                    return str(champion["version"])
            await asyncio.sleep(1)
        raise SimulationError(
            f"Version {old} is still served: the new model did not take its place. `make logs S=recommender` may say why."
        )

    async def _probe(self) -> dict[str, float]:
        """What a visit would earn now in the mean with personal and with popular lists, in cents."""
        lists = await self._week.probe((PERSONAL, POPULAR), LIST_SIZE)
        return {
            name: float(np.mean([self._market.value(shopper, shown[slot]) for shopper, shown in enumerate(lists)]))
            for name, slot in (("personal", PERSONAL), ("popular", POPULAR))
        }

    async def _visit(self, phase: str, weeks: int, probed: Sequence[str] = ()) -> list[Visit]:
        """Lets all shoppers visit for some weeks."""
        made = []
        for _ in range(weeks):
            number = len(self._weeks) + 1
            began = time.monotonic()
            visits = await self._week.visits(number, probed, 2 * LIST_SIZE, partial(self._count, f"week {number}"))
            spent, value = np.mean([visit.spent_cents for visit in visits]), np.mean([visit.value_cents for visit in visits])
            self._weeks.append(
                {"week": number, "phase": phase, "revenue_cents_per_visit": float(spent), "true_revenue_cents_per_visit": float(value)}
            )
            took = time.monotonic() - began
            self._say(
                f"week {number}",
                f"{phase}: {spent:.0f} cents a visit, {value:.0f} in the mean of chance ({len(visits) / took:.0f} visits a second)",
            )
            made += visits
        return made

    def _count(self, subject: str, done: int) -> None:
        self._terminal.count(subject, done, self._market.shoppers)

    def _mean(self, value: Callable[[int], float]) -> float:
        """The mean over shoppers."""
        return float(np.mean([value(shopper) for shopper in range(self._market.shoppers)]))


def estimate(value: PolicyValue) -> Json:
    """An estimate for the report, without an interval if there are too few lists for one."""
    return value._asdict() | ({} if value.effective_lists >= LEAST_LISTS else {"lower": None, "upper": None})


def _logged(visit: Visit) -> LoggedVisit:
    ids: Any = visit.probes[PERSONAL]
    return LoggedVisit(visit.shopper, visit.shown.id, ids[:LIST_SIZE], ids[LIST_SIZE:])
