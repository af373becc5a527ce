"""The errors of carrying out a job."""


class EngineUnavailable(Exception):
    """HDFS, YARN or the store cannot be reached, or is not ready. The text says which, for the job's failure."""
