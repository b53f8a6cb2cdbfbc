"""The programs built from pinned Go modules, each a static binary in an artefact of its own.

The module proxy is the only source; checksums are those of Go's checksum database.
"""

import functools
import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from tests.testbed import pins
from tests.testbed.build import commands
from tests.testbed.build.cache import Artefact

KSERVE = "github.com/kserve/kserve"
CERT_MANAGER = "github.com/cert-manager/cert-manager"
KEDA = "github.com/kedacore/keda/v2"
_ENVIRONMENT = {"CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false", "GOWORK": "off"}
_KUBERNETES_COMMANDS = (
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-proxy",
    "kubelet",
    "kubectl",
)
_COREDNS_PLUGINS = (
    "cache", "errors", "forward", "health", "kubernetes", "log", "loop", "ready", "reload",
)  # fmt: skip
_MODULE = "module testbed\n\ngo 1.24\n"
#: Programs of ours, a file each.
_SOURCES = Path(__file__).with_name("go")


def largest_first() -> tuple[Artefact, ...]:
    """All that take more than seconds to build, in the order that leaves nothing long for last."""
    return (
        kubernetes(), metrics_server(), coredns(), kserve(), cert_manager(), minio(),
        kube_rbac_proxy(), versitygw(), etcd(),
    )  # fmt: skip


def kubernetes() -> Artefact:
    """kube-apiserver, kube-controller-manager, kube-scheduler, kube-proxy, kubelet, kubectl."""
    _, minor, _ = pins.KUBERNETES.split(".")
    stamp = {"gitVersion": pins.KUBERNETES, "gitMajor": "1", "gitMinor": minor}
    flags = " ".join(f"-X k8s.io/component-base/version.{k}={v}" for k, v in stamp.items())
    packages = [f"k8s.io/kubernetes/cmd/{each}" for each in _KUBERNETES_COMMANDS]
    return _in_own_module("kubernetes", packages, version=pins.KUBERNETES, flags=flags)


def etcd() -> Artefact:
    return _in_own_module("etcd", ["go.etcd.io/etcd/server/v3"], version=pins.ETCD)


def coredns() -> Artefact:
    """CoreDNS with the plugins that a cluster needs: a third of the time of all of them."""
    imports = "".join(
        f'\t_ "github.com/coredns/coredns/plugin/{each}"\n' for each in _COREDNS_PLUGINS
    )
    source = (
        'package main\n\nimport (\n\t"github.com/coredns/coredns/coremain"\n'
        f"{imports})\n\nfunc main() {{ coremain.Run() }}\n"
    )
    needs = [f"github.com/coredns/coredns@{pins.COREDNS}"]
    return _from_source("coredns", source, needs=needs)


def pause() -> Artefact:
    """The process that holds a pod's namespaces and reaps what is orphaned in them."""
    return _from_source("pause", _source("pause"))


def healthy() -> Artefact:
    """A program that says that it is healthy and does nothing, in the place of an operator."""
    return _from_source("healthy", _source("healthy"))


def metrics_server() -> Artefact:
    return _in_module(
        "metrics-server", "sigs.k8s.io/metrics-server", pins.METRICS_SERVER, "./cmd/metrics-server"
    )


def kserve() -> Artefact:
    return _in_module("kserve-controller", KSERVE, pins.KSERVE, "./cmd/manager")


def cert_manager() -> Artefact:
    """Controller, webhook and cainjector in one: its library's code, started by a file of ours.

    Its own commands are nested modules that the proxy does not have, and the library keeps what
    they need to itself; so the file is built as a part of the module.
    """
    module = (CERT_MANAGER, pins.CERT_MANAGER)
    source = _source("cert_manager")

    def build(draft: Path) -> None:
        copy = draft / "module"
        shutil.copytree(module_folder(*module), copy)
        for each in (copy, *copy.rglob("*")):
            each.chmod(0o755)
        (copy / "testbed").mkdir()
        (copy / "testbed" / "main.go").write_text(source, "utf-8")
        _compile(copy, ["./testbed"], output=draft / "cert-manager")
        shutil.rmtree(copy)

    return Artefact("cert-manager", "\n".join([_go_version(), *module, source]), build)


def keda() -> Artefact:
    """`operator`, `adapter` for the metrics of autoscalers, and `webhooks`; only its tests ask."""
    module = (KEDA, pins.KEDA)
    packages = [f"./cmd/{each}" for each in ("operator", "adapter", "webhooks")]
    flags = f"-X {KEDA}/version.Version={pins.KEDA.removeprefix('v')}"

    def build(draft: Path) -> None:
        _compile(module_folder(*module), packages, output=draft, flags=flags)

    return Artefact("keda", "\n".join([_go_version(), flags, *module, *packages]), build)


def kube_rbac_proxy() -> Artefact:
    name = "kube-rbac-proxy"
    return _in_module(name, f"github.com/brancz/{name}", pins.KUBE_RBAC_PROXY, f"./cmd/{name}")


def minio() -> Artefact:
    return _in_module("minio", "github.com/minio/minio", pins.MINIO, ".")


def versitygw() -> Artefact:
    module = "github.com/versity/versitygw"
    return _in_module("versitygw", module, pins.VERSITYGW, "./cmd/versitygw")


@functools.cache
def module_folder(module: str, version: str) -> Path:
    """Where the module lies in Go's module cache, downloaded if need be; read-only."""
    found = commands.run(["go", "mod", "download", "-json", f"{module}@{version}"])
    return Path(json.loads(found)["Dir"])


@functools.cache
def _go_version() -> str:
    return commands.run(["go", "env", "GOVERSION"]).strip()


def _in_own_module(
    name: str, packages: Sequence[str], *, version: str, flags: str = ""
) -> Artefact:
    """Programs of a module whose `replace` lines only its own checkout can follow."""
    wanted = [f"{each}@{version}" for each in packages]

    def build(draft: Path) -> None:
        replaced = _staging() if name == "kubernetes" else ""
        (draft / "go.mod").write_text(f"{_MODULE}\nreplace (\n{replaced})\n", "utf-8")
        _go(draft, "get", "-tool", *wanted)
        _compile(draft, packages, output=draft, flags=flags)
        _strip(draft)

    recipe = "\n".join([_go_version(), flags, *wanted])
    return Artefact(name, recipe, build)


def _source(name: str) -> str:
    return (_SOURCES / f"{name}.go").read_text("utf-8")


def _staging() -> str:
    """Lines for what Kubernetes replaces by folders that only its repository has: its libraries."""
    own = (module_folder("k8s.io/kubernetes", pins.KUBERNETES) / "go.mod").read_text("utf-8")
    library = pins.KUBERNETES.replace("v1.", "v0.", 1)
    names = re.findall(r"^\s*(k8s\.io/\S+) => \./staging/", own, re.MULTILINE)
    return "".join(f"\t{each} => {each} {library}\n" for each in names)


def _from_source(name: str, source: str, *, needs: Sequence[str] = ()) -> Artefact:
    """A program of one file of ours."""

    def build(draft: Path) -> None:
        (draft / "go.mod").write_text(_MODULE, "utf-8")
        (draft / "main.go").write_text(source, "utf-8")
        if needs:
            _go(draft, "get", *needs)
            _go(draft, "mod", "tidy")
        _compile(draft, ["."], output=draft / name)
        (draft / "main.go").unlink()
        _strip(draft)

    return Artefact(name, "\n".join([_go_version(), source, *needs]), build)


def _in_module(name: str, module: str, version: str, package: str) -> Artefact:
    """A program built inside the module cache, with the `replace` lines of its own module."""

    def build(draft: Path) -> None:
        _compile(module_folder(module, version), [package], output=draft / name)

    return Artefact(name, "\n".join([_go_version(), module, version, package]), build)


def _compile(directory: Path, packages: Sequence[str], *, output: Path, flags: str = "") -> None:
    linked = f"-s -w {flags}".strip()
    into = f"{output}/" if output.is_dir() else str(output)
    _go(directory, "build", "-trimpath", "-ldflags", linked, "-o", into, *packages)


def _go(directory: Path, *arguments: str) -> None:
    commands.run(["go", *arguments], directory=directory, environment=_ENVIRONMENT)


def _strip(draft: Path) -> None:
    """Leave nothing beside the programs; etcd's is named after its module's last part."""
    for name in ("go.mod", "go.sum"):
        (draft / name).unlink(missing_ok=True)
    if (draft / "server").is_file():
        (draft / "server").rename(draft / "etcd")
