"""The command from outside: what it prints where, how it ends, and how little `--help` imports."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cloud_assets.settings.document import ClusterFile

REPOSITORY = Path(__file__).parents[2]
HEAVY = ("dagster", "rich", "httpx", "mlflow", "pydantic", "yaml", "psutil", "obstore", "asyncio")


@pytest.fixture
def cluster(tmp_path: Path) -> Path:
    """Settings of a platform that is down, on ports where nobody answers."""
    path = tmp_path / "cluster.yaml"
    (tmp_path / "runs").mkdir()
    path.write_text(
        "platform:\n  ports: {dagster: 1, mlflow: 2, gateway: 3}\n"
        "  roots: [{path: runs, model: qa}]\n"
    )
    return path


def run(*arguments: str, cluster: Path | None = None, **extra: str) -> tuple[int, str, str]:
    """Exit code, standard output, standard error."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("AI_HOW")}
    if cluster is not None:
        extra["AI_HOW_CLUSTER"] = str(cluster)
    ended = subprocess.run(
        [sys.executable, "-m", "cloud_assets.cli.main", *arguments],
        cwd=cluster.parent if cluster else "/",
        env={**environment, "PYTHONPATH": str(REPOSITORY), **extra},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return ended.returncode, ended.stdout, ended.stderr


def test_help_is_printed_without_importing_what_it_does_not_need() -> None:
    code = (
        "import sys; sys.argv = ['ai-how', '--help']\n"
        "from cloud_assets.cli.main import main\n"
        "try: main()\n"
        "except SystemExit as end: assert end.code in (0, None), end.code\n"
        f"print(sorted(set({HEAVY!r}) & set(sys.modules)), file=sys.stderr)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert "Usage: ai-how" in ended.stdout
    assert ended.stderr.strip() == "[]"


def test_without_a_command_it_shows_its_help() -> None:
    code, out, err = run()
    assert "Usage:" in out + err
    assert code in (0, 2)


def test_the_schema_is_that_of_all_of_the_file() -> None:
    code, out, err = run("schema")
    assert (code, json.loads(out), err) == (0, ClusterFile.model_json_schema(), "")


@pytest.mark.parametrize(
    "arguments",
    [
        ("fly",),
        ("status", "--colour"),
        ("promote",),
        ("promote", "no-key"),
        ("bench", "qa.run.100", "no-key"),
        ("rollback", "a/b"),
    ],
)
def test_a_wrong_request_ends_with_2_and_prints_no_data(
    arguments: tuple[str, ...], cluster: Path
) -> None:
    code, out, err = run(*arguments, cluster=cluster)
    assert (code, out) == (2, "")
    assert err


def test_wrong_settings_end_with_2_and_name_the_line(tmp_path: Path) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_text("platform:\n  hoem: x\n")
    code, out, err = run("status", cluster=path)
    assert (code, out) == (2, "")
    assert err == (
        f"error: {path}:2: platform.hoem: no such setting; remove it or mend its spelling\n"
        "\nhint: `ai-how schema` prints every setting with its type and default\n"
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ("checkpoints",),
        ("checkpoints", "--json"),
        ("checkpoints", "--watch"),
        ("checkpoints", "--watch", "--json"),
        ("promote", "qa.run.100"),
        ("rollback", "qa"),
        ("bench", "qa.run.100"),
        ("ask", "qa", "hello"),
        ("logs", "nothing"),
    ],
)
def test_a_platform_that_is_down_ends_with_1_and_a_hint(
    arguments: tuple[str, ...], cluster: Path
) -> None:
    code, out, err = run(*arguments, cluster=cluster)
    assert (code, out) == (1, "")
    assert err.startswith("error: ")
    assert "\n\nhint: " in err
    assert "Traceback" not in err


def test_the_status_of_a_platform_that_is_down_is_no_error(cluster: Path) -> None:
    assert run("status", cluster=cluster) == (
        0,
        "",
        "the platform is down; `ai-how up` starts it\n",
    )


def test_its_status_as_json_is_an_empty_list(cluster: Path) -> None:
    assert run("status", "--json", cluster=cluster) == (0, "[]\n", "")


def test_ending_a_platform_that_is_down_is_no_error(cluster: Path) -> None:
    assert run("down", cluster=cluster)[0] == 0


def test_no_endpoint_is_an_empty_list(cluster: Path) -> None:
    assert run("endpoint", "--json", cluster=cluster) == (0, "[]\n", "")


def test_the_settings_can_be_named_in_the_command(cluster: Path) -> None:
    code, out, _ = run("--cluster", str(cluster), "doctor", "--json")
    [found] = [each for each in json.loads(out) if each["what"] == "settings"]
    assert (found["found"], found["level"]) == (str(cluster), "pass")
    assert code in (0, 1)


def test_a_reader_that_went_away_is_no_traceback() -> None:
    script = f"{sys.executable} -m cloud_assets.cli.main schema | true"
    ended = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {script}"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(("extra", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_colour_is_left_out_where_it_is_not_wanted(
    extra: dict[str, str], coloured: bool, cluster: Path
) -> None:
    _, out, _ = run("doctor", cluster=cluster, FORCE_COLOR="1", TERM="xterm", **extra)
    assert ("\x1b[3" in out) is coloured


def test_nothing_is_coloured_in_a_pipe(cluster: Path) -> None:
    assert "\x1b" not in run("doctor", cluster=cluster)[1]


def test_a_log_goes_to_standard_error_and_leaves_the_data_alone(cluster: Path) -> None:
    code, out, err = run("-v", "status", "--json", cluster=cluster)
    assert (code, out) == (0, "[]\n")
    assert " INFO ai-how: -v status --json\n" in err


def test_a_log_goes_to_a_file_with_the_end_of_the_command(cluster: Path) -> None:
    file = cluster.parent / "logs" / "ai-how.log"
    code, out, err = run("--log-file", str(file), "logs", "nothing", cluster=cluster)
    assert (code, out) == (1, "")
    assert "ai-how: " not in err
    assert "ended by an error: " in file.read_text()


def test_a_level_is_taken_in_any_case_and_an_unknown_one_is_not(cluster: Path) -> None:
    _, _, err = run("--log-level", "warning", "status", cluster=cluster)
    assert err == "the platform is down; `ai-how up` starts it\n"
    assert run("--log-level", "loud", "status", cluster=cluster)[0] == 2


def test_a_log_that_cannot_be_written_is_told(cluster: Path) -> None:
    code, out, err = run("--log-file", str(cluster / "log"), "status", cluster=cluster)
    assert (code, out) == (2, "")
    assert err.startswith(f"error: no log can be written to {cluster / 'log'}")


def test_a_state_file_of_old_scripts_is_taken_and_not_used(cluster: Path) -> None:
    code, out, err = run("--state", "output/state.json", "status", "--json", cluster=cluster)
    assert (code, out) == (0, "[]\n")
    assert err == "output/state.json is not used: there is no state file, libvirt itself is asked\n"


def test_a_shell_is_told_how_to_complete() -> None:
    ended = subprocess.run(
        [Path(sys.executable).with_name("ai-how"), "--show-completion", "bash"],
        env={**os.environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"},
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert "complete -o default -F _ai_how_completion ai-how" in ended.stdout
