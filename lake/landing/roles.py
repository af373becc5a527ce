"""Which columns of a shop's file are which of a sale's."""

from collections.abc import Sequence

from lake.errors import UnreadableFile
from lake.landing.mapping import ColumnNames
from lake.raw_file import check_columns, clean_column
from lake.schemas import COUNTRY, CUSTOMER_ID, DESCRIPTION, INVOICE, INVOICE_DATE, PRICE, QUANTITY, RAW_COLUMNS, STOCK_CODE

Roles = dict[str, tuple[int, ...]]
"""The places of the columns that make up each column of the raw zone; those that the shop does not have are missing."""

# Common names in exports of shop systems and tills, in lower case, letters and digits only. A column of the raw zone's own name goes first.
COMMON_NAMES = {
    INVOICE: ("invoiceno", "invoicenumber", "invoiceid", "orderid", "orderno", "ordernumber", "order", "receiptno", "receiptid", "receipt"),
    STOCK_CODE: ("sku", "productid", "productcode", "articleno", "articlenumber", "itemcode", "itemid", "itemno", "product", "article"),
    DESCRIPTION: ("productname", "itemname", "articlename", "productdescription", "itemdescription"),
    QUANTITY: ("qty", "units"),
    INVOICE_DATE: ("orderdate", "datetime", "date", "timestamp", "time", "createdat"),
    PRICE: ("unitprice", "itemprice", "priceperunit"),
    CUSTOMER_ID: ("customer", "customerno", "customernumber", "clientid", "buyerid"),
    COUNTRY: ("customercountry", "shippingcountry", "billingcountry"),
}


def known_names(names: ColumnNames | None) -> frozenset[str]:
    """The names that a header may have, as `plain_name` writes them."""
    if names is None:
        return frozenset(plain_name(name) for column, others in COMMON_NAMES.items() for name in (column, *others))
    return frozenset(plain_name(name) for wanted in _column_names(names).values() for name in wanted)


def plain_name(name: str) -> str:
    """A column's name in lower case, without blanks and punctuation."""
    return "".join(letter for letter in name.lower() if letter.isalnum())


def find_roles(file: str, columns: Sequence[str], names: ColumnNames | None) -> Roles:
    """The role of each column. Raises `UnreadableFile` for a file that lacks columns, or has one twice."""
    return _named_roles(file, columns, names) if names is not None else _common_roles(file, columns)


def _named_roles(file: str, columns: Sequence[str], names: ColumnNames) -> Roles:
    wanted = _column_names(names)
    missing = [name for each in wanted.values() for name in each if name not in columns]
    if missing:
        raise UnreadableFile(
            file, f"lacks the column{'s' if len(missing) > 1 else ''} {', '.join(missing)} of its mapping; it has {_listing(columns)}"
        )
    repeated = [name for each in wanted.values() for name in each if list(columns).count(name) > 1]
    if repeated:
        raise UnreadableFile(file, f"names a column twice: {', '.join(repeated)}")
    return {role: tuple(columns.index(name) for name in each) for role, each in wanted.items()}


def _column_names(names: ColumnNames) -> dict[str, tuple[str, ...]]:
    time = (names.time,) if isinstance(names.time, str) else names.time
    single = {
        INVOICE: names.invoice,
        STOCK_CODE: names.product,
        DESCRIPTION: names.description,
        QUANTITY: names.quantity,
        PRICE: names.price,
        CUSTOMER_ID: names.customer,
        COUNTRY: names.country,
    }
    every = {role: (name,) for role, name in single.items() if name is not None} | {INVOICE_DATE: time}
    return {role: tuple(map(clean_column, every[role])) for role in RAW_COLUMNS if role in every}


def _common_roles(file: str, columns: Sequence[str]) -> Roles:
    plain = [plain_name(name) for name in columns]
    roles: Roles = {}
    for role, names in COMMON_NAMES.items():
        if role in columns:
            roles[role] = (columns.index(role),)
        elif found := [plain.index(name) for name in (plain_name(role), *names) if name in plain]:
            roles[role] = (found[0],)
    check_columns(file, columns, [role for role in RAW_COLUMNS if role not in roles])
    return roles


def _listing(columns: Sequence[str]) -> str:
    return ", ".join(column for column in columns if column)[:500]
