"""How ssh is called: which key, which host key, which way."""

from pathlib import Path

import pytest

from cloud_assets.machines.guests import login
from cloud_assets.machines.guests.login import Login
from cloud_assets.settings.machines import Machines

PLAIN = Login("admin", Path("/keys/id"), Path("/here/known_hosts"))


def test_a_login_knows_the_host_by_its_alias_and_takes_new_ones() -> None:
    found = login.command(PLAIN, address="10.0.0.9", alias="uuid.1")
    assert found[:3] == ["ssh", "-i", "/keys/id"]
    options = found[found.index("-o") : -1]
    assert options[1::2] == [
        "IdentitiesOnly=yes", "UserKnownHostsFile=/here/known_hosts", "HostKeyAlias=uuid.1",
        "StrictHostKeyChecking=accept-new", "HashKnownHosts=no", "LogLevel=ERROR",
        "ConnectionAttempts=3",
    ]  # fmt: skip
    assert found[-1] == "admin@10.0.0.9"


def test_a_command_is_not_taken_for_options() -> None:
    found = login.command(PLAIN, address="10.0.0.9", alias="a", words=["-v", "x y"])
    assert found[-4:] == ["admin@10.0.0.9", "--", "-v", "x y"]


def test_a_path_with_a_space_or_a_token_is_one_file() -> None:
    odd = Login("admin", Path("/keys/id"), Path("/a b/%h"))
    assert 'UserKnownHostsFile="/a b/%%h"' in login.trust(odd, "a")
    assert (
        "'UserKnownHostsFile=\"/a b/%%h\"'" in login.variables(odd, "a")["ansible_ssh_common_args"]
    )


@pytest.mark.parametrize(
    ("uri", "jump"),
    [
        ("qemu:///system", ""),
        ("qemu+unix:///system?socket=/run/x", ""),
        ("qemu+ssh://root@far.example:2222/system", "root@far.example:2222"),
    ],
)
def test_machines_of_another_host_are_reached_through_it(uri: str, jump: str) -> None:
    found = Login.of(Machines(uri=uri), Path("/home"))
    assert found.jump == jump
    assert ("-J" in login.command(found, address="a", alias="b")) is bool(jump)


def test_the_private_key_is_the_one_beside_the_public(tmp_path: Path) -> None:
    public = tmp_path / "id.pub"
    public.write_text("")
    assert Login.of(Machines(ssh_public_key=public), tmp_path).key == public
    (tmp_path / "id").write_text("")
    assert Login.of(Machines(ssh_public_key=public), tmp_path).key == tmp_path / "id"
