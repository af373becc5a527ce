"""Where containers find the store."""

from mesh.settings import EnvironmentSettings


class Store(EnvironmentSettings, env_prefix="STORE_"):
    """Read from the environment as `STORE_...`. Each who has business with it is told a key by a file, as AWS's own tools read it."""

    url: str
