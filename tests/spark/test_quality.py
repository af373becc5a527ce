"""What a run measures of the data's quality."""

from datetime import date

import pytest

from spark.errors import DataQualityHeld
from tests.spark.shop import Shop, line

MONTHS = [f"2011-{month:02}" for month in range(1, 6)]


def month_of_sales(month: str, *, price: float = 2.5, customer: str = "12345", product: str = "10001") -> list[str]:
    """Ten sales in five invoices on five days, and one reject."""
    sales = [
        line(
            f"5{int(month[-2:]):02}{n // 2:03}",
            product,
            name="GLASS JAR",
            time=f"{month}-{n // 2 + 1:02} 10:00:00",
            price=price,
            customer=customer,
        )
        for n in range(10)
    ]
    return [*sales, line(f"5{int(month[-2:]):02}000", time=f"{month}-01 10:00:00", price=0)]


def test_figures_of_each_month_are_kept_in_the_manifest(shop: Shop) -> None:
    shop.land(*(each for month in MONTHS[:3] for each in month_of_sales(month)))
    shop.land(*month_of_sales(MONTHS[3], price=5, product="20002"), name="april.csv")
    manifest, _ = shop.run()
    january, _, _, april = (month.figures for month in manifest.months)
    assert january is not None
    assert april is not None
    assert (january.lines_per_day, january.basket_size, january.median_price, january.new_product_share) == (2, 2, 2.5, None)
    assert (january.reject_share, january.missing_customer_share) == (1 / 11, 0)
    assert (january.category_lines, january.country_lines) == ({"Kitchen and dining": 10}, {"United Kingdom": 10})
    assert april.new_product_share == 1
    assert [(warning.month, warning.measure) for warning in manifest.warnings()] == [("2011-04", "median_price")]


def test_a_run_measures_what_has_changed_and_what_it_is_compared_with(shop: Shop) -> None:
    shop.land(*(each for month in MONTHS for each in month_of_sales(month)))
    first, _ = shop.run()
    assert first.warnings() == ()
    shop.land(*month_of_sales(MONTHS[4], customer="", product="30003"), name="more.csv")
    second, _ = shop.run()
    assert first.months[:4] == second.months[:4]
    figures = second.months[4].figures
    assert figures is not None
    assert (figures.missing_customer_share, figures.new_product_share, figures.lines_per_day) == (0.5, 0.5, 4)
    assert [warning.measure for warning in second.warnings()] == ["missing_customer_share", "new_product_share"]
    assert second.months[4].days == (date(2011, 5, 1), date(2011, 5, 5))


def test_new_warnings_hold_the_publish_if_the_settings_say_so(shop: Shop) -> None:
    shop.land(*(each for month in MONTHS[:4] for each in month_of_sales(month)))
    first, _ = shop.run()
    shop.land(*month_of_sales(MONTHS[4], price=25), name="pence.csv")
    message = r"was not published, as .*: 2011-05: median price is 25, and was 2\.5 in the months before\.$"
    with pytest.raises(DataQualityHeld, match=message):
        shop.begin(hold=True).publish()
    assert shop.published() == first
    assert shop.stored() == first.keys()
    _, published = shop.begin().publish()
    assert published
    shop.land(*month_of_sales("2011-06", price=250), name="june.csv")
    with pytest.raises(DataQualityHeld, match="2011-06"):
        shop.begin(hold=True).publish()
