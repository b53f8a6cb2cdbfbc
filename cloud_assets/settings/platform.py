"""The `platform:` part of `cluster.yaml`, typed and frozen; the defaults embed everything.

Reading the file and naming the line of each mistake is `settings_file`'s business.
"""

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from cloud_assets.identity import MODEL_PATTERN
from cloud_assets.settings.benchmark import Profile
from cloud_assets.settings.machines.host import Machines
from cloud_assets.settings.section import Section
from cloud_assets.settings.services import CHARTS, IMAGES, Services
from cloud_assets.settings.serving import Serving

Port = Annotated[int, Field(ge=1, le=65535)]


#: Below home: what a killed process may leave behind, cleared when the platform starts.
TEMPORARY = "tmp"


class Ports(Section):
    """The fixed loopback ports of the embedded platform."""

    dagster: Port = Field(default=3000, description="the Dagster UI")
    mlflow: Port = Field(default=5000, description="the MLflow server; unused with a registry URL")
    gateway: Port = Field(default=8000, description="the OpenAI-compatible endpoints")

    @model_validator(mode="after")
    def _differ(self) -> Self:
        if len({self.dagster, self.mlflow, self.gateway}) < 3:
            raise ValueError("the three ports must differ")
        return self


class Root(Section):
    """A directory whose sub-directories are training runs, each with `checkpoint-N` inside."""

    path: Path = Field(description="the directory; read, never written")
    model: str = Field(
        description="the model that all runs below this root train, and its endpoint's name"
    )

    @field_validator("model")
    @classmethod
    def _model_name(cls, value: str) -> str:
        if not MODEL_PATTERN.match(value):
            raise ValueError(
                f"`{value}` is not a model name: letters, digits, `-` and `_`, at most 31"
            )
        return value


class Kubernetes(Section):
    """The Kubernetes cluster that serves and holds the services, where there is one."""

    kubeconfig: Path | None = Field(
        default=None, description="without one the account of the pod that the platform runs in"
    )
    context: str | None = Field(default=None, description="a context of the kubeconfig")
    nodes: dict[str, str] = Field(
        default_factory=dict,
        description="the node of each virtual machine, as in `cloud-gpu-worker-01: node-2`, whose "
        "node has neither its name nor its host name nor its address",
    )


class Slurm(Section):
    """The Slurm of the HPC cluster, by its commands; without either setting none is asked."""

    configuration: Path | None = Field(
        default=None, description="a slurm.conf of this machine, on which the commands are"
    )
    login: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9_][A-Za-z0-9@._-]*$",
        description="a host that has the commands, for ssh, as in `admin@192.168.100.10`",
    )
    nodes: dict[str, str] = Field(
        default_factory=dict,
        description="the node of each virtual machine, as in `hpc-compute-01: node-01`, whose "
        "node has neither its name nor its host name nor its address",
    )


class Watch(Section):
    """How a checkpoint is known to be finished."""

    quiet_seconds: Annotated[float, Field(ge=0, le=3600)] | None = Field(
        default=None,
        description="how long nothing may change before a complete checkpoint is taken; "
        "by default 0.3 on a local disk and 30 on a network or parallel filesystem",
    )
    hold_seconds: Annotated[float, Field(ge=1, le=45)] = Field(
        default=20, description="how long one tick of the sensor looks before it ends"
    )


class Store(Section):
    """The object store; credentials come from the environment (`AWS_ACCESS_KEY_ID` …)."""

    url: str | None = Field(
        default=None, description="`s3://bucket/prefix` or `file:///directory`; below home if unset"
    )
    endpoint: str | None = Field(default=None, description="URL of an S3 server that is not AWS")
    region: str = Field(default="us-east-1", description="the region of the S3 server")

    @field_validator("url")
    @classmethod
    def _scheme(cls, value: str | None) -> str | None:
        if value is not None and not re.match(r"^(s3://[^/]+|file:///.+)", value):
            raise ValueError(f"`{value}` is neither s3://bucket/prefix nor file:///directory")
        return value


class Registry(Section):
    """The MLflow server; without a URL the platform runs its own."""

    url: str | None = Field(
        default=None, description="`http://…` of an MLflow server that others run"
    )


class Evaluation(Section):
    """The quality gate."""

    suites: dict[str, Path] = Field(
        default_factory=dict, description="the evaluation suite of each model, JSON lines"
    )
    minimum_accuracy: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.0, description="a candidate below this share of right answers is rejected"
    )
    significance: Annotated[float, Field(gt=0, lt=0.5)] = Field(
        default=0.05, description="below this p-value a candidate counts as worse than the champion"
    )
    max_tokens: Annotated[int, Field(ge=1, le=4096)] = Field(
        default=32, description="the longest answer to one item, in tokens"
    )


class Settings(Section):
    """All of `platform:`. Relative paths are relative to the directory of the file."""

    home: Path = Field(
        default=Path(".ai-how"), description="where everything is that the platform makes"
    )
    ports: Ports = Ports()
    roots: tuple[Root, ...] = ()
    watch: Watch = Watch()
    store: Store = Store()
    registry: Registry = Registry()
    machines: Machines = Machines()
    kubernetes: Kubernetes = Kubernetes()
    slurm: Slurm = Slurm()
    images: dict[str, str] = Field(
        default_factory=dict,
        description="the container image of each name, as in `postgresql: registry.local/pg:17`",
    )
    charts: dict[str, str] = Field(
        default_factory=dict,
        description="where the Helm chart of each name is: a path, `oci://…`, or a repository",
    )
    services: Services = Services()
    serving: Serving = Serving()
    evaluation: Evaluation = Evaluation()
    benchmark: Profile = Profile()
    promotion: Literal["automatic", "manual"] = Field(
        default="automatic",
        description="whether a checkpoint that passed all gates is promoted or held for a person",
    )

    @model_validator(mode="after")
    def _roots_differ(self) -> Self:
        paths = [root.path for root in self.roots]
        if len(set(paths)) < len(paths):
            raise ValueError("the same path stands twice among the roots")
        return self

    @model_validator(mode="after")
    def _parts_are_known(self) -> Self:
        for what, given, known in (("image", self.images, IMAGES), ("chart", self.charts, CHARTS)):
            unknown = sorted(given.keys() - known.keys())
            if unknown:
                raise ValueError(f"no {what} goes by {unknown[0]}; there are {', '.join(known)}")
        for name in self.services.images():
            if not (self.images.get(name) or IMAGES[name]):
                raise ValueError(f"images.{name} must name one: there is none to take by default")
        return self

    def image(self, name: str) -> str:
        """The container image of a part of the services, the site's own or the default."""
        return self.images.get(name) or IMAGES[name] or ""

    def chart(self, name: str) -> str:
        """Where the Helm chart of a service is, the site's own place or the default."""
        return self.charts.get(name) or CHARTS[name] or ""

    @property
    def store_url(self) -> str:
        return self.store.url or (self.home / "store").as_uri()

    @property
    def registry_url(self) -> str:
        return self.registry.url or f"http://127.0.0.1:{self.ports.mlflow}"

    @property
    def gateway_url(self) -> str:
        return f"http://127.0.0.1:{self.ports.gateway}"

    @property
    def dagster_url(self) -> str:
        return f"http://127.0.0.1:{self.ports.dagster}"

    def resolved(self, base: Path) -> "Settings":
        """The same settings with every path absolute, relative ones taken from `base`."""

        def absolute(path: Path) -> Path:
            return Path.absolute(base / path.expanduser())

        prompts, kubeconfig = self.benchmark.prompts, self.kubernetes.kubeconfig
        slurm_conf = self.slurm.configuration
        suites = {model: absolute(path) for model, path in self.evaluation.suites.items()}
        return self.model_copy(
            update={
                "home": absolute(self.home),
                "roots": tuple(
                    root.model_copy(update={"path": absolute(root.path)}) for root in self.roots
                ),
                "machines": self.machines.resolved(absolute),
                "kubernetes": self.kubernetes.model_copy(
                    update={"kubeconfig": absolute(kubeconfig) if kubeconfig else None}
                ),
                "slurm": self.slurm.model_copy(
                    update={"configuration": absolute(slurm_conf) if slurm_conf else None}
                ),
                "charts": {
                    name: each if "://" in each else str(absolute(Path(each)))
                    for name, each in self.charts.items()
                },
                "serving": self.serving.resolved(absolute),
                "evaluation": self.evaluation.model_copy(update={"suites": suites}),
                "benchmark": self.benchmark.model_copy(
                    update={"prompts": absolute(prompts) if prompts else None}
                ),
            }
        )
