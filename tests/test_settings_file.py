"""Reading `cluster.yaml`: every mistake by its line, and which file is in force."""

from pathlib import Path
from textwrap import dedent

import pytest

from cloud_assets.settings import Settings
from cloud_assets.settings_file import load_settings, read_settings, settings_path
from resources.errors import SettingsError

BAD = """\
machines:
  anything: goes
platform:
  home: /srv/platform
  ports:
    mlflow: 3000
    dagster: 3000
  roots:
    - path: runs
      model: qa
    - path: other
      model: not a name
  serving:
    runtime: abacus
    keep_wram: 2
  benchmark:
    targets:
      - metric: latency_p95
        at_most: 1
      - metric: goodput
"""


@pytest.fixture(autouse=True)
def _no_settings_around(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    for name in ("AI_HOW_CLUSTER", "AI_HOW_HOME"):
        monkeypatch.delenv(name, raising=False)


def file(directory: Path, text: str, name: str = "cluster.yaml") -> Path:
    path = directory / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dedent(text))
    return path


def problems(path: Path) -> list[str]:
    with pytest.raises(SettingsError) as error:
        read_settings(path)
    return [problem.removeprefix(f"{path}:") for problem in error.value.problems]


def test_every_mistake_is_told_at_once_with_its_line(tmp_path: Path) -> None:
    assert problems(file(tmp_path, BAD)) == [
        "5: platform.ports: the three ports must differ",
        "12: platform.roots.1.model: `not a name` is not a model name: letters, digits, "
        "`-` and `_`, at most 31",
        "14: platform.serving.runtime: Input should be 'mlx', 'vllm' or 'vllm-cpu'",
        "15: platform.serving.keep_wram: no such setting; did you mean keep_warm?",
        "20: platform.benchmark.targets.1: the target on goodput needs either at_most or at_least",
    ]


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("platform:\n  roots:\n    - path: a\n", 3, "platform.roots.0.model: is missing; add it"),
        ("platform:\n  roots: 7\n", 2, "platform.roots: Input should be a valid tuple"),
        ("platform:\n  ports:\n    mlflow: x\n", 3, "platform.ports.mlflow: Input should be"),
        ("platform: 7\n", 1, "platform: Input should be a valid dictionary"),
        ("a: 1\nplatform: [1]\n", 2, "platform: Input should be a valid dictionary"),
        ("platform:\n  home:\n", 2, "platform.home: Input is not a valid path"),
        ("platform:\n  1: 2\n", 2, "platform"),
    ],
)
def test_a_mistake_is_told_by_its_line(tmp_path: Path, text: str, line: int, words: str) -> None:
    [problem, *_] = problems(file(tmp_path, text))
    assert problem.startswith(f"{line}: {words}")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("platform:\n  home: [1\n", 3),
        ("platform:\n\thome: x\n", 2),
        ("platform:\n  ? [a, b]\n  : 1\n", 2),
        ("a: &a\n  b: *nothing\n", 2),
        ("platform: !!python/object:os.system {}\n", 1),
        ("platform:\n  home: !secret x\n", 2),
    ],
)
def test_what_is_no_yaml_is_told_by_its_line(tmp_path: Path, text: str, line: int) -> None:
    [problem] = problems(file(tmp_path, text))
    assert problem.startswith(f"{line}: not YAML: ")


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"platform:\n  home: \x07\n"])
def test_what_is_no_text_is_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_bytes(content)
    [problem] = problems(path)
    assert "not YAML" in problem


def test_a_mistake_comes_with_the_way_to_all_settings(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as error:
        read_settings(file(tmp_path, BAD))
    assert "ai-how schema" in (error.value.hint or "")


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="No such file"):
        read_settings(tmp_path / "nothing.yaml")


def test_a_directory_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="Is a directory"):
        read_settings(tmp_path)


@pytest.mark.parametrize("text", ["", "# nothing\n", "machines: {}\n", "platform: {}\n", "[1]\n"])
def test_a_file_without_our_part_is_the_defaults(tmp_path: Path, text: str) -> None:
    assert read_settings(file(tmp_path, text)) == Settings().resolved(tmp_path)


def test_an_empty_part_is_the_defaults(tmp_path: Path) -> None:
    assert read_settings(file(tmp_path, "platform:\n")) == Settings().resolved(tmp_path)


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    path = file(tmp_path / "else", "platform:\n  home: h\n  roots: [{path: r, model: qa}]\n")
    found = read_settings(path)
    assert (found.home, found.roots[0].path) == (tmp_path / "else/h", tmp_path / "else/r")


def test_anchors_and_merges_are_yaml(tmp_path: Path) -> None:
    text = """\
        base: &base
          model: qa
        platform:
          roots:
            - <<: *base
              path: a
            - {<<: *base, path: b}
        """
    assert [root.model for root in read_settings(file(tmp_path, text)).roots] == ["qa", "qa"]


def test_nothing_around_means_the_defaults_here() -> None:
    assert settings_path() is None
    assert load_settings() == Settings().resolved(Path.cwd())


def test_the_variable_wins_over_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file(Path.cwd(), "platform: {home: here}\n")
    named = file(tmp_path / "named", "platform: {home: there}\n")
    monkeypatch.setenv("AI_HOW_CLUSTER", str(named))
    assert load_settings().home == tmp_path / "named/there"


def test_a_file_here_wins_over_the_demos() -> None:
    file(Path.cwd(), "platform: {home: demo}\n", ".ai-how/cluster.yaml")
    assert load_settings().home == Path.cwd() / ".ai-how/demo"
    file(Path.cwd(), "platform: {home: here}\n")
    assert load_settings().home == Path.cwd() / "here"


def test_a_file_where_the_earlier_tool_had_it_is_found() -> None:
    file(Path.cwd(), "platform: {home: demo}\n", ".ai-how/cluster.yaml")
    file(Path.cwd(), "platform: {home: earlier}\n", "config/cluster.yaml")
    assert load_settings().home == Path.cwd() / "config/earlier"


def test_variables_of_the_platform_are_expanded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATE", "8001")
    file(Path.cwd(), "platform:\n  home: $TOT/x\n  ports: {gateway: $GATE}\n")
    found = load_settings()
    assert (found.home, found.ports.gateway) == (Path.cwd() / "x", 8001)


def test_a_key_that_stands_twice_is_told(tmp_path: Path) -> None:
    [problem] = problems(file(tmp_path, "platform:\n  home: a\n  home: b\n"))
    assert problem == "3: platform.home: stands in line 2 already; remove one"


def test_a_named_file_that_is_not_there_is_no_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AI_HOW_CLUSTER", "nothing.yaml")
    with pytest.raises(SettingsError, match="No such file"):
        load_settings()


def test_home_can_be_set_from_outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file(Path.cwd(), "platform: {home: here}\n")
    monkeypatch.setenv("AI_HOW_HOME", str(tmp_path / "outside"))
    assert load_settings().home == tmp_path / "outside"
