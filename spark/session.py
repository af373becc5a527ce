"""A Spark session that reads the raw zone and writes the S3 store."""

from urllib.parse import urlsplit

from pyspark.sql import SparkSession

SETTINGS = {
    # Times in the sales have no zone; this keeps the machine's own zone out of every conversion.
    "spark.sql.session.timeZone": "UTC",
    # Keeps the values of folders such as month=2010-12 as text.
    "spark.sql.sources.partitionColumnTypeInference.enabled": "false",
    "spark.hadoop.mapreduce.fileoutputcommitter.marksuccessfuljobs": "false",
}
"""What the ETL relies on."""
DEFAULTS = {
    # The initial number, from which Spark merges small partitions. Its own default of 200 costs more than the work of a small shop.
    "spark.sql.shuffle.partitions": "64",
    # The size to merge up to, so that sums and sorts of one partition fit into a small executor's memory.
    "spark.sql.adaptive.advisoryPartitionSizeInBytes": "16m",
    # The driver lists the manifest's files faster than a Spark job would.
    "spark.sql.sources.parallelPartitionDiscovery.threshold": "10000",
    # A run's files are invisible until the manifest names them. They need not appear at once, so tasks may write to the final folder,
    # without a second copy.
    "mapreduce.fileoutputcommitter.algorithm.version": "2",
    "spark.sql.parquet.compression.codec": "zstd",
}
"""What an operator may set otherwise, in the properties of spark-submit."""


def create_session(name: str, store_url: str, region: str) -> SparkSession:
    """The session of one job; spark-submit sets the master, memory and the addresses of the cluster.

    The store's keys are no properties, since Spark's web pages show those: each process reads them from its environment,
    else from the credentials file that AWS_SHARED_CREDENTIALS_FILE names.
    """
    builder = SparkSession.Builder().appName(name)
    for key, value in (SETTINGS | _store_settings(store_url, region)).items():
        builder = builder.config(key, value)
    spark = builder.getOrCreate()
    submitted = spark.sparkContext.getConf()
    for key, value in DEFAULTS.items():
        if not submitted.contains(key) and not submitted.contains(f"spark.hadoop.{key}"):
            spark.conf.set(key, value)
    return spark


def _store_settings(url: str, region: str) -> dict[str, str]:
    """The properties by which S3A reaches the store."""
    return {
        "spark.hadoop.fs.s3a.endpoint": url,
        "spark.hadoop.fs.s3a.endpoint.region": region,
        "spark.hadoop.fs.s3a.path.style.access": "true",
        "spark.hadoop.fs.s3a.connection.ssl.enabled": "false" if urlsplit(url).scheme == "http" else "true",
        "spark.hadoop.fs.s3a.aws.credentials.provider": "software.amazon.awssdk.auth.credentials.EnvironmentVariableCredentialsProvider,"
        "software.amazon.awssdk.auth.credentials.ProfileCredentialsProvider",
    }
