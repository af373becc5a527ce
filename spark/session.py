"""A SparkSession that reads the raw zone and writes the S3 store."""

from urllib.parse import urlsplit

from pyspark.sql import SparkSession


def session(name: str, store_url: str, region: str) -> SparkSession:
    """A session for one job; master, memory and addresses of the cluster come from whoever submits it.

    Keys for the store are never among its properties, which its pages show: each process finds them in its environment,
    else in the credentials file that AWS_SHARED_CREDENTIALS_FILE names.
    """
    plain = urlsplit(store_url).scheme == "http"
    builder = SparkSession.Builder().appName(name)
    for key, value in (SETTINGS | store(store_url, region, plain)).items():
        builder = builder.config(key, value)
    return builder.getOrCreate()


def store(url: str, region: str, plain: bool) -> dict[str, str]:
    """The properties by which S3A reaches the store."""
    return {
        "spark.hadoop.fs.s3a.endpoint": url,
        "spark.hadoop.fs.s3a.endpoint.region": region,
        "spark.hadoop.fs.s3a.path.style.access": "true",
        "spark.hadoop.fs.s3a.connection.ssl.enabled": "false" if plain else "true",
        "spark.hadoop.fs.s3a.aws.credentials.provider": "software.amazon.awssdk.auth.credentials.EnvironmentVariableCredentialsProvider,"
        "software.amazon.awssdk.auth.credentials.ProfileCredentialsProvider",
    }


SETTINGS = {
    # Times in the sales carry no zone; this keeps the machine's own out of every conversion.
    "spark.sql.session.timeZone": "UTC",
    # The start, from which Spark joins small pieces: 200, its own choice, costs more than the work on a small shop.
    "spark.sql.shuffle.partitions": "64",
    # And up to this size, so that sums and sorts of one piece stay within a small executor's memory.
    "spark.sql.adaptive.advisoryPartitionSizeInBytes": "16m",
    # Folders such as month=2010-12 are read as text.
    "spark.sql.sources.partitionColumnTypeInference.enabled": "false",
    # The driver lists the manifest's files faster than a job of its own would.
    "spark.sql.sources.parallelPartitionDiscovery.threshold": "10000",
    # Files lie under the run's id and count once the manifest names them, so they need not appear all at once,
    # and the second copying that would make them do so is spared.
    "spark.hadoop.mapreduce.fileoutputcommitter.algorithm.version": "2",
    "spark.hadoop.mapreduce.fileoutputcommitter.marksuccessfuljobs": "false",
    "spark.sql.parquet.compression.codec": "zstd",
}
