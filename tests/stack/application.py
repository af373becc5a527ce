"""A tiny Spark application: its arguments are a file of this machine to wait for, and where to write a hundred numbers then."""

import sys
import time
from pathlib import Path

from pyspark.sql import SparkSession

go, output = sys.argv[1:]
spark = SparkSession.builder.getOrCreate()
numbers = spark.range(100).repartition(2).cache()
numbers.count()
# By now it has an executor; what befalls the cluster while it waits, it must outlive.
while not Path(go).exists():
    time.sleep(0.1)
numbers.write.parquet(output)
