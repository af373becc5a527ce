"""Reading tables of the published data."""

from minio.credentials.providers import StaticProvider

from lake.bucket import connect
from lake.columns import INTERACTIONS
from lake.reading import read_table
from tests.lake.test_manifest import content, manifest, month


def test_a_shop_without_customers_has_interactions_without_rows() -> None:
    bucket = connect("http://127.0.0.1:9", "us-east-1", "lake", StaticProvider("key", "secret"))
    table = read_table(bucket, manifest(month(sales=content(2), rejects=content(1))), "interactions")
    assert (table.num_rows, table.column_names) == (0, list(INTERACTIONS))
