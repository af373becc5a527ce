"""Files that shops really export, after public bug reports: what becomes of their lines."""

from collections.abc import Callable

from lake.landing.landing import land
from lake.landing.mapping import Mapping
from lake.manifest import Manifest
from tests.spark.shop import HEADER, TODAY, Shop, line, values


def sales(first_invoice: int = 600_000) -> list[str]:
    """40 sales of 40 products to 9 customers, one a day."""
    return [
        line(f"{first_invoice + n}", f"{20_000 + n}", "GLASS JAR", 1, f"2011-01-{n % 28 + 1:02} 11:{n:02}:00", 2.5, f"{13_000 + n % 9}")
        for n in range(40)
    ]


SALES = sales()


def etl(shop: Shop, files: dict[str, str | bytes], mapping: Mapping | None = None) -> Manifest:
    """Lands files of these contents and runs the ETL."""
    for name, content in files.items():
        file = shop.raw.parent / name
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        land(file, f"file://{shop.raw}", TODAY, lambda *_: None, mapping)
    return shop.run()[0]


EXPORTS: tuple[Callable[[list[str]], str | bytes], ...] = (
    lambda lines: "\r\r\n".join([HEADER, *lines, ""]),
    lambda lines: "\n".join([f"{HEADER},,", *(f"{sale},," for sale in lines)]),
    lambda lines: "\n".join([f"{HEADER},", *(f"{sale}," for sale in lines)]),
    lambda lines: "\n".join([f",{HEADER}", *(f"{n},{sale}" for n, sale in enumerate(lines))]),
    lambda lines: "\n".join([f",{HEADER},", *(f"{n},{sale}," for n, sale in enumerate(lines))]),
    lambda lines: "\n".join([HEADER, *lines]).encode("utf-16"),
    lambda lines: "\n".join(["sep=,", HEADER, *lines]),
)


def test_every_line_of_a_spreadsheets_export_is_a_sale(shop: Shop) -> None:
    manifest = etl(shop, {f"export-{n}.csv": export(sales(600_000 + 100 * n)) for n, export in enumerate(EXPORTS)})
    assert [(file.line_count, file.refused) for file in manifest.raw_files] == [(40, {})] * len(EXPORTS)
    assert (manifest.counts.lines_in, manifest.counts.sale_lines, manifest.counts.refused) == (40 * len(EXPORTS), 40 * len(EXPORTS), {})


def test_a_customer_with_a_fraction_of_zero_is_the_same_customer(shop: Shop) -> None:
    floats = [sale.replace(",United", ".0,United") for sale in SALES]
    counts = etl(shop, {"plain.csv": "\n".join([HEADER, *SALES]), "floats.csv": "\n".join([HEADER, *floats])}).counts
    assert (counts.lines_in, counts.sale_lines, counts.duplicates) == (80, 40, 40)
    assert {row["customer_number"] for row in shop.rows("interactions")} == {str(13_000 + n) for n in range(9)}


def test_a_year_that_cannot_be_is_one_reject(shop: Shop) -> None:
    years = ["20111-01-03 10:00:00", "40546", "0000-02-05 10:00:00", "0001-01-01 00:00:00", "-2011-01-03 10:00:00", "294248-01-01 00:00:00"]
    files: dict[str, str | bytes] = {
        f"year-{n}.csv": "\n".join([HEADER, *SALES, line("900001", "10001", time=year, quantity=n + 1)]) for n, year in enumerate(years)
    }
    manifest = etl(shop, files)
    assert all(file.refused == {"date": 1} for file in manifest.raw_files)
    assert (manifest.counts.sale_lines, manifest.counts.refused) == (40, {"date": len(years)})


TILL = Mapping.model_validate(
    {
        "columns": {
            "invoice": "Bon",
            "product": "Artikel",
            "description": "Bezeichnung",
            "quantity": "Menge",
            "time": ["Datum", "Uhrzeit"],
            "price": "Einzelpreis",
            "customer": None,
            "country": None,
        },
        "rules": {"return_column": "Art", "return_values": ["Storno"], "not_products": ["PFAND"]},
    }
)
TILL_HEADER = "Datum;Uhrzeit;Bon;Artikel;Bezeichnung;Menge;Einzelpreis;Art"


def test_monthly_exports_of_a_till_without_customers_become_clean_data(shop: Shop) -> None:
    months: dict[str, str | bytes] = {
        f"2011-{month:02}.csv": "\n".join(
            [
                TILL_HEADER,
                f"14.{month:02}.2011;10:05;B-{month}1;kaffee-1;Kaffee, gemahlen;2;1.002,50;Verkauf",
                f"14.{month:02}.2011;10:06;B-{month}2;KAFFEE-1;Käsekuchen;1;2,50;Verkauf",
                f"15.{month:02}.2011;10:07;B-{month}3;KAFFEE-1;Käsekuchen;1;2,50;storno",
                f"15.{month:02}.2011;10:08;B-{month}4;Pfand;Flasche;1;0,25;Verkauf",
                f"15.{month:02}.2011;10:09;B-{month}5;K/1;Käse;1;0,25;Verkauf",
                f"16.{month:02}.2011;10:10;B-{month}6;KAFFEE-1;Käsekuchen;-1;2,50;Verkauf",
            ]
        ).encode("cp1252")
        for month in (1, 2)
    }
    manifest = etl(shop, months, TILL)
    assert (manifest.counts.sale_lines, manifest.counts.refused) == (4, {"quantity": 2, "return": 2, "stock_code": 4})
    assert values(shop.rows("products"), "product_id", "name") == [("KAFFEE-1", "Käsekuchen"), ("kaffee-1", "Kaffee, gemahlen")]
    assert "interactions" not in {name for month in manifest.months for name in month.tables}
    assert {tuple(row) for row in shop.frame("sales").select("customer_number", "country").collect()} == {(None, "")}
    # The last day of the sales may be incomplete.
    assert [row["revenue"] for row in shop.rows("daily_sales")] == [2.5, 2_005.0]


def test_a_new_mapping_judges_the_same_file_anew(shop: Shop) -> None:
    content = f"{TILL_HEADER}\n14.01.2011;10:05;B-1;K1;Kaffee;1;2,50;Verkauf\n14.01.2011;10:06;B-2;PFAND;Flasche;1;0,25;Verkauf\n"
    assert etl(shop, {"till.csv": content}, TILL).counts.refused == {"stock_code": 1}
    other = TILL.model_copy(update={"rules": TILL.rules.model_copy(update={"not_products": ("K1", "K2")})})
    manifest = etl(shop, {"till.csv": content}, other)
    assert (manifest.counts.lines_in, manifest.counts.sale_lines, manifest.counts.refused) == (2, 1, {"stock_code": 1})
    assert values(shop.rows("sales"), "product_id") == [("PFAND",)]
