"""The processes of the local stack: `processes(settings)` lists all of them."""

from collections.abc import Iterable

from stack import credentials, database_roles, model_secrets
from stack.databases import databases_of
from stack.engines import object_store
from stack.engines.object_store import ObjectStore
from stack.processes import engine_processes, service_processes
from stack.processes.process import Process
from stack.settings import Settings


def processes(settings: Settings) -> list[Process]:
    """All processes, each after those that it depends on."""
    secrets = load_secrets(settings)
    store = object_store_of(settings)
    databases = [] if settings.postgres_url else [engine_processes.postgres_process(settings, secrets)]
    stores = [] if settings.s3_endpoint else [engine_processes.store_process(settings, secrets)]
    cluster = [] if settings.hadoop_conf_dir else engine_processes.hadoop_processes(settings)
    database = databases_of(settings, secrets)
    backends = service_processes.Backends(settings, secrets, database, store)
    return [
        *databases,
        *stores,
        *cluster,
        engine_processes.history_process(settings, store),
        engine_processes.mlflow_process(settings, secrets, database, store, after=_names([*databases, *stores])),
        *service_processes.services(backends, after=_names(databases)),
        *service_processes.workers(backends, after=_names([*stores, *cluster])),
    ]


def object_store_of(settings: Settings) -> ObjectStore:
    """The S3 store: the one at S3_ENDPOINT, or the one that the stack runs."""
    if external := object_store.external(settings):
        return external
    secrets = load_secrets(settings)
    port = settings.minio_port if settings.object_store == "minio" else settings.seaweedfs_port
    keys = {user.name: (user.name, secrets[user.secret]) for user in object_store.users(settings)}
    return ObjectStore(f"http://127.0.0.1:{port}", settings.s3_region, keys)


def load_secrets(settings: Settings) -> dict[str, str]:
    """The stack's secrets by name, generated on the first start."""
    users = [user.secret for user in object_store.users(settings)]
    roles = map(database_roles.secret, database_roles.ROLES)
    accounts = map(model_secrets.password, model_secrets.ACCOUNTS)
    names = ("POSTGRES_PASSWORD", *roles, *service_processes.SECRETS, model_secrets.SIGNING_KEY, *accounts, "MINIO_ROOT_PASSWORD", *users)
    return credentials.load_or_create(settings.stack_folder / "secrets.env", names)


def _names(processes: Iterable[Process]) -> tuple[str, ...]:
    return tuple(process.name for process in processes)
