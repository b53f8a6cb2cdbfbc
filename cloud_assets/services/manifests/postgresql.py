"""PostgreSQL on one volume, with the database of MLflow. Pure.

What an image must have is the server's programs on PATH, `sh`, and the user of the settings.
"""

from cloud_assets.services.manifests import parts
from cloud_assets.services.manifests.credentials import Credentials
from cloud_assets.services.programs import program
from cloud_assets.settings import PostgreSQL, Settings
from resources.kubernetes import Object

NAME = "postgresql"
PORT = 5432
DATABASE = USER = "mlflow"
EXTENSIONS = ("pg_stat_statements", "uuid-ossp")
PASSWORD_KEY = "password"
_DATA, _CONFIGURATION, _SOCKET = "/var/lib/postgresql/data", "/etc/ai-how", "/var/run/postgresql"
#: Passwords are hashed on the wire; only the superuser's own processes in the pod need none.
_ACCESS = "local all all peer\nhost all all all scram-sha-256\n"


def named(settings: Settings) -> parts.Named:
    return parts.Named(NAME, settings.services.namespace)


def credentials(settings: Settings) -> Credentials:
    return Credentials(f"{NAME}-credentials", settings.services.namespace, (PASSWORD_KEY,))


def manifests(settings: Settings, credentials_version: str) -> list[Object]:
    """Configuration, volume, server and address."""
    wanted = settings.services.postgresql or PostgreSQL()
    name = named(settings)
    files = {
        "postgresql.conf": _parameters(wanted),
        "pg_hba.conf": _ACCESS,
        "database.sql": program("database.sql"),
        "prepare_database.sh": program("prepare_database.sh"),
    }
    volumes = [
        {"name": "data", "persistentVolumeClaim": {"claimName": NAME}},
        {"name": "configuration", "configMap": {"name": name.about("configuration")["name"]}},
        parts.scratch("socket"),
        parts.scratch("tmp"),
        parts.scratch("shared-memory", memory=True),
    ]
    pod = parts.Pod(
        user=wanted.user_id,
        before=[_prepare(wanted, settings)],
        containers=[_server(wanted, settings)],
        volumes=volumes,
        annotations={
            parts.CREDENTIALS: credentials_version,
            parts.CONFIGURATION: parts.digest(files),
        },
        # It writes all that is in memory to the volume first.
        grace_seconds=120,
    )
    return [
        parts.configuration(name, files),
        parts.claim(name, wanted.size, wanted.storage_class),
        parts.service(name, PORT, headless=True),
        parts.stateful_set(name, pod),
    ]


def _parameters(wanted: PostgreSQL) -> str:
    """`postgresql.conf`, each value quoted as its grammar wants it."""
    chosen = {
        "listen_addresses": "*",
        "port": PORT,
        "unix_socket_directories": _SOCKET,
        "hba_file": f"{_CONFIGURATION}/pg_hba.conf",
        "password_encryption": "scram-sha-256",
        "max_connections": wanted.max_connections,
        "shared_preload_libraries": "pg_stat_statements",
        **wanted.parameters,
    }
    return "".join(f"{key} = {_quoted(each)}\n" for key, each in chosen.items())


def _quoted(value: bool | int | float | str) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    text = str(value).replace("\\", "\\\\").replace("'", "''").replace("\n", "\\n")
    return f"'{text}'"


def _prepare(wanted: PostgreSQL, settings: Settings) -> Object:
    secret = credentials(settings).name
    return {
        **_container("prepare", wanted, settings),
        "command": ["sh", f"{_CONFIGURATION}/prepare_database.sh"],
        "env": [
            *_places(),
            {"name": "CONFIGURATION", "value": _CONFIGURATION},
            parts.from_secret("DATABASE_PASSWORD", secret, PASSWORD_KEY),
        ],
    }


def _server(wanted: PostgreSQL, settings: Settings) -> Object:
    asked = ["pg_isready", "--quiet", "--host", "127.0.0.1", "--dbname", DATABASE]
    probe = {"exec": {"command": [*asked, "--username", USER]}, "timeoutSeconds": 5}
    return {
        **_container("server", wanted, settings),
        "command": ["postgres", "-c", f"config_file={_CONFIGURATION}/postgresql.conf"],
        "env": _places(),
        # By itself it would wait for its clients to leave, and be killed in the end.
        "lifecycle": {"preStop": {"exec": {"command": ["pg_ctl", "stop", "--mode", "fast"]}}},
        "ports": [{"name": "main", "containerPort": PORT}],
        "startupProbe": {**probe, "periodSeconds": 1, "failureThreshold": 600},
        "readinessProbe": {**probe, "periodSeconds": 5},
        "livenessProbe": {**probe, "periodSeconds": 10, "failureThreshold": 6},
    }


def _container(name: str, wanted: PostgreSQL, settings: Settings) -> Object:
    return {
        "name": name,
        "image": settings.image(NAME),
        "resources": parts.resources(wanted.cpu, wanted.memory),
        "volumeMounts": [
            parts.mounted("data", _DATA),
            parts.mounted("configuration", _CONFIGURATION, read_only=True),
            parts.mounted("socket", _SOCKET),
            parts.mounted("tmp", "/tmp"),
            parts.mounted("shared-memory", "/dev/shm"),
        ],
    }


def _places() -> list[Object]:
    return [{"name": "PGDATA", "value": f"{_DATA}/pgdata"}, {"name": "PGHOST", "value": _SOCKET}]
