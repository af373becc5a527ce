"""Makes the same clean data with DuckDB in one process: `python -m benchmarks.duckdb_etl FOLDER ENDPOINT BUCKET`.

Reads the raw files of a folder, writes the tables as Parquet by month and uploads them to the store, with the keys in the file that
AWS_SHARED_CREDENTIALS_FILE names. Prints the line counts and the resources used as JSON.
"""

import json
import re
import resource
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
from minio import Minio
from minio.credentials.providers import AWSConfigProvider

from spark.products import read_taxonomy

SALE = "time, invoice, product_id, description, quantity, price, customer_number, country"

# One row per line, in order, with typed fields and the reject reason.
LINES = """
CREATE TABLE lines AS
WITH fields AS (
  SELECT parse_filename(filename) AS file, row_number() OVER () AS number, trim(Invoice) AS invoice, upper(trim(StockCode)) AS product_id,
    coalesce(trim(Description), '') AS description, try_cast(trim(Quantity) AS INTEGER) AS quantity,
    try_cast(trim(InvoiceDate) AS TIMESTAMP) AS time, try_cast(trim(Price) AS DECIMAL(12, 4)) AS price,
    nullif(trim("Customer ID"), '') AS customer_number, coalesce(trim(Country), '') AS country,
    concat_ws(',', Invoice, StockCode, Description, Quantity, InvoiceDate, Price, "Customer ID", Country) AS line
  FROM read_csv(?, header = true, all_varchar = true, filename = true, quote = '"', escape = '"')
)
SELECT *, time::DATE AS date, strftime(time, '%Y-%m') AS month,
  CASE
    WHEN NOT coalesce(regexp_full_match(invoice, '\\d{6}'), false) THEN 'invoice'
    WHEN NOT coalesce(quantity > 0, false) THEN 'quantity'
    WHEN NOT coalesce(price > 0, false) THEN 'price'
    WHEN NOT coalesce(regexp_full_match(product_id, '\\d{5}[A-Z]*'), false) THEN 'stock_code'
    WHEN time IS NULL THEN 'date'
  END AS reason
FROM fields
"""

# A sheet begins where the clock goes back to an earlier day. On days of several sheets, a line that an earlier sheet has too is a repeat.
MARKED = f"""
CREATE TABLE marked AS
WITH back AS (
  SELECT *, coalesce(lag(date IGNORE NULLS) OVER (PARTITION BY file ORDER BY number) > date, false)::INTEGER AS back FROM lines
), sheets AS (
  SELECT * EXCLUDE (back), (file, sum(back) OVER (PARTITION BY file ORDER BY number)) AS sheet FROM back
), overlap AS (
  SELECT date FROM sheets GROUP BY date HAVING count(DISTINCT sheet) > 1
), copies AS (
  SELECT *, row_number() OVER (PARTITION BY {SALE}, reason, line, sheet ORDER BY number) AS copy
  FROM sheets WHERE date IN (FROM overlap)
)
SELECT * EXCLUDE (sheet, copy), row_number() OVER (PARTITION BY {SALE}, reason, line, copy ORDER BY sheet) > 1 AS repeated FROM copies
UNION ALL
SELECT * EXCLUDE (sheet), false FROM sheets WHERE date IS NULL OR date NOT IN (FROM overlap)
"""

SALES = f"""
CREATE TABLE sales AS
SELECT {SALE}, row_number() OVER (PARTITION BY {SALE}) AS copy, date, month FROM marked WHERE reason IS NULL AND NOT repeated
"""

TABLES = {
    "sales": f"SELECT {SALE}, copy, month FROM sales ORDER BY month, {SALE}, copy",
    "rejects": """
        SELECT file, number, reason, line, coalesce(month, 'undated') AS month
        FROM marked WHERE reason IS NOT NULL AND NOT repeated ORDER BY month, file, number""",
    "interactions": """
        SELECT customer_number, product_id, date, min(country) AS country, sum(quantity)::BIGINT AS quantity, month
        FROM sales WHERE customer_number IS NOT NULL AND copy = 1 GROUP BY ALL ORDER BY month, customer_number, date, product_id""",
    "daily_sales": """
        SELECT product_id, country, date, sum(quantity)::BIGINT AS units, sum(quantity * price)::DOUBLE AS revenue, count(*) AS lines, month
        FROM sales WHERE date < (SELECT max(date) FROM sales) GROUP BY ALL ORDER BY month, product_id, country, date""",
    "products": """
        WITH named AS (
          SELECT product_id, arg_max(description, (description != '', lines, time, description)) AS name
          FROM (SELECT product_id, description, count(*) AS lines, max(time) AS time FROM sales GROUP BY ALL) GROUP BY ALL
        ), priced AS (
          SELECT product_id, greatest(round(median(price) * 100), 1)::INTEGER AS price_cents
          FROM sales JOIN (SELECT product_id, max(date) AS last FROM sales GROUP BY ALL) USING (product_id)
          WHERE last - date < 90 GROUP BY ALL
        ), stocked AS (
          SELECT product_id, ceil(median(units) * 8)::INTEGER AS stock
          FROM (SELECT product_id, date_trunc('week', date) AS week, sum(quantity) AS units FROM sales GROUP BY ALL) GROUP BY ALL
        )
        SELECT product_id, name, {category} AS category, price_cents, stock
        FROM named JOIN priced USING (product_id) JOIN stocked USING (product_id) ORDER BY product_id""",
}


def main(folder: Path, endpoint: str, bucket: str) -> None:
    with tempfile.TemporaryDirectory() as written:
        counts = _clean(sorted(map(str, folder.glob("*.csv"))), Path(written))
        _upload(Path(written), endpoint, bucket)
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps({"counts": counts, "cpu_seconds": used.ru_utime + used.ru_stime, "memory_mb": used.ru_maxrss / 1e3}))


def _clean(files: list[str], folder: Path) -> dict[str, int]:
    """Writes the tables below a folder; returns the number of sale lines, of repeats, and of rejects by reason."""
    with duckdb.connect(str(folder / "scratch.duckdb")) as database:
        database.execute(LINES, [files])
        database.execute(MARKED)
        database.execute(SALES)
        for name, rows in TABLES.items():
            by_month = "" if name == "products" else ", PARTITION_BY (month)"
            place = folder / "tables" / (name if by_month else f"{name}.parquet")
            place.parent.mkdir(exist_ok=True)
            database.execute(f"COPY ({rows.replace('{category}', _category())}) TO '{place}' (FORMAT parquet{by_month})")
        counts = database.execute("SELECT if(repeated, 'repeated', coalesce(reason, 'sale')), count(*) FROM marked GROUP BY ALL").fetchall()
    return dict(counts)


def _category() -> str:
    """An expression for the first category that has a word of the name.

    DuckDB's regular expressions have no lookbehind, so the pattern includes the neighbouring characters.
    """
    cases = []
    for title, words in read_taxonomy().items():
        pattern = rf"(?:^|[^A-Z])(?:{'|'.join(map(re.escape, words))})(?:S|ES)?(?:$|[^A-Z])".replace("'", "''")
        cases.append(f"WHEN regexp_matches(upper(name), '{pattern}') THEN '{title.replace(chr(39), chr(39) * 2)}'")
    return f"CASE {' '.join(cases)} ELSE 'Other' END"


def _upload(folder: Path, endpoint: str, bucket: str) -> None:
    client = Minio(endpoint.removeprefix("http://"), secure=False, region="us-east-1", credentials=AWSConfigProvider())
    tables = folder / "tables"
    files = [path for path in tables.rglob("*") if path.is_file()]
    with ThreadPoolExecutor(8) as senders:
        list(senders.map(lambda path: client.fput_object(bucket, f"duckdb/{path.relative_to(tables)}", str(path)), files))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:4])
