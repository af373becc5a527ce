"""Creates the buckets and users of the stack's own S3 store: `python -m stack.containers.buckets`."""

from minio.credentials.providers import AWSConfigProvider
from pydantic import SecretStr

from mesh.settings import EnvironmentSettings, read
from stack.engines import minio, object_store
from stack.settings import Settings


class MinioSettings(EnvironmentSettings, env_prefix="MINIO_"):
    """Read from the environment as `MINIO_...`. The users' keys are read from their credentials files."""

    root_password: SecretStr


def main() -> None:
    password, settings = read(MinioSettings).root_password.get_secret_value(), read(Settings)
    keys = {user: AWSConfigProvider(f"/run/secrets/{user.name}.credentials").retrieve() for user in object_store.users(settings)}
    secret_keys = {user: key.secret_key for user, key in keys.items()}
    minio.create_buckets_and_users("minio:9000", password, object_store.buckets(settings), secret_keys)


if __name__ == "__main__":
    main()
