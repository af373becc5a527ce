"""The processes of the local stack, one row each."""

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path

from stack import credentials, training
from stack.engines import hadoop, jars, minio, mlflow, object_store, packages, postgres, seaweedfs, spark
from stack.engines.object_store import ObjectStore, User
from stack.processes import sources
from stack.processes.probes import grpc_serves, http_answers
from stack.processes.process import Process
from stack.processes.supervisor import Program
from stack.settings import ROOT, Settings

HTTP = "http://"
# The services that call others in their own name, which takes a secret that auth knows too.
CLIENTS = ("recommender", "jobs")
# What serves a model adds up on one core, as it was trained, or sums may come out otherwise; and its threads share what they free.
MODEL_SERVICE = {"OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}


def processes(settings: Settings) -> list[Process]:
    """All of them, each after those that it needs."""
    secrets = kept_secrets(settings)

    databases, database = [], settings.postgres_url
    if database is None:
        password = secrets["POSTGRES_PASSWORD"]
        databases = [postgres_row(settings, password)]
        database = f"postgresql://{postgres.USER}:{password}@127.0.0.1:{settings.postgres_port}/{postgres.DATABASE}"

    store = object_store_of(settings)
    stores = [] if settings.s3_endpoint else [store_row(settings, secrets)]
    cluster = [] if settings.hadoop_conf_dir else hadoop_rows(settings)
    return [
        *databases,
        *stores,
        *cluster,
        history_row(settings, store),
        mlflow_row(settings, database, store, after=named([*databases, *stores])),
        *service_rows(settings, secrets, database, after=named(databases)),
        worker_row(settings, secrets, database, store, after=named([*stores, *cluster])),
    ]


def object_store_of(settings: Settings) -> ObjectStore:
    """The S3 store: the one that the settings name, or the one that the stack runs."""
    if theirs := object_store.external(settings):
        return theirs
    secrets, port = kept_secrets(settings), settings.minio_port if settings.object_store == "minio" else settings.seaweedfs_port
    keys = {user.name: (user.name, secrets[user.secret]) for user in object_store.users(settings)}
    return ObjectStore(f"http://127.0.0.1:{port}", settings.s3_region, keys)


def kept_secrets(settings: Settings) -> dict[str, str]:
    users = [user.secret for user in object_store.users(settings)]
    own = [f"{service}_SECRET" for service in ("AUTH", "CATALOG", "RECOMMENDER", "FORECASTER", "JOBS")]
    proofs = [f"{client.upper()}_SERVICE_SECRET" for client in CLIENTS]
    names = ("POSTGRES_PASSWORD", *own, *proofs, "MINIO_ROOT_PASSWORD", *users)
    return credentials.kept(settings.stack_folder / "secrets.env", names)


def store_row(settings: Settings, secrets: Mapping[str, str]) -> Process:
    keys = {user: secrets[user.secret] for user in object_store.users(settings)}
    if settings.object_store == "minio":
        return minio_row(settings, secrets["MINIO_ROOT_PASSWORD"], keys)
    return seaweedfs_row(settings, keys)


def postgres_row(settings: Settings, password: str) -> Process:
    port, data = settings.postgres_port, settings.data / "postgres"
    return Process(
        Program("postgres", postgres.command(data, port), stop_signal="INT"),
        {"POSTGRES_PORT": port},
        memory_mb=60,
        ready=partial(postgres.accepts, port),
        prepare=partial(postgres.initialise, data, password),
    )


def minio_row(settings: Settings, password: str, keys: Mapping[User, str]) -> Process:
    port, console_port = settings.minio_port, settings.minio_console_port
    return Process(
        Program("minio", minio.command(settings.data / "minio", port, console_port), minio.environment(password)),
        {"MINIO_CONSOLE_PORT": console_port, "MINIO_PORT": port},
        memory_mb=200,
        ready=partial(http_answers, port, "/minio/health/ready"),
        scheme=HTTP,
        install=minio.install_program,
        furnish=partial(minio.furnish, f"127.0.0.1:{port}", password, object_store.buckets(settings), keys),
    )


def seaweedfs_row(settings: Settings, keys: Mapping[User, str]) -> Process:
    port, data = settings.seaweedfs_port, settings.data / "seaweedfs"
    return Process(
        Program("seaweedfs", seaweedfs.command(data, port, object_store.buckets(settings))),
        {"SEAWEEDFS_PORT": port},
        memory_mb=250,
        ready=partial(seaweedfs.ready, port, keys),
        scheme=HTTP,
        prepare=partial(seaweedfs.initialise, data, keys),
    )


def hadoop_rows(settings: Settings) -> list[Process]:
    """HDFS and YARN."""
    environment = hadoop.daemon_environment(settings)

    def program(daemon: str) -> Program:
        return Program(daemon, hadoop.command(settings, daemon), environment)

    return [
        Process(
            program("namenode"),
            {"NAMENODE_PORT": settings.namenode_port, "NAMENODE_RPC_PORT": settings.namenode_rpc_port},
            memory_mb=230,
            ready=partial(hadoop.namenode_ready, settings),
            scheme=HTTP,
            install=jars.install_daemons,
            prepare=partial(hadoop.format_namenode, settings),
        ),
        Process(
            program("datanode"),
            {"DATANODE_PORT": settings.datanode_port},
            memory_mb=180,
            ready=partial(hadoop.datanode_ready, settings),
            after=("namenode",),
            prepare=partial(hadoop.configure, settings),
            furnish=partial(hadoop.make_folder, settings, spark.EVENT_LOG),
        ),
        Process(
            program("resourcemanager"),
            {
                "RESOURCEMANAGER_PORT": settings.resourcemanager_port,
                "RESOURCEMANAGER_RPC_PORT": settings.resourcemanager_rpc_port,
                "RESOURCEMANAGER_SCHEDULER_PORT": settings.resourcemanager_scheduler_port,
                "RESOURCEMANAGER_TRACKER_PORT": settings.resourcemanager_tracker_port,
            },
            memory_mb=270,
            ready=partial(hadoop.resourcemanager_ready, settings),
            scheme=HTTP,
            prepare=partial(hadoop.configure, settings),
        ),
        Process(
            program("nodemanager"),
            {"NODEMANAGER_PORT": settings.nodemanager_port, "NODEMANAGER_RPC_PORT": settings.nodemanager_rpc_port},
            memory_mb=200,
            ready=partial(hadoop.nodemanager_ready, settings),
            scheme=HTTP,
            # It keeps the logs of applications in HDFS.
            after=("datanode", "resourcemanager"),
            prepare=partial(hadoop.configure, settings),
            retire=partial(hadoop.kill_applications, settings),
        ),
    ]


def history_row(settings: Settings, store: ObjectStore) -> Process:
    return Process(
        Program("history", spark.history_command(settings), spark.history_environment(settings)),
        {"HISTORY_PORT": settings.history_port},
        memory_mb=250,
        ready=partial(http_answers, settings.history_port, "/api/v1/applications?limit=1"),
        scheme=HTTP,
        # It reads what applications wrote into HDFS.
        after=() if settings.hadoop_conf_dir else ("datanode",),
        install=jars.install_s3a,
        prepare=partial(configure_spark, settings, store),
    )


def configure_spark(settings: Settings, store: ObjectStore) -> None:
    """Writes how applications are submitted, and what a cluster that is not our own has to be sent."""
    spark.configure(settings, store)
    if settings.hadoop_conf_dir:
        packages.pack(spark.packages_file(settings))


def mlflow_row(settings: Settings, database: str, store: ObjectStore, after: tuple[str, ...]) -> Process:
    environment = mlflow.environment(settings, database, store)
    return Process(
        Program("mlflow", mlflow.command(settings), environment | {"PACKAGES_SHA256": sources.packages("mlflow")}),
        {"MLFLOW_PORT": settings.mlflow_port},
        memory_mb=250,
        ready=partial(http_answers, settings.mlflow_port, "/health"),
        scheme=HTTP,
        after=after,
        prepare=partial(mlflow.initialise, settings, database, store),
    )


def service_rows(settings: Settings, secrets: Mapping[str, str], database: str, after: tuple[str, ...]) -> list[Process]:
    """Our own: the services, and the gateway before them."""

    def service(name: str, port: int, memory_mb: int = 100, after: tuple[str, ...] = after, **environment: str) -> Process:
        prefix = name.upper()
        environment |= {
            f"{prefix}_LISTEN": f"127.0.0.1:{port}",
            f"{prefix}_DATABASE_URL": database,
            "MESH_AUTH_ADDRESS": f"127.0.0.1:{settings.auth_port}",
        }
        return Process(
            ours(name, f"services.{name}", environment),
            {f"{prefix}_PORT": port},
            memory_mb=memory_mb,
            ready=partial(grpc_serves, port),
            after=after,
            prepare=partial(migrate, name, environment, settings.logs / f"{name}.log"),
        )

    proofs = {client: secrets[f"{client.upper()}_SERVICE_SECRET"] for client in CLIENTS}
    services = [
        service(
            "auth",
            settings.auth_port,
            AUTH_SECRET=secrets["AUTH_SECRET"],
            AUTH_SERVICE_SECRETS=json.dumps(proofs),
            AUTH_RECOMMENDER_ADDRESS=f"127.0.0.1:{settings.recommender_port}",
        ),
        service("catalog", settings.catalog_port, CATALOG_SECRET=secrets["CATALOG_SECRET"]),
        service(
            "recommender",
            settings.recommender_port,
            memory_mb=300,
            # It follows the catalogue, by a token of its own.
            after=(*after, "auth", "catalog"),
            RECOMMENDER_SECRET=secrets["RECOMMENDER_SECRET"],
            RECOMMENDER_SERVICE_SECRET=secrets["RECOMMENDER_SERVICE_SECRET"],
            RECOMMENDER_CATALOG_ADDRESS=f"127.0.0.1:{settings.catalog_port}",
            RECOMMENDER_MLFLOW_URL=f"http://127.0.0.1:{settings.mlflow_port}",
            RECOMMENDER_MODEL_FOLDER=str(settings.data / "recommender"),
            **MODEL_SERVICE,
        ),
        forecaster_row(settings, secrets),
        service("jobs", settings.jobs_port, JOBS_SECRET=secrets["JOBS_SECRET"]),
    ]
    gateway = Process(
        ours(
            "gateway",
            "gateway",
            {
                "GATEWAY_LISTEN": f"127.0.0.1:{settings.gateway_port}",
                **{f"GATEWAY_{service.name.upper()}_ADDRESS": service.address for service in services},
            },
        ),
        {"GATEWAY_PORT": settings.gateway_port},
        memory_mb=100,
        ready=partial(http_answers, settings.gateway_port, "/healthz"),
        scheme=HTTP,
    )
    return [*services, gateway]


def forecaster_row(settings: Settings, secrets: Mapping[str, str]) -> Process:
    """It waits for nobody: without MLflow it answers from the model that it kept."""
    port = settings.forecaster_port
    environment = {
        "FORECASTER_LISTEN": f"127.0.0.1:{port}",
        "FORECASTER_MLFLOW_URL": f"http://127.0.0.1:{settings.mlflow_port}",
        "FORECASTER_MODEL_FOLDER": str(settings.data / "forecaster"),
        "FORECASTER_SECRET": secrets["FORECASTER_SECRET"],
        "MESH_AUTH_ADDRESS": f"127.0.0.1:{settings.auth_port}",
        **MODEL_SERVICE,
    }
    return Process(
        ours("forecaster", "services.forecaster", environment),
        {"FORECASTER_PORT": port},
        memory_mb=250,
        ready=partial(grpc_serves, port),
    )


def worker_row(settings: Settings, secrets: Mapping[str, str], database: str, store: ObjectStore, after: tuple[str, ...]) -> Process:
    """Who carries the jobs out. With a cluster that is not our own, JOBS_YARN_URL and JOBS_WEBHDFS_URL say where it is asked."""
    port = settings.jobs_worker_port
    cluster = (
        {}
        if settings.hadoop_conf_dir
        else {
            "JOBS_YARN_URL": f"http://127.0.0.1:{settings.resourcemanager_port}",
            "JOBS_WEBHDFS_URL": f"http://127.0.0.1:{settings.namenode_port}",
            # Where what it reads is landed.
            "LANDING_RAW_ROOT": hadoop.raw_root(settings),
        }
    )
    told = training.environment(settings, store) | spark.submit_environment(settings)
    # Whoever brings the stack up has one of their own, and the worker sees to the trainings'.
    del told["PATH"]
    environment = {
        "JOBS_DATABASE_URL": database,
        "JOBS_SPARK_HOME": str(spark.package()),
        "JOBS_HADOOP_JARS": str(jars.DAEMONS),
        "JOBS_SPARK_PROPERTIES": str(spark.submit_configuration(settings)),
        "JOBS_STORE_URL": store.endpoint,
        "JOBS_STORE_REGION": store.region,
        "JOBS_LAKE_BUCKET": settings.lake_bucket,
        "JOBS_CODE_COMMIT": commit(),
        "JOBS_RECOMMENDER_ADDRESS": f"127.0.0.1:{settings.recommender_port}",
        "JOBS_SERVICE_SECRET": secrets["JOBS_SERVICE_SECRET"],
        "JOBS_TRAINING_FOLDER": str(settings.stack_folder / "training"),
        "JOBS_TRAINING_CREDENTIALS_FILE": str(training.credentials_file(settings)),
        "JOBS_MLFLOW_URL": f"http://127.0.0.1:{settings.mlflow_port}",
        **object_store.told_key(spark.credentials_file(settings)),
        "MESH_AUTH_ADDRESS": f"127.0.0.1:{settings.auth_port}",
        "MESH_METRICS_LISTEN": f"127.0.0.1:{port}",
    }
    return Process(
        ours("jobs-worker", "services.jobs.worker", told | cluster | environment),
        {"JOBS_WORKER_PORT": port},
        memory_mb=100,
        install=jars.install_daemons,
        ready=partial(http_answers, port, "/metrics"),
        scheme=HTTP,
        prepare=partial(training.configure, settings, store),
        # The properties and credentials with which it submits are written before Spark's history is shown.
        after=(*after, "history", "jobs"),
    )


def commit() -> str:
    """The commit that is checked out, if this is a checkout."""
    try:
        return subprocess.run(["git", "rev-parse", "HEAD"], check=False, cwd=ROOT, capture_output=True, text=True).stdout.strip()
    except FileNotFoundError:
        return ""


def named(rows: Iterable[Process]) -> tuple[str, ...]:
    return tuple(row.name for row in rows)


def ours(name: str, module: str, environment: Mapping[str, str]) -> Program:
    """Runs a module of ours until it gets SIGTERM or who started it is gone. Other code makes it another program."""
    command = ["setpriv", "--pdeathsig=TERM", "--", sys.executable, "-m", module]
    return Program(name, command, {**environment, "CODE_SHA256": sources.code()})


def migrate(service: str, environment: Mapping[str, str], log: Path) -> None:
    """Brings a service's tables to what its code expects."""
    command = [sys.executable, "-m", "mesh.migrate", service]
    with log.open("a") as output:
        subprocess.run(command, check=True, cwd=ROOT, env=os.environ | environment, stdout=output, stderr=subprocess.PIPE, text=True)
