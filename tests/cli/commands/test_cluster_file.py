"""`validate` and `render` from outside: what they print where, and how they end."""

import json
from pathlib import Path

import pytest

from tests.cli.test_main import run

EXAMPLES = Path(__file__).parents[3] / "examples" / "clusters"
SHARED = EXAMPLES / "shared-gpu.yaml"


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    path = tmp_path / "cluster.yaml"
    path.write_text(SHARED.read_text().replace("disk_gb: 40", "disk_gb: 4"))
    return path


def test_a_valid_file_is_a_table_of_its_machines() -> None:
    code, out, err = run("validate", str(SHARED))
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
