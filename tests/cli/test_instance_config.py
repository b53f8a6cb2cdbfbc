"""What `ai-how up` writes into dagster.yaml."""

from pathlib import Path

import dagster as dg
import yaml

from cloud_assets.cli.programs import instance_config


def test_the_ui_greets_nobody_with_a_sign_up_form(tmp_path: Path) -> None:
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(instance_config()), "utf-8")
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        assert instance.nux_enabled is False
