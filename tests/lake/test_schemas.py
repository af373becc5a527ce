"""The tables that Spark writes are those that the models read."""

from lake import columns
from lake.schemas import PRODUCTS, TABLES


def test_the_tables_have_the_columns_that_the_models_read() -> None:
    assert TABLES["interactions"].columns == columns.INTERACTIONS
    assert TABLES["daily_sales"].columns == columns.DAILY_SALES
    assert columns.PRODUCTS.items() <= PRODUCTS.items()
