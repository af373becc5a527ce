"""What keeps tasks, files and settings right for larger clusters and data."""

import os
import subprocess
import sys
from functools import partial

import pytest
from pyspark.sql import SparkSession

from spark.session import DEFAULTS
from tests.spark.shop import Shop, line, values

SETTINGS = """
from spark.session import DEFAULTS, create_session
spark = create_session("test", "http://127.0.0.1:9", "us-east-1")
print(spark.conf.get("spark.sql.shuffle.partitions"), spark.conf.get("spark.sql.parquet.compression.codec"))
print(spark._jsparkSession.sessionState().newHadoopConf().get("mapreduce.fileoutputcommitter.algorithm.version"))
"""


def test_a_large_month_is_several_files_of_the_same_rows(
    shop: Shop, spark: SparkSession, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    sales = [
        line(f"{500_000 + n}", f"{10_000 + n % 7}", time="2011-01-03 10:00:00", customer=str(n % 5), quantity=n % 3) for n in range(60)
    ]
    shop.land(*sales, sales[1], line(time="2011-02-03 10:00:00"))
    one, _ = shop.run()
    rows = {table: shop.rows(table) for table in ("sales", "interactions", "daily_sales", "rejects")}
    monkeypatch.setattr("spark.partitioning.BUCKET_ROWS", 10)
    # Otherwise Spark merges partitions as small as these.
    for name, value in {"spark.sql.adaptive.coalescePartitions.enabled": "false", "spark.sql.shuffle.partitions": "8"}.items():
        request.addfinalizer(partial(spark.conf.set, name, str(spark.conf.get(name))))
        spark.conf.set(name, value)
    several, _ = shop.run(full=True)
    assert several.dataset() == one.dataset()
    # Equal rows stay in the files that they are in, so the larger month has to change.
    shop.land(line(time="2011-01-04 10:00:00"), name="more.csv")
    changed, _ = shop.run()
    assert len(changed.months[0].tables["sales"].files) > 1
    assert len(changed.months[0].tables["interactions"].files) > 1
    assert [file.row_count for file in one.contents("sales").values()] == [41, 1]
    assert {table: len(shop.rows(table)) - len(rows[table]) for table in rows} == {
        "sales": 1,
        "interactions": 1,
        "daily_sales": 1,
        "rejects": 0,
    }
    assert len(values(shop.rows("sales"), "copy")) == 43


def test_what_the_operator_sets_wins(submit_arguments: str) -> None:
    set_by_operator = (
        "--conf spark.sql.shuffle.partitions=7 --conf spark.hadoop.mapreduce.fileoutputcommitter.algorithm.version=1 pyspark-shell"
    )
    environment = os.environ | {"SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_SUBMIT_ARGS": f"{submit_arguments} {set_by_operator}"}
    run = subprocess.run([sys.executable, "-c", SETTINGS], env=environment, capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["7", DEFAULTS["spark.sql.parquet.compression.codec"], "1"]


def test_a_young_run_that_is_still_writing_keeps_its_files(shop: Shop) -> None:
    shop.land(line())
    manifest, _ = shop.run()
    [key] = [file.key for file in manifest.months[0].tables["sales"].files]
    written = shop.bucket.read(key)
    assert written is not None
    young, old = (key.replace(f"run={manifest.run_id}", f"run={run}") for run in (f"{manifest.run_id}9", "20200101T000000-ab"))
    for other in (young, old):
        shop.bucket.write(other, written.content)
    shop.land(line(time="2011-02-03 10:00:00"), name="february.csv")
    shop.run()
    assert (young in shop.stored(), old in shop.stored()) == (True, False)
