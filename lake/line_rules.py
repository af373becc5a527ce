"""The rules by which the lines of a raw file are sales of products."""

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field

# What the contracts accept as the id of a product.
PRODUCT_ID_PATTERN = r"[A-Za-z0-9._-]{1,64}"
# Python's own groups, which Spark's patterns do not have.
PYTHON_GROUPS = ("(?P", "(?(")


def _check_pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"no regular expression: {error}") from error
    if any(group in text for group in PYTHON_GROUPS):
        raise ValueError("named and conditional groups are not supported")
    return text


Pattern = Annotated[str, AfterValidator(_check_pattern)]
"""A regular expression that a whole field matches."""


class LineRules(BaseModel, frozen=True, extra="forbid"):
    """Which lines are sales. The defaults take every line that is no return, and every code that can be the id of a product."""

    sale_invoice: Pattern = Field(r"\S.*", description="The invoices of sales; others are returns or adjustments.")
    return_column: str = Field("", description="The column that marks returns, if there is one.")
    return_values: tuple[str, ...] = Field((), description="What it says of a return, in any case.")
    product: Pattern = Field(PRODUCT_ID_PATTERN, description="The stock codes of products; others are postage, fees or vouchers.")
    not_products: tuple[str, ...] = Field((), description="Stock codes that match, and are no products, in any case.")
    upper_case: bool = Field(False, description="Whether stock codes that differ in case are one product.")


FileKey = tuple[str, LineRules]
"""The SHA-256 of a raw file, and the rules by which it is judged."""

ONLINE_RETAIL = LineRules(sale_invoice=r"\d{6}", product=r"\d{5}[A-Z]*", upper_case=True)
"""The rules of Online Retail's files, which files with its columns have without a mapping: datasets/online_retail_ii.yaml."""
