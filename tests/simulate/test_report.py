"""The simulator's arguments and its report."""

import json
from html.parser import HTMLParser
from pathlib import Path

import pytest

from ml.experiments.off_policy import PolicyValue
from simulate.__main__ import parse_arguments
from simulate.page import write_page
from simulate.run import MIN_WEEKS, Plan, estimate
from simulate.shop import SimulationError, read_secrets
from stack.demo.client import Json


def value(value: float, lower: float, upper: float) -> Json:
    return {"value": value, "lower": lower, "upper": upper, "effective_lists": 10}


def report(**changes: object) -> Json:
    """A report of four weeks."""
    weeks = [
        {"week": number, "phase": phase, "revenue_cents_per_visit": 100 + number, "true_revenue_cents_per_visit": 101}
        for number, phase in enumerate(("warm-up", "experiment", "log", "after"), 1)
    ]
    return {
        "create_time": "2026-11-28T12:00:00+00:00",
        "seed": 1,
        "currency": "G<B>P",
        "shoppers": 20,
        "products": 40,
        "baselines": {"random": 80.0, "best": 400.0},
        "weeks": weeks,
        "experiment": {
            "control": "popular products",
            "treatment": "personal recommendations",
            "verdict": "treatment_better",
            "shoppers": {"control": 10, "treatment": 10},
            "revenue_cents_per_visit": {"control": 90.0, "treatment": 120.0},
            "true_revenue_cents_per_visit": {"control": 91.0, "treatment": 118.0},
            "lift": {"value": 0.33, "lower": 0.1, "upper": 0.6},
            "true_lift": 0.297,
        },
        "estimates": [
            {"policy": "what follows", "truth": 77.0, "self_normalised": value(75, 60, 90), "doubly_robust": value(76, 62, 88)},
        ],
        "retraining": {
            "version_before": "1",
            "version_after": "2",
            "before": {"personal": 120.0, "popular": 90.0},
            "after": {"personal": 150.0, "popular": 95.0},
        },
        **changes,
    }


class Text(HTMLParser):
    """Collects the text and the addresses of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text, self.addresses = "", list[str]()
        self.feed(page)

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.addresses += [f"{tag} {text}" for name, text in attributes if name in ("src", "href")]


def test_the_page_says_what_was_found_and_loads_nothing() -> None:
    page = Text(write_page(report()))
    for expected in (
        "the treatment is better",
        "the treatment earns +29.7%",
        "earns +25.0% a visit",
        "what follows, SNIPS",
        "G<B>P",
        "seed 1",
    ):
        assert expected in page.text
    assert page.addresses == []
    assert "prefers-color-scheme: dark" in page.text


def test_an_experiment_without_an_interval_and_a_run_without_a_retraining_have_a_page_too() -> None:
    undecided = report()["experiment"] | {"verdict": "undecided", "lift": {"value": None, "lower": None, "upper": None}}
    without = report(experiment=undecided)
    del without["retraining"]
    text = Text(write_page(json.loads(json.dumps(without)))).text
    assert "not decided" in text
    assert "retrain" not in text.lower()


def test_an_estimate_of_few_lists_has_no_interval() -> None:
    """Few purchases at large weights decide value and interval together: 95 % intervals would hold the truth in 82 % of such logs."""
    few, enough = (estimate(PolicyValue(103, 50, 157, lists)) for lists in (6.3, 168))
    assert (few["value"], few["lower"], few["upper"]) == (103, None, None)
    assert (enough["lower"], enough["upper"]) == (50, 157)
    assert "what follows, SNIPS" in write_page(report(estimates=[report()["estimates"][0] | {"self_normalised": few}]))


@pytest.mark.parametrize("weeks", [MIN_WEEKS, 5, 10, 52])
def test_each_phase_has_a_week_at_least_and_all_together_have_those_that_were_asked_for(weeks: int) -> None:
    plan = Plan.of(weeks)
    assert min(plan) >= 1
    assert sum(plan) == weeks


@pytest.mark.parametrize(
    "arguments, expected",
    [
        (["--weeks", "3"], "'3' is no number of weeks from 4 to 520"),
        (["--shoppers", "many"], "'many' is no number of shoppers from 20 to 10,000"),
        (["--seed", "x"], "'x' is no seed from 0"),
    ],
)
def test_a_wrong_argument_gets_a_message(capsys: pytest.CaptureFixture[str], arguments: list[str], expected: str) -> None:
    with pytest.raises(SystemExit):
        parse_arguments(arguments)
    assert expected in capsys.readouterr().err


def test_a_stack_without_a_demo_is_named(tmp_path: Path) -> None:
    with pytest.raises(SimulationError, match="has no demo: 'STAFF_EMAIL' is missing. Run `make demo` first"):
        read_secrets(tmp_path)
