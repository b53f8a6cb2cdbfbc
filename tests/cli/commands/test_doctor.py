"""What the doctor finds on this machine and in the settings, each with its fix."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloud_assets.cli.commands import doctor
from cloud_assets.cli.commands.doctor import Finding, examine
from cloud_assets.settings import Evaluation, Ports, Registry, Root, Settings, Store
from cloud_assets.settings.platform import Kubernetes
from cloud_assets.settings.serving import Serving
from resources.errors import PermanentError
from tests.cli.test_main import run
from tests.doubles.kubernetes import kubeconfig


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "runs").mkdir()
    suite = tmp_path / "suite.jsonl"
    suite.write_text(json.dumps({"prompt": "1 + 1?", "expected": "2", "judge": "exact"}))
    return Settings(
        home=tmp_path / "home",
        ports=Ports(dagster=_free(), mlflow=_free(), gateway=_free()),
        roots=(Root(path=tmp_path / "runs", model="qa"),),
        evaluation=Evaluation(suites={"qa": suite}),
    )


def _free() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def listener() -> Iterator[int]:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


def finding(settings: Settings, what: str) -> Finding:
    [found] = [each for each in examine(settings) if each.what.startswith(what)]
    return found


def test_all_that_a_platform_needs_is_looked_at(settings: Settings) -> None:
    named = [each.what.partition(" ")[0] for each in examine(settings)]
    assert named == [
        "settings", "python", "disk", "permissions", "memory", "port", "port", "port",
        "runtime", "root", "suite",
    ]  # fmt: skip


def test_what_is_ill_has_a_fix_and_what_is_well_needs_none(settings: Settings) -> None:
    assert [each for each in examine(settings) if bool(each.fix) is each.well] == []


def test_looking_changes_nothing(settings: Settings) -> None:
    list(examine(settings))
    assert not settings.home.exists()


@pytest.mark.parametrize("what", ["root", "suite", "port", "python"])
def test_a_good_place_is_well(settings: Settings, what: str) -> None:
    found = [each for each in examine(settings) if each.what.startswith(what)]
    assert all(each.well for each in found)


def test_a_taken_port_is_told_with_its_setting(settings: Settings, listener: int) -> None:
    ports = settings.ports.model_copy(update={"mlflow": listener})
    found = finding(settings.model_copy(update={"ports": ports}), f"port {listener}")
    assert (found.well, found.found) == (False, "taken")
    assert "platform.ports.mlflow" in found.fix


def test_a_missing_root_is_told(settings: Settings) -> None:
    settings.roots[0].path.rmdir()
    assert not finding(settings, "root").well


def test_a_runtime_that_is_not_installed_is_told(settings: Settings) -> None:
    vllm = settings.model_copy(update={"serving": Serving(runtime="vllm")})
    found = finding(vllm, "runtime")
    assert (found.well, found.fix) == (False, "install vllm, or set platform.serving.runtime")


def test_on_a_cluster_the_cluster_is_looked_at_and_no_model_server_of_this_machine(
    settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "kubeconfig").write_text(kubeconfig(f"http://127.0.0.1:{_free()}"))
    cluster = {"runtimes": {"vllm-cpu": {"image": "v:1"}}}
    serving = Serving.model_validate({"runtime": "vllm-cpu", "cluster": cluster})
    kubernetes = Kubernetes(kubeconfig=tmp_path / "kubeconfig")
    away = settings.model_copy(update={"serving": serving, "kubernetes": kubernetes})
    assert not finding(away, "cluster").well
    assert [each for each in examine(away) if each.what.startswith("runtime")] == []


def test_a_bucket_that_cannot_be_reached_is_told(settings: Settings) -> None:
    store = Store(url="s3://models", endpoint=f"http://127.0.0.1:{_free()}")
    found = finding(settings.model_copy(update={"store": store}), "store")
    assert (found.what, found.well) == ("store s3://models", False)


def test_a_registry_of_others_is_asked(settings: Settings) -> None:
    registry = Registry(url=f"http://127.0.0.1:{_free()}")
    found = finding(settings.model_copy(update={"registry": registry}), "registry")
    assert "platform.registry.url" in found.fix


def test_a_missing_suite_is_told_with_its_setting(settings: Settings) -> None:
    without = settings.model_copy(update={"evaluation": Evaluation()})
    assert "platform.evaluation.suites.qa" in finding(without, "suite").fix


def test_a_damaged_suite_is_told_by_its_line(settings: Settings) -> None:
    suite = settings.evaluation.suites["qa"]
    suite.write_text("{}\n")
    assert f"{suite}:1:" in finding(settings, "suite").found


def test_too_little_room_is_told(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "LEAST_FREE_BYTES", 10**18)
    monkeypatch.setattr(doctor, "LEAST_MEMORY_BYTES", 10**18)
    assert [finding(settings, what).well for what in ("disk", "memory")] == [False, False]


def test_what_is_ill_ends_in_an_error_that_names_it(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.roots[0].path.rmdir()
    monkeypatch.setattr(doctor, "load_settings", lambda: settings)
    with pytest.raises(PermanentError, match="root"):
        doctor.doctor(as_json=True)
    assert {"root"} <= {each["what"].split()[0] for each in json.loads(capsys.readouterr().out)}


EXAMPLES = Path(__file__).parents[3] / "examples" / "clusters"
#: A guest by KVM would take its time where there is one that hangs.
PLATFORM = "platform: {{home: {}, machines: {{acceleration: tcg}}}}"


def told(file: Path, *arguments: str) -> tuple[int, list[dict[str, object]]]:
    code, out, _ = run("doctor", "--json", *arguments, AI_HOW_CLUSTER=str(file))
    return code, json.loads(out)


def test_with_clusters_the_host_of_the_machines_is_looked_at(tmp_path: Path) -> None:
    file = tmp_path / "cluster.yaml"
    file.write_text((EXAMPLES / "shared-gpu.yaml").read_text() + PLATFORM.format(tmp_path))
    code, found = told(file)
    named = {str(each["what"]).partition(" ")[0] for each in found}
    assert code == 1
    assert named >= {
        "libvirt", "qemu-img", "dnsmasq", "SSH", "virtualisation", "iommu", "vfio-pci", "device",
        "machines'", "pool", "image", "network",
    }  # fmt: skip
    assert {each["level"] for each in found} >= {"pass", "fail"}
    assert [each for each in found if each["level"] == "fail" and not each["fix"]] == []


def test_of_a_libvirt_elsewhere_only_what_is_of_here_is_looked_at(tmp_path: Path) -> None:
    file = tmp_path / "cluster.yaml"
    file.write_text("platform: {machines: {uri: 'qemu+tcp://127.0.0.1:1/system'}}\n")
    code, found = told(file)
    assert code == 1
    assert [each["what"] for each in found][-2:] == ["libvirt", "SSH key"]


def test_without_machines_no_host_of_them_is_looked_at(tmp_path: Path) -> None:
    file = tmp_path / "cluster.yaml"
    file.write_text(f"platform: {{home: {tmp_path}}}\n")
    assert "libvirt" not in {each["what"] for each in told(file)[1]}


def test_clusters_with_mistakes_are_told_and_stop_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "cluster.yaml"
    file.write_text("clusters: {hpc: {}}\n")
    code, found = told(file)
    assert (code, found[-1]["what"], found[-1]["level"]) == (1, "clusters", "fail")
    assert "ai-how validate" in str(found[-1]["fix"])


def test_what_could_be_better_is_no_failure() -> None:
    assert Finding("virtualisation", True, "slow", "mend it").level == "warn"
