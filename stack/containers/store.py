"""The address of the S3 store."""

from mesh.settings import EnvironmentSettings


class StoreSettings(EnvironmentSettings, env_prefix="STORE_"):
    """Read from the environment as `STORE_...`. Keys are in AWS credentials files, one for each user of the store."""

    url: str
