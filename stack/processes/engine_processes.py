"""The engines as processes: PostgreSQL, the S3 store, HDFS, YARN, Spark's history server and MLflow."""

from collections.abc import Mapping
from functools import partial

from stack import model_secrets, training
from stack.databases import Databases
from stack.engines import hadoop, hadoop_user, jars, minio, mlflow, object_store, packages, postgres, seaweedfs, spark
from stack.engines.object_store import ObjectStore, StoreUser
from stack.processes import sources
from stack.processes.probes import http_answers
from stack.processes.process import Process
from stack.processes.supervisor import Program
from stack.settings import Settings

HTTP = "http://"


def postgres_process(settings: Settings, secrets: Mapping[str, str]) -> Process:
    port, data = settings.postgres_port, settings.data / "postgres"
    return Process(
        Program("postgres", postgres.command(data, port), stop_signal="INT"),
        {"POSTGRES_PORT": port},
        memory_mb=60,
        ready=partial(postgres.accepts_connections, port),
        prepare=partial(postgres.initialise, data, secrets["POSTGRES_PASSWORD"]),
    )


def store_process(settings: Settings, secrets: Mapping[str, str]) -> Process:
    """The S3 store that the settings choose."""
    keys = {user: secrets[user.secret] for user in object_store.users(settings)}
    if settings.object_store == "minio":
        return _minio_process(settings, secrets["MINIO_ROOT_PASSWORD"], keys)
    return _seaweedfs_process(settings, keys)


def hadoop_processes(settings: Settings) -> list[Process]:
    """HDFS and YARN."""
    return [_namenode(settings), _datanode(settings), _resourcemanager(settings), _nodemanager(settings)]


def history_process(settings: Settings, store: ObjectStore) -> Process:
    return Process(
        Program("history", spark.history_command(settings), spark.history_environment(settings)),
        {"HISTORY_PORT": settings.history_port},
        memory_mb=250,
        ready=partial(http_answers, settings.history_port, "/api/v1/applications?limit=1"),
        scheme=HTTP,
        # It reads the event logs in HDFS.
        after=() if settings.hadoop_conf_dir else ("datanode",),
        install=jars.install_s3a,
        prepare=partial(_configure_spark, settings, store),
    )


def mlflow_process(
    settings: Settings, secrets: Mapping[str, str], databases: Databases, store: ObjectStore, after: tuple[str, ...]
) -> Process:
    # It keeps session state, which a pooler does not.
    database_url = databases.direct_url_of("mlflow")
    passwords = {name: secrets[name] for name in map(model_secrets.password, model_secrets.ACCOUNTS)}
    environment = mlflow.environment(settings, database_url, store) | passwords
    return Process(
        Program("mlflow", mlflow.command(settings), environment | {"PACKAGES_SHA256": sources.packages_digest("mlflow")}),
        {"MLFLOW_PORT": settings.mlflow_port},
        memory_mb=250,
        ready=partial(http_answers, settings.mlflow_port, "/health"),
        scheme=HTTP,
        after=after,
        prepare=partial(_initialise_mlflow, settings, databases, store),
        post_start=partial(training.sign_versions_once, settings, secrets),
    )


def _initialise_mlflow(settings: Settings, databases: Databases, store: ObjectStore) -> None:
    databases.create_roles()
    mlflow.initialise(settings, databases.direct_url_of("mlflow"), store)


def _minio_process(settings: Settings, password: str, keys: Mapping[StoreUser, str]) -> Process:
    port, console_port = settings.minio_port, settings.minio_console_port
    endpoint, buckets = f"127.0.0.1:{port}", object_store.buckets(settings)
    return Process(
        Program("minio", minio.command(settings.data / "minio", port, console_port), minio.environment(password)),
        {"MINIO_CONSOLE_PORT": console_port, "MINIO_PORT": port},
        memory_mb=200,
        ready=partial(http_answers, port, "/minio/health/ready"),
        scheme=HTTP,
        install=minio.install_program,
        post_start=partial(minio.create_buckets_and_users, endpoint, password, buckets, keys),
    )


def _seaweedfs_process(settings: Settings, keys: Mapping[StoreUser, str]) -> Process:
    port, data = settings.seaweedfs_port, settings.data / "seaweedfs"
    return Process(
        Program("seaweedfs", seaweedfs.command(data, port, object_store.buckets(settings)), seaweedfs.environment()),
        {"SEAWEEDFS_PORT": port},
        memory_mb=250,
        ready=partial(seaweedfs.ready, port, keys),
        scheme=HTTP,
        prepare=partial(seaweedfs.initialise, data, keys),
    )


def _namenode(settings: Settings) -> Process:
    return Process(
        _daemon(settings, "namenode"),
        {"NAMENODE_PORT": settings.namenode_port, "NAMENODE_RPC_PORT": settings.namenode_rpc_port},
        memory_mb=230,
        ready=partial(hadoop.namenode_ready, settings),
        scheme=HTTP,
        install=partial(_install_hadoop, settings),
        prepare=partial(hadoop.prepare_namenode, settings),
    )


def _install_hadoop(settings: Settings) -> None:
    jars.install_daemons()
    hadoop_user.create(settings)


def _datanode(settings: Settings) -> Process:
    return Process(
        _daemon(settings, "datanode"),
        {"DATANODE_PORT": settings.datanode_port},
        memory_mb=180,
        ready=partial(hadoop.datanode_ready, settings),
        after=("namenode",),
        prepare=partial(hadoop.prepare, settings, "datanode"),
        post_start=partial(hadoop.make_folder, settings, spark.EVENT_LOG),
    )


def _resourcemanager(settings: Settings) -> Process:
    return Process(
        _daemon(settings, "resourcemanager"),
        {
            "RESOURCEMANAGER_PORT": settings.resourcemanager_port,
            "RESOURCEMANAGER_RPC_PORT": settings.resourcemanager_rpc_port,
            "RESOURCEMANAGER_SCHEDULER_PORT": settings.resourcemanager_scheduler_port,
            "RESOURCEMANAGER_TRACKER_PORT": settings.resourcemanager_tracker_port,
        },
        memory_mb=270,
        ready=partial(hadoop.resourcemanager_ready, settings),
        scheme=HTTP,
        prepare=partial(hadoop.prepare, settings, "resourcemanager"),
    )


def _nodemanager(settings: Settings) -> Process:
    return Process(
        _daemon(settings, "nodemanager"),
        {"NODEMANAGER_PORT": settings.nodemanager_port, "NODEMANAGER_RPC_PORT": settings.nodemanager_rpc_port},
        memory_mb=200,
        ready=partial(hadoop.nodemanager_ready, settings),
        scheme=HTTP,
        # It writes the logs of applications to HDFS.
        after=("datanode", "resourcemanager"),
        prepare=partial(hadoop.prepare, settings, "nodemanager"),
        pre_stop=partial(hadoop.kill_applications, settings),
    )


def _daemon(settings: Settings, name: str) -> Program:
    return Program(name, hadoop.command(settings, name), hadoop.daemon_environment(settings))


def _configure_spark(settings: Settings, store: ObjectStore) -> None:
    """Writes the properties for submitting applications, and the Python packages if the cluster is not the stack's own."""
    spark.configure(settings, store)
    if settings.hadoop_conf_dir:
        packages.pack(spark.packages_file(settings))
