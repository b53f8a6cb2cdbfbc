"""How rows are laid out where nobody watches."""

import pytest

from cloud_assets.cli import output


def test_in_a_pipe_every_row_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    output.table(("checkpoint", "reason"), [("model.run.75", "a long reason " * 50)])
    assert any("model.run.75" in line and line.count("reason") == 50 for line in _lines(capsys))


def test_no_row_loses_its_name_on_a_narrow_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "PIPE_WIDTH", 40)
    output.table(("checkpoint", "reason"), [("a-model.a-long-run.75", "a long reason " * 50)])
    assert any("a-model.a-long-run.75" in line for line in _lines(capsys))


def _lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()
