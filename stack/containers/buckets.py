"""Makes the buckets and the users of the stack's own store: `python -m stack.containers.buckets`."""

from minio.credentials.providers import AWSConfigProvider
from pydantic import SecretStr

from mesh.settings import EnvironmentSettings, read
from stack.engines import minio, object_store
from stack.settings import Settings


class Root(EnvironmentSettings, env_prefix="MINIO_"):
    """Read from the environment as `MINIO_...`. The users' keys are in the files by which they are told them."""

    root_password: SecretStr


def main() -> None:
    root, settings = read(Root), read(Settings)
    keys = {user: AWSConfigProvider(f"/run/secrets/{user.name}.credentials").retrieve() for user in object_store.users(settings)}
    secret_keys = {user: key.secret_key for user, key in keys.items()}
    minio.furnish("minio:9000", root.root_password.get_secret_value(), object_store.buckets(settings), secret_keys)


if __name__ == "__main__":
    main()
