"""The testbed as a whole: started, found, ended.

Building is left to `build`, processes and addresses to `run`, what lies on top to `addons`.
"""

import json
import os
import shutil
import string
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from resources import atomic
from resources.errors import NeedsRepair, PermanentError
from resources.supervisor import Program, Supervisor
from tests.testbed import kubectl, pins
from tests.testbed.addons import gateway_api, kserve
from tests.testbed.build import cache, go_programs, host, image_store, images, node_root
from tests.testbed.build.cache import Artefact
from tests.testbed.kubectl import Kubectl
from tests.testbed.progress import step
from tests.testbed.run import cell, control_plane, identities, node, node_host, places
from tests.testbed.run.node import Node
from tests.testbed.run.places import Places

KUBECONFIG_VARIABLE = "AI_HOW_TEST_KUBECONFIG"
#: The address of an S3 server for it; the keys are those of the AWS variables.
S3_VARIABLE = "AI_HOW_TEST_S3"
_KEYS = ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY")
_ADDONS = Path(__file__).parent / "addons"
_PATIENCE_SECONDS = 120.0
_LOCK_SECONDS = 3600.0


@dataclass(frozen=True)
class S3:
    """An S3 server that host and pods reach under the same address."""

    endpoint: str
    access_key: str
    secret_key: str


@dataclass(frozen=True)
class Cluster:
    """A cluster to test on; what it answers is asked anew, since it may be restarted."""

    kubeconfig: Path
    kubectl: Kubectl
    #: Where ours keeps its files; None where the cluster is somebody else's.
    places: Places | None = None

    @property
    def nodes(self) -> tuple[str, ...]:
        """The names of its nodes."""
        return tuple(each["metadata"]["name"] for each in self.kubectl.get("nodes")["items"])

    @property
    def s3(self) -> S3 | None:
        """The S3 server beside it, or for somebody else's cluster the one of $AI_HOW_TEST_S3."""
        if self.places is None:
            endpoint = os.environ.get(S3_VARIABLE)
            keys = (os.environ.get(f"AWS_{each}", "") for each in _KEYS)
            return S3(endpoint, *keys) if endpoint else None
        return S3(**json.loads(self.places.s3_credentials.read_text("utf-8")))

    def until_it_answers(self) -> None:
        """Wait for the API server; PermanentError with the last of its log when it gave up."""
        _until_answers(self.kubectl, self.places)

    @contextmanager
    def without(self, program: str) -> Iterator[None]:
        """Within, a part of ours is dead, and it is started again behind: `node-2`, `kubelet-1`,
        `kube-apiserver`, … A node is dead as after a loss of power, with its pods.

        Raises PermanentError for what is not ours or not there.
        """
        supervisor = Supervisor(self.places.home) if self.places else None
        known = supervisor.configured() if supervisor else {}
        if supervisor is None or program not in known:
            raise PermanentError("the testbed", f"stop {program}", f"it has {sorted(known)}")
        supervisor.remove(program)
        try:
            yield
        finally:
            supervisor.add(known[program])


def up() -> Cluster:
    """A cluster that is ready: that of $AI_HOW_TEST_KUBECONFIG, one of these parts, or a new one.

    Raises NeedsRepair where there can be none, PermanentError when one would not start.
    """
    given = os.environ.get(KUBECONFIG_VARIABLE)
    if given:
        return _somebody_elses(Path(given).expanduser())
    host.prepare()
    build()
    where = places.default()
    with atomic.locked(cache.root() / "run.lock", timeout_seconds=_LOCK_SECONDS):
        made_of = "\n".join(each.path.name for each in _parts())
        if not (_is_up(where) and where.ready.read_text("utf-8") == made_of):
            _end(where)
            _start(where)
            where.ready.write_text(made_of, "utf-8")
    return _ours(where)


def running() -> Cluster:
    """The cluster that is up. Raises PermanentError when there is none."""
    given = os.environ.get(KUBECONFIG_VARIABLE)
    if given:
        return _somebody_elses(Path(given).expanduser())
    if not _is_up(places.default()):
        raise PermanentError(
            "the testbed", "show a cluster", "none is up", hint="start one with `make testbed-up`"
        )
    return _ours(places.default())


def build() -> None:
    """Have everything in the cache, so that a start only starts."""
    with ThreadPoolExecutor(1) as beside, ThreadPoolExecutor(2) as compilers:
        # A compiler that links leaves all cores but one alone; downloads wait for a registry.
        downloads = [images.python(), images.mlflow(), images.postgresql(), node_root.node_root()]
        ready = [beside.submit(cache.have, each) for each in downloads]
        ready += [compilers.submit(cache.have, each) for each in go_programs.largest_first()]
        list(map(Future.result, ready))
        for artefact in _parts():
            cache.have(artefact)
    cache.prune()


def down() -> list[int]:
    """End the testbed and all that it left; the processes that were ended."""
    if not cache.root().is_dir():
        return []
    with atomic.locked(cache.root() / "run.lock", timeout_seconds=_LOCK_SECONDS):
        return _end(places.default())


def keep() -> None:
    """Let the cluster outlive the test runs that use it."""
    if not os.environ.get(KUBECONFIG_VARIABLE):
        places.default().kept.touch()


def is_kept() -> bool:
    """Whether the cluster is not for test runs to end: somebody else's, or started by hand."""
    return bool(os.environ.get(KUBECONFIG_VARIABLE)) or places.default().kept.exists()


def _is_up(where: Places) -> bool:
    """Whether a testbed runs there and its start has been seen through."""
    return where.ready.exists() and Supervisor(where.home).is_running()


def _parts() -> list[Artefact]:
    """All that a cluster is made of, the slowest to build first and what needs others last."""
    programs = [go_programs.kubernetes(), go_programs.etcd(), go_programs.minio()]
    manifests = [kserve.manifests(), gateway_api.manifests()]
    return [*programs, *manifests, node_root.node_root(), image_store.image_store()]


def _start(where: Places) -> None:
    first, *others = nodes = [Node(number + 1, where) for number in range(pins.NODES)]
    names = [each.name for each in nodes]
    with step("writing certificates and configurations"):
        where.home.mkdir(mode=0o700)
        where.volumes.mkdir()
        control_plane.write_certificates(where)
        identities.write(where, names)
        control_plane.write_first(where, hosts={each.address: each.pods for each in others})
        for each in nodes:
            node.prepare(each)
        for each in others:
            node_host.prepare(each)
    with step("starting the API server"):
        supervisor = cell.start(where, groups=names)
        ask = kubectl.of_testbed(where.kubeconfig)
        _until_answers(ask, where)
    with step("starting the nodes"):
        for program in [*control_plane.second(where), *node.programs(first)]:
            supervisor.add(program)
        for each in others:
            supervisor.add(node_host.program(each))
    _install(where, ask, names)


def _install(where: Places, ask: Kubectl, names: Sequence[str]) -> None:
    """What a cluster has on top, and waiting until all of it is ready."""
    with step("applying DNS, metrics and storage"):
        for name in ("coredns", "metrics_server", "storage_class"):
            ask.apply(_manifest(name))
        Supervisor(where.home).add(_provisioner(where))
    with step("applying KServe"):
        ask.apply(kserve.crds())
        ask.apply(gateway_api.definitions())
        _until_established(ask)
        ask.apply(kserve.resources(where))
    with step("waiting for nodes and KServe"):
        for name in names:
            _until(partial(_is_there, ask, f"node/{name}"), f"a {name}")
            ask.wait(f"node/{name}", "condition=Ready")
        for namespace, name in (("kube-system", "coredns"), ("kserve", kserve.DEPLOYMENT)):
            ask.wait(f"deployment/{name}", "condition=Available", "--namespace", namespace)
        # While an API is missing, no namespace can be deleted.
        ask.wait("apiservice/v1beta1.metrics.k8s.io", "condition=Available")


def _until_answers(ask: Kubectl, where: Places | None) -> None:
    supervisor = Supervisor(where.home) if where else None

    def answers() -> bool:
        programs = supervisor.programs() if supervisor else ()
        gave_up = [each.name for each in programs if each.state == "FATAL"]
        if supervisor and gave_up:
            last = "\n".join(supervisor.tail(gave_up[0], 5))
            raise NeedsRepair("the testbed", f"start {gave_up[0]}", last)
        return ask("get", "--raw", "/readyz", seconds=10) == "ok"

    _until(answers, "an API server that answers")


def _until_established(ask: Kubectl) -> None:
    kind = '{.status.conditions[?(@.type=="Established")].status}'
    query = f"jsonpath={{range .items[*]}}{kind},{{end}}"

    def established() -> bool:
        states = ask("get", "crd", "--output", query).rstrip(",").split(",")
        return all(each == "True" for each in states)

    _until(established, "established definitions")


def _is_there(ask: Kubectl, what: str) -> bool:
    return bool(ask("get", what, "--ignore-not-found", "--output", "name").strip())


def _until(look: Callable[[], bool], what: str) -> None:
    """Until it is true; a cluster that does not answer yet is asked again."""
    deadline, problem = time.monotonic() + _PATIENCE_SECONDS, ""
    while time.monotonic() < deadline:
        try:
            if look():
                return
        except NeedsRepair:
            raise
        except PermanentError as error:
            problem = error.reason
        time.sleep(0.1)
    raise PermanentError("the testbed", f"have {what}", problem or "it did not come")


def _manifest(name: str) -> str:
    text = (_ADDONS / f"{name}.yaml").read_text("utf-8")
    return string.Template(text).substitute(
        {key: value for key, value in vars(pins).items() if isinstance(value, str)}
    )


def _provisioner(where: Places) -> Program:
    kubeconfig = identities.kubeconfig(where, identities.PROVISIONER)
    module = ("-m", "tests.testbed.addons.provisioner")
    return control_plane.program(
        where, "provisioner", [sys.executable, *module, kubeconfig, where.volumes],
        environment={"PYTHONPATH": str(pins.REPOSITORY)},
    )  # fmt: skip


def _end(where: Places) -> list[int]:
    ended = cell.end(where)
    if where.home.exists():
        shutil.rmtree(where.home)
    return ended


def _ours(where: Places) -> Cluster:
    return Cluster(where.kubeconfig, kubectl.of_testbed(where.kubeconfig), where)


def _somebody_elses(kubeconfig: Path) -> Cluster:
    ask = kubectl.installed(kubeconfig)
    if ask is None:
        raise NeedsRepair(
            "the testbed", f"use {kubeconfig}", "kubectl is not on PATH", hint="install kubectl"
        )
    found = Cluster(kubeconfig, ask)
    try:
        ask("get", "--raw", "/readyz", seconds=30)
    except PermanentError as error:
        hint = f"correct {KUBECONFIG_VARIABLE}, or unset it to have a cluster built here"
        raise NeedsRepair("the testbed", f"use {kubeconfig}", error.reason, hint=hint) from error
    return found
