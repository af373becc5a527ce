"""A small Spark application: waits for a local file, its first argument, and then writes a hundred numbers to its second."""

import sys
import time
from pathlib import Path

from pyspark.sql import SparkSession

go, output = sys.argv[1:]
spark = SparkSession.builder.getOrCreate()
numbers = spark.range(100).repartition(2).cache()
numbers.count()
# It has an executor now. It has to survive failures of the cluster while it waits.
Path(f"{go}.awaited").touch()
while not Path(go).exists():
    time.sleep(0.1)
numbers.write.parquet(output)
