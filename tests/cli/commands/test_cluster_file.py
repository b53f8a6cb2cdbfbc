"""`validate` and `render` from outside: what they print where, and how they end."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from cloud_assets.cli.commands import cluster_file
from cloud_assets.machines.preflight import reading
from cloud_assets.machines.preflight.reading import devices
from resources.errors import PermanentError
from tests.cli.test_main import run
from tests.resources.host.tree import Tree

EXAMPLES = Path(__file__).parents[3] / "examples" / "clusters"
SHARED = EXAMPLES / "shared-gpu.yaml"


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    path = tmp_path / "cluster.yaml"
    path.write_text(SHARED.read_text().replace("disk_gb: 40", "disk_gb: 4"))
    return path


def test_a_valid_file_is_a_table_of_its_machines() -> None:
    code, out, err = run("validate", "--skip-pcie-validation", str(SHARED))
    assert code == 0
    assert err == f"{SHARED} is valid: 2 machines of hpc, 3 machines of cloud\n"
    rows = [line.split() for line in out.splitlines() if line.strip()]
    assert rows[0] == ["machine", "role", "address", "cpus", "memory", "disk", "start", "gpus"]
    assert rows[-1][:3] == ["cloud-gpu-worker-01", "gpu-worker", "192.168.200.12"]


def test_the_file_in_force_is_looked_at() -> None:
    code, out, _ = run("validate", "--json", "--skip-pcie-validation", AI_HOW_CLUSTER=str(SHARED))
    found = json.loads(out)
    assert (code, found["file"], found["valid"]) == (0, str(SHARED), True)
    assert found["machines"][0]["memory"]["size_bytes"] == 4 * 2**30


def test_a_wrong_file_ends_with_2_and_every_problem(broken: Path) -> None:
    code, out, err = run("validate", str(broken))
    assert (code, out) == (2, "")
    assert err.startswith(f"error: {broken}:8: clusters.hpc.controller.disk_gb: is too small")


def test_problems_are_json_too(broken: Path) -> None:
    code, out, err = run("validate", str(broken), "--json")
    found = json.loads(out)
    assert (code, found["valid"], len(found["problems"])) == (2, False, 1)
    assert err.startswith("error: ")


@pytest.mark.parametrize("arguments", [("validate",), ("topology",), ("topology", "--json")])
def test_without_a_file_one_must_be_named(arguments: tuple[str, ...], tmp_path: Path) -> None:
    code, out, err = run(*arguments, cluster=tmp_path / "nowhere.yaml")
    assert (code, out) == (2, "")
    assert "No such file" in err


def test_a_file_without_machines_is_valid(tmp_path: Path) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_text("platform: {home: here}\n")
    code, out, err = run("validate", str(path))
    assert (code, out, err) == (0, "", f"{path} is valid: it has no clusters of machines\n")
    code, out, err = run("topology", "-c", str(path))
    assert (code, out) == (0, "")
    assert "describe some under `clusters:`" in err


def test_a_file_is_rendered_to_standard_output(tmp_path: Path) -> None:
    path = tmp_path / "template.yaml"
    path.write_text("a: ${NAME:-x} # kept\n")
    assert run("render", str(path), NAME="y") == (0, "a: y # kept\n", "")
    assert run("render", str(path), "--show-variables") == (0, "a: x # kept\n", "$NAME: 1 time\n")


def test_a_file_is_rendered_to_a_file(tmp_path: Path) -> None:
    path, target = tmp_path / "template.yaml", tmp_path / "out.yaml"
    path.write_text("a: $TOT\n")
    assert run("render", str(path), "-o", str(target)) == (0, "", f"wrote {target}\n")
    assert target.read_text() == f"a: {tmp_path}\n"


def test_a_variable_without_a_value_leaves_no_file(tmp_path: Path) -> None:
    path, target = tmp_path / "template.yaml", tmp_path / "out.yaml"
    path.write_text("a: ${NOWHERE:?say where}\n")
    code, out, err = run("render", str(path), "-o", str(target))
    assert (code, out, target.exists()) == (2, "", False)
    assert err.startswith(f"error: {path}:1: a: $NOWHERE is not set: say where; export NOWHERE")


@pytest.mark.parametrize(("text", "code"), [("a: ${X:?y}\n", 0), ("a: ${X\n", 2), ("a: [\n", 2)])
def test_only_the_spelling_can_be_looked_at(tmp_path: Path, text: str, code: int) -> None:
    path = tmp_path / "template.yaml"
    path.write_text(text)
    ended, out, _ = run("render", str(path), "--validate-only")
    assert (ended, out) == (code, "")


def test_what_has_no_effect_is_a_warning_by_its_line(tmp_path: Path) -> None:
    path = tmp_path / "cluster.yaml"
    text = (EXAMPLES / "cpu-only.yaml").read_text()
    path.write_text(text.replace("cpu_cores:", "container_runtime: {enabled: true}, cpu_cores:", 1))
    code, _, err = run("validate", str(path))
    warning, *_ = err.splitlines()
    assert code == 0
    assert warning.startswith(f"warning: {path}:")
    assert "container_runtime: has no effect" in warning
    code, out, _ = run("validate", "--json", str(path))
    assert [f"warning: {each}" for each in json.loads(out)["warnings"]] == [warning]


Validated = Callable[..., tuple[dict[str, Any], str]]


@pytest.fixture
def validated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Validated:
    """What `validate` says of the shared GPU on a made-up host, as JSON, and its failure."""

    def validate(*, looks_at_host: bool = True) -> tuple[dict[str, Any], str]:
        monkeypatch.setattr(reading, "devices", partial(devices, tmp_path))
        failure = ""
        try:
            cluster_file.validate(SHARED, looks_at_host=looks_at_host, as_json=True)
        except PermanentError as error:
            failure = f"{error}; {error.hint}"
        return json.loads(capsys.readouterr().out), failure

    return validate


@pytest.fixture
def host(tmp_path: Path) -> Tree:
    """With the GPU and its audio in a group, and nothing wrong with them."""
    found = Tree(tmp_path)
    found.write("sys/module/vfio_pci/version", "")
    found.function("0000:01:00.0", "0x030000", driver="vfio-pci", group=1)
    found.function("0000:01:00.1", "0x040300", driver="vfio-pci", group=1)
    return found


def test_a_host_that_can_pass_the_devices_on_is_fit(validated: Validated, host: Tree) -> None:
    told, failure = validated()
    assert (told["host"], failure) == ("fit", "")
    assert [each["level"] for each in told["devices"]] == ["pass", "pass"]
    assert [each["what"] for each in told["kernel"]] == ["iommu", "vfio-pci"]


def test_a_host_that_has_them_and_cannot_is_a_failure_with_the_fix(
    validated: Validated, host: Tree
) -> None:
    host.function("0000:01:00.2", "0x0c0330", driver="xhci_hcd", group=1)
    told, failure = validated()
    assert (told["valid"], told["host"]) == (True, "unfit")
    assert told["devices"][0]["fix"].startswith('add {pci_address: "0000:01:00.2"')
    assert "0000:01:00.0, 0000:01:00.1" in failure
    assert "--skip-pcie-validation" in failure


def test_a_host_with_one_of_them_must_have_all(validated: Validated, tmp_path: Path) -> None:
    Tree(tmp_path).function("0000:01:00.0", "0x030000", driver="vfio-pci", group=1)
    told, failure = validated()
    assert told["host"] == "unfit"
    assert "0000:01:00.1" in failure


def test_a_host_with_none_of_them_is_another_which_is_no_failure(validated: Validated) -> None:
    told, failure = validated()
    assert (told["host"], failure) == ("another", "")
    assert {each["level"] for each in told["devices"]} == {"warn"}


def test_the_host_can_be_left_out(validated: Validated, host: Tree) -> None:
    told, failure = validated(looks_at_host=False)
    assert (told["host"], told["devices"], failure) == ("not looked at", [], "")


def test_devices_are_a_table_too(
    host: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(reading, "devices", partial(devices, tmp_path))
    cluster_file.validate(SHARED, looks_at_host=True, as_json=False)
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if "0x030000" in line]
    assert rows[0][:6] == ["pass", "0000:01:00.0", "gpu", "0x030000", "10de:2805", "vfio-pci"]


@pytest.mark.parametrize(
    ("uri", "is_here"),
    [
        ("qemu:///system", True),
        ("qemu+unix:///system?socket=/run/x", True),
        ("qemu+ssh://other/system", False),
        ("test:///default", False),
    ],
)
def test_only_this_host_is_looked_at(uri: str, is_here: bool) -> None:
    assert reading.is_this_host(uri) is is_here
