"""The check figures of Online Retail II, to the line."""

from decimal import Decimal
from pathlib import Path

import pytest
from pyspark.sql import functions as F

from lake.landing.landing import land
from tests.spark.shop import TODAY, Shop

FILE = Path(__file__).resolve().parents[2] / "datasets" / "online_retail_ii.csv.gz"


@pytest.mark.usefixtures("compiled_plans")
def test_the_check_figures_come_out_to_the_line(shop: Shop) -> None:
    land(FILE, f"file://{shop.raw}", TODAY, lambda *_: None)
    manifest, _ = shop.run(reject_share=0.03)
    assert manifest.counts.model_dump() == {
        "lines_in": 1_067_371,
        "sale_lines": 1_014_945,
        "duplicates": 22_523,
        "refused": {"invoice": 19_171, "price": 2_631, "quantity": 3_393, "stock_code": 4_708},
    }
    sales = shop.frame("sales")
    money = F.sum(F.col("quantity") * F.col("price"))
    units, revenue, strangers = sales.agg(F.sum("quantity"), money, F.count_if(F.col("customer_number").isNull())).collect()[0]
    assert (units, revenue, strangers) == (11_221_670, Decimal("19699784.97"), 226_758)
    assert sales.where((F.col("copy") == 1) & F.col("customer_number").isNotNull()).count() == 776_577

    counts = [F.count(F.lit(1)), F.countDistinct("customer_number"), F.countDistinct("product_id")]
    events, customers, bought = shop.frame("interactions").agg(*counts).collect()[0]
    assert (events, customers, bought) == (759_501, 5_852, 4_619)

    lines, days = shop.frame("daily_sales").agg(F.sum("lines"), F.countDistinct("date")).collect()[0]
    assert (lines, days) == (1_013_327, 603)
    assert (manifest.through_date - manifest.first_date).days == 738

    categories = [row["category"] for row in shop.rows("products")]
    assert len(categories) == 4_707
    assert categories.count("Other") / len(categories) < 0.2
    # Known by its content on every machine: models trained on it are held to its floors.
    assert manifest.dataset().sha256 == "d0feb21f02ba36f60620812bfc028a03e6fbba6ddef1e0b6f319a7093fbd2805"
