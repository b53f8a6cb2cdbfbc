"""MLflow: replicas without state of their own, before PostgreSQL and a bucket. Pure.

Artifacts never pass through it: clients are told the bucket and go there themselves.
"""

from cloud_assets.services.manifests import minio, parts, postgresql
from cloud_assets.services.manifests.credentials import Credentials
from cloud_assets.services.programs import program
from cloud_assets.settings import MLflow, Settings
from resources.kubernetes import Object

NAME = "mlflow"
PORT = 5000
ARTIFACTS = "s3://mlflow-artifacts"
URL_KEY = "database_url"
_CONFIGURATION = "/etc/ai-how"
_USER = 1000


def named(settings: Settings) -> parts.Named:
    return parts.Named(NAME, settings.services.namespace)


def url(settings: Settings) -> str:
    """The address for pods, and for a platform inside the cluster."""
    return f"http://{named(settings).host}:{PORT}"


def credentials(settings: Settings) -> list[Credentials]:
    """Those of the platform's own database and bucket, where it stands on them."""
    wanted = settings.services.mlflow or MLflow()
    own = [] if wanted.database_secret else [postgresql.credentials(settings)]
    return own if wanted.s3_secret else [*own, minio.credentials(settings)]


def manifests(settings: Settings, credentials_version: str) -> list[Object]:
    """The program that migrates, the replicas, their budget and their address."""
    name = named(settings)
    files = {"migrate.py": program("migrate.py")}
    wanted = settings.services.mlflow or MLflow()
    annotations = {
        parts.CREDENTIALS: credentials_version,
        parts.CONFIGURATION: parts.digest(files),
    }
    return [
        parts.configuration(name, files),
        parts.service(name, PORT),
        _deployment(name, _pod(wanted, settings, annotations), wanted.replicas),
        *([_budget(name)] if wanted.replicas > 1 else []),
    ]


def _pod(wanted: MLflow, settings: Settings, annotations: dict[str, str]) -> parts.Pod:
    name = f"{NAME}-configuration"
    return parts.Pod(
        user=_USER,
        before=[_migrate(wanted, settings)],
        containers=[_server(wanted, settings)],
        volumes=[{"name": "configuration", "configMap": {"name": name}}, parts.scratch("tmp")],
        annotations=annotations,
    )


def _deployment(name: parts.Named, pod: parts.Pod, replicas: int) -> Object:
    template = parts.template(name, pod)
    template["spec"]["topologySpreadConstraints"] = [
        {
            "maxSkew": 1,
            "topologyKey": "kubernetes.io/hostname",
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": name.labels},
        }
    ]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": name.about(),
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": name.labels},
            "strategy": {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "template": template,
        },
    }


def _budget(name: parts.Named) -> Object:
    """A drained node never takes the last replica."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": name.about(),
        "spec": {"minAvailable": 1, "selector": {"matchLabels": name.labels}},
    }


def _migrate(wanted: MLflow, settings: Settings) -> Object:
    command = ["python3", f"{_CONFIGURATION}/migrate.py"]
    return {**_container("migrate", wanted, settings), "command": command}


def _server(wanted: MLflow, settings: Settings) -> Object:
    probe = {"httpGet": {"path": "/health", "port": PORT}, "timeoutSeconds": 5}
    return {
        **_container("server", wanted, settings),
        "command": [
            *("python3", "-m", "mlflow", "server", "--host", "0.0.0.0", "--port", str(PORT)),
            *("--workers", str(wanted.workers), "--no-serve-artifacts"),
            *("--uvicorn-opts", "--loop uvloop"),
        ],
        "ports": [{"name": "main", "containerPort": PORT}],
        "startupProbe": {**probe, "periodSeconds": 1, "failureThreshold": 300},
        "readinessProbe": {**probe, "periodSeconds": 5},
        "livenessProbe": {**probe, "periodSeconds": 10, "failureThreshold": 6},
        # Requests still come for a moment after the pod has been told to end.
        "lifecycle": {"preStop": {"exec": {"command": ["sleep", "3"]}}},
    }


def _container(name: str, wanted: MLflow, settings: Settings) -> Object:
    return {
        "name": name,
        "image": settings.image(NAME),
        "env": [*_database(wanted, settings), *_bucket(wanted, settings), *_plain(settings)],
        "resources": parts.resources(wanted.cpu, wanted.memory),
        "volumeMounts": [
            parts.mounted("configuration", _CONFIGURATION, read_only=True),
            parts.mounted("tmp", "/tmp"),
        ],
    }


def _database(wanted: MLflow, settings: Settings) -> list[Object]:
    """Where the records are; kubelet puts the password into the URL, nobody's manifest does."""
    variable = "MLFLOW_BACKEND_STORE_URI"
    if wanted.database_secret:
        return [parts.from_secret(variable, wanted.database_secret, URL_KEY)]
    secret = postgresql.credentials(settings).name
    at = f"{postgresql.named(settings).host}:{postgresql.PORT}/{postgresql.DATABASE}"
    return [
        parts.from_secret("DATABASE_PASSWORD", secret, postgresql.PASSWORD_KEY),
        {"name": variable, "value": f"postgresql://{postgresql.USER}:$(DATABASE_PASSWORD)@{at}"},
    ]


def _bucket(wanted: MLflow, settings: Settings) -> list[Object]:
    """For the pages of artifacts in the UI, which the server reads by itself."""
    secret = wanted.s3_secret or minio.credentials(settings).name
    endpoint = wanted.s3_endpoint or (None if wanted.s3_secret else minio.endpoint(settings))
    return [
        parts.from_secret(minio.ACCESS_KEY, secret, minio.ACCESS_KEY),
        parts.from_secret(minio.SECRET_KEY, secret, minio.SECRET_KEY),
        *([{"name": "MLFLOW_S3_ENDPOINT_URL", "value": endpoint}] if endpoint else []),
    ]


def _plain(settings: Settings) -> list[Object]:
    name = named(settings)
    hosts = [name.name, f"{name.name}.{name.namespace}", name.host, f"{name.host}.cluster.local"]
    asked = settings.services.mlflow.allowed_hosts if settings.services.mlflow else ()
    names = [*hosts, "localhost", "127.0.0.1", *asked]
    allowed = ",".join(each for name in names for each in (name, f"{name}:*"))
    return [
        {"name": "HOME", "value": "/tmp"},
        {"name": "MLFLOW_DEFAULT_ARTIFACT_ROOT", "value": ARTIFACTS},
        {"name": "MLFLOW_SERVER_ALLOWED_HOSTS", "value": allowed},
        # Its queue of jobs is a process and a file of each replica; nothing of ours asks for one.
        {"name": "MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "value": "false"},
        {"name": "MLFLOW_DISABLE_TELEMETRY", "value": "true"},
    ]
