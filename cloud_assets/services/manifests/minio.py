"""An S3 server on one volume: MinIO's, or versitygw's. Pure."""

from cloud_assets.services.manifests import parts
from cloud_assets.services.manifests.credentials import Credentials
from cloud_assets.settings import MinIO, Settings
from resources.kubernetes import Object

NAME = "minio"
PORT = 9000
ACCESS_KEY, SECRET_KEY = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"
BUCKETS = ("mlflow-artifacts", "models", "datasets", "experiments")
_USER = 1000
_DATA = "/data"
_ROOT = {
    "minio": ("MINIO_ROOT_USER", "MINIO_ROOT_PASSWORD"),
    "versitygw": ("ROOT_ACCESS_KEY", "ROOT_SECRET_KEY"),
}
_COMMAND = {
    "minio": ["minio", "server", _DATA, "--address", f":{PORT}"],
    "versitygw": ["versitygw", "--port", f":{PORT}", "--health", "/health", "posix", _DATA],
}
_HEALTH = {"minio": "/minio/health/live", "versitygw": "/health"}
_ENVIRONMENT = {"minio": {"MINIO_BROWSER": "off", "MINIO_UPDATE": "off"}, "versitygw": {}}


def named(settings: Settings) -> parts.Named:
    return parts.Named(NAME, settings.services.namespace)


def credentials(settings: Settings) -> Credentials:
    """The keys of the one account, under the names that every S3 client reads."""
    space = settings.services.namespace
    return Credentials(f"{NAME}-credentials", space, (SECRET_KEY,), {ACCESS_KEY: "ai-how"})


def endpoint(settings: Settings) -> str:
    """The address for pods."""
    return f"http://{named(settings).host}:{PORT}"


def manifests(settings: Settings, credentials_version: str) -> list[Object]:
    """Volume, server and address. Raises nothing: the settings are checked."""
    wanted = settings.services.minio or MinIO()
    name = named(settings)
    pod = parts.Pod(
        user=_USER,
        containers=[_server(wanted, settings)],
        volumes=[{"name": "data", "persistentVolumeClaim": {"claimName": NAME}}],
        annotations={parts.CREDENTIALS: credentials_version},
    )
    return [
        parts.claim(name, wanted.size, wanted.storage_class),
        parts.service(name, PORT),
        parts.stateful_set(name, pod),
    ]


def _server(wanted: MinIO, settings: Settings) -> Object:
    secret = credentials(settings).name
    user, password = _ROOT[wanted.server]
    probe = {"httpGet": {"path": _HEALTH[wanted.server], "port": PORT}}
    plain = [{"name": key, "value": each} for key, each in _ENVIRONMENT[wanted.server].items()]
    return {
        "name": "server",
        "image": settings.image(wanted.server),
        "command": _COMMAND[wanted.server],
        "env": [
            *plain,
            parts.from_secret(user, secret, ACCESS_KEY),
            parts.from_secret(password, secret, SECRET_KEY),
        ],
        "ports": [{"name": "main", "containerPort": PORT}],
        "resources": parts.resources(wanted.cpu, wanted.memory),
        "startupProbe": {**probe, "periodSeconds": 1, "failureThreshold": 120},
        "readinessProbe": {**probe, "periodSeconds": 5},
        "livenessProbe": {**probe, "periodSeconds": 10, "failureThreshold": 6},
        # Each server keeps objects in its own way: one must never see the other's files.
        "volumeMounts": [parts.mounted("data", _DATA, below=wanted.server)],
    }
