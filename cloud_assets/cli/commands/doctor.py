"""`doctor`: whether this machine and the settings can carry the platform, and what mends them."""

import importlib.util
import os
import shutil
import socket
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from cloud_assets.cli import output
from cloud_assets.settings import Cluster, Settings
from cloud_assets.settings_file import load_clusters, load_settings, settings_path
from resources.errors import PermanentError, SettingsError
from resources.supervisor import Supervisor

LEAST_FREE_BYTES = 5 * 10**9
LEAST_MEMORY_BYTES = 4 * 10**9
RUNTIME_MODULES = {"mlx": "mlx_lm", "vllm": "vllm"}


@dataclass(frozen=True)
class Finding:
    """One thing looked at; `fix` is what to do where it is not well, or could be better."""

    what: str
    well: bool
    found: str
    fix: str = ""

    @property
    def level(self) -> str:
        """pass, warn where it is well enough and could be better, fail."""
        return "fail" if not self.well else "warn" if self.fix else "pass"


def doctor(*, as_json: bool) -> None:
    settings = load_settings()
    findings = [*examine(settings), *machine_findings(settings)]
    if as_json:
        output.json_document([{**asdict(each), "level": each.level} for each in findings])
    else:
        rows = [{**asdict(each), "": each.level} for each in findings]
        output.records(("", "what", "found"), rows, as_json=False, sentences=("fix",))
    ill = [finding.what for finding in findings if not finding.well]
    if ill:
        raise PermanentError(
            "this machine", "carry the platform", ", ".join(ill), hint="see the fixes above"
        )


def examine(settings: Settings) -> Iterator[Finding]:
    """Everything that `up` and the stages will need, without changing anything."""
    path = settings_path()
    yield Finding("settings", True, str(path) if path else "the defaults; no cluster.yaml")
    version = ".".join(str(part) for part in sys.version_info[:3])
    yield _finding("python", sys.version_info >= (3, 11), version, "install Python 3.11 or newer")
    yield from _room(settings.home)
    if not Supervisor(settings.home).is_running():
        yield from (_port(name, port) for name, port in settings.ports)
    yield from _outside(settings)
    yield from (_root(root.path) for root in settings.roots)
    yield from (_suite(model, settings) for model in sorted({r.model for r in settings.roots}))


def machine_findings(settings: Settings) -> Iterator[Finding]:
    """What the host of the virtual machines lacks, where the file has any or speaks of it."""
    from cloud_assets.machines.preflight.reading import look

    try:
        clusters = load_clusters()
    except SettingsError as error:
        fix = "mend the file; `ai-how validate` tells everything that is wrong with it"
        yield Finding("clusters", False, error.problems[0], fix)
        return
    speaks_of_them = settings.machines != Settings().resolved(Path.cwd()).machines
    if clusters.hpc or clusters.cloud or speaks_of_them:
        output.note("looking at the host of the machines; a guest that KVM hangs takes 15 seconds")
        for each in look(clusters, settings.machines):
            yield Finding(each.what, each.level != "fail", each.found, each.fix)


def _finding(what: str, well: bool, found: str, fix: str) -> Finding:
    """With the fix only where there is something to mend."""
    return Finding(what, well, found, "" if well else fix)


def _room(home: Path) -> Iterator[Finding]:
    import psutil

    place = next(each for each in (home, *home.parents) if each.exists())
    free = shutil.disk_usage(place).free
    yield _finding(
        "disk", free >= LEAST_FREE_BYTES, f"{free / 1e9:.0f} GB free at {place}",
        "free some space, or set platform.home elsewhere",
    )  # fmt: skip
    yield _finding(
        "permissions", os.access(place, os.W_OK | os.X_OK), f"{place}",
        f"let this user write to {place}",
    )  # fmt: skip
    memory = psutil.virtual_memory().available
    yield _finding(
        "memory", memory >= LEAST_MEMORY_BYTES, f"{memory / 1e9:.0f} GB available",
        "end something; the platform alone takes 2 GB",
    )  # fmt: skip


def _port(name: str, port: int) -> Finding:
    with socket.socket() as probe:
        taken = probe.connect_ex(("127.0.0.1", port)) == 0
    fix = f"end what uses it, or set platform.ports.{name}"
    return _finding(f"port {port} ({name})", not taken, "taken" if taken else "free", fix)


def _outside(settings: Settings) -> Iterator[Finding]:
    """What does the serving, and the systems that others run."""
    if settings.serving.cluster is None:
        yield _runtime(settings)
    else:
        yield from _cluster(settings, settings.serving.cluster)
    if settings.store.url is not None:
        yield _store(settings)
    if settings.registry.url is not None:
        yield _registry(settings.registry.url)


def _cluster(settings: Settings, cluster: Cluster) -> Iterator[Finding]:
    from cloud_assets.serving_site import serving_site
    from resources.kserve.survey import survey
    from resources.kubernetes import Kubernetes

    at = settings.kubernetes
    asked = Kubernetes(at.kubeconfig, context=at.context, retry_seconds=2)
    for each in survey(asked, serving_site(settings, cluster)):
        yield Finding(**asdict(each))


def _store(settings: Settings) -> Finding:
    from resources.errors import ExternalError
    from resources.object_store import ObjectStore

    name = f"store {settings.store_url}"
    try:
        store = settings.store
        asked = ObjectStore(settings.store_url, endpoint=store.endpoint, region=store.region)
        asked.read("does-this-answer")
    except ExternalError as error:
        return Finding(name, False, error.reason, error.hint or "see platform.store")
    return Finding(name, True, "answers")


def _registry(url: str) -> Finding:
    import httpx

    try:
        httpx.get(f"{url.rstrip('/')}/health", timeout=5).raise_for_status()
    except httpx.HTTPError as error:
        fix = "start that MLflow server, or correct platform.registry.url"
        return Finding(f"registry {url}", False, str(error) or type(error).__name__, fix)
    return Finding(f"registry {url}", True, "answers")


def _runtime(settings: Settings) -> Finding:
    name = settings.serving.runtime
    there = importlib.util.find_spec(RUNTIME_MODULES[name]) is not None
    fix = f"install {RUNTIME_MODULES[name]}, or set platform.serving.runtime"
    return _finding(f"runtime {name}", there, "installed" if there else "not installed", fix)


def _root(path: Path) -> Finding:
    there = path.is_dir() and os.access(path, os.R_OK | os.X_OK)
    found = "readable" if there else "not there or unreadable"
    return _finding(f"root {path}", there, found, "create or mount it, and let this user read it")


def _suite(model: str, settings: Settings) -> Finding:
    from cloud_assets.evaluation.suite import read_suite

    path = settings.evaluation.suites.get(model)
    if path is None:
        fix = f"set platform.evaluation.suites.{model}"
        return Finding(f"suite of {model}", False, "none named", fix)
    try:
        items = len(read_suite(path).items)
    except SettingsError as error:
        return Finding(f"suite of {model}", False, error.problems[0], "mend the file")
    return Finding(f"suite of {model}", True, f"{items} items in {path}")
