"""When a month is reported to differ from the months before it."""

import pytest

from lake.quality import MonthFigures, find_warnings, stability_index

USUAL = MonthFigures(
    lines_per_day=100,
    reject_share=0.02,
    missing_customer_share=0.2,
    median_price=2.5,
    basket_size=10,
    new_product_share=0.1,
    category_lines={"Lights": 50, "Kitchen": 50},
    country_lines={"France": 90, "Spain": 10},
)
MONTHS = ("2011-01", "2011-02", "2011-03")


def warn(**changes: object) -> list[tuple[str, str]]:
    months = dict.fromkeys(MONTHS, USUAL) | {"2011-04": USUAL.model_copy(update=changes)}
    return [(warning.month, warning.measure) for warning in find_warnings(months)]


def test_a_month_like_those_before_it_is_no_warning() -> None:
    assert warn() == []
    assert warn(lines_per_day=150, reject_share=0.05, median_price=3, basket_size=15, category_lines={"Lights": 60, "Kitchen": 40}) == []


@pytest.mark.parametrize(
    ("measure", "change"),
    [
        ("lines_per_day", {"lines_per_day": 40}),
        ("lines_per_day", {"lines_per_day": 250}),
        ("reject_share", {"reject_share": 0.1}),
        ("missing_customer_share", {"missing_customer_share": 1.0}),
        ("missing_customer_share", {"missing_customer_share": 0.0}),
        ("median_price", {"median_price": 250}),
        ("basket_size", {"basket_size": 1}),
        ("new_product_share", {"new_product_share": 0.9}),
        ("category_mix", {"category_lines": {"Other": 100}}),
        ("country_mix", {"country_lines": {"France": 10, "Spain": 90}}),
    ],
)
def test_each_measure_has_a_limit(measure: str, change: dict[str, object]) -> None:
    assert warn(**change) == [("2011-04", measure)]


def test_fewer_rejects_are_no_warning() -> None:
    assert warn(reject_share=0.0) == []


def test_the_first_months_are_compared_with_nothing() -> None:
    assert find_warnings(dict(zip(MONTHS, (USUAL, USUAL, USUAL.model_copy(update={"basket_size": 1.0})), strict=True))) == ()


def test_unknown_figures_are_left_out() -> None:
    months = {month: USUAL.model_copy(update={"new_product_share": None}) for month in MONTHS} | {"2011-04": USUAL}
    assert find_warnings(months) == ()


def test_the_stability_index_is_zero_for_equal_mixes_of_any_size() -> None:
    assert stability_index({"a": 1, "b": 3}, {"a": 10, "b": 30}) == 0
    assert stability_index({}, {}) == 0
    assert stability_index({"a": 60, "b": 40}, {"a": 50, "b": 50}) == pytest.approx(0.1 * 0.1823 + 0.1 * 0.2231, abs=1e-4)


def test_a_warning_says_what_has_changed() -> None:
    months = dict.fromkeys(MONTHS, USUAL) | {"2011-04": USUAL.model_copy(update={"median_price": 250.0, "country_lines": {"Spain": 1}})}
    assert [warning.sentence() for warning in find_warnings(months)] == [
        "2011-04: median price is 250, and was 2.5 in the months before",
        "2011-04: the country mix has changed, by an index of 10.27 (limit 0.25)",
    ]
