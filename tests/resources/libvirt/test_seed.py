"""Seeds: what is in them, and that the same words make the same bytes."""

from io import BytesIO

import pytest
import yaml

from resources.libvirt import seed
from resources.libvirt.seed import Seed, User

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI somebody@somewhere"
ADMIN = User("admin", (KEY,), groups=("adm",))


def read(image: bytes) -> tuple[str, dict[str, str]]:
    pycdlib = pytest.importorskip("pycdlib")
    iso = pycdlib.PyCdlib()
    iso.open_fp(BytesIO(image))
    volume = iso.pvd.volume_identifier.decode().strip()
    files = {}
    for child in iso.list_children(joliet_path="/"):
        name = child.file_identifier().decode("utf-16-be", "replace").strip()
        if child.is_file():
            content = BytesIO()
            iso.get_file_from_iso_fp(content, joliet_path=f"/{name}")
            files[name] = content.getvalue().decode()
    iso.close()
    return volume, files


def test_the_image_has_the_volume_and_the_files_that_cloud_init_looks_for() -> None:
    wanted = Seed("gpu-1", "i-1", (ADMIN,), network={"ethernets": {}})
    volume, files = read(seed.image(wanted))
    assert volume == "cidata"
    assert files == seed.documents(wanted)
    assert sorted(files) == ["meta-data", "network-config", "user-data"]


def test_the_same_seed_is_the_same_bytes_at_any_time(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pycdlib")
    wanted = Seed("gpu-1", "i-1", (ADMIN,))
    first = seed.image(wanted)
    monkeypatch.setattr("time.time", lambda: 1.9e9)
    monkeypatch.setenv("TZ", "Asia/Kathmandu")
    assert seed.image(wanted) == first


def test_another_seed_is_other_bytes() -> None:
    pytest.importorskip("pycdlib")
    first, second = (seed.image(Seed("gpu-1", each, (ADMIN,))) for each in ("i-1", "i-2"))
    assert first != second


def test_a_user_logs_in_by_key_and_by_no_password() -> None:
    text = seed.documents(Seed("gpu-1", "i-1", (ADMIN,)))["user-data"]
    assert text.startswith("#cloud-config\n")
    found = yaml.safe_load(text)
    assert found["ssh_pwauth"] is False
    assert found["users"] == [
        {
            "name": "admin",
            "ssh_authorized_keys": [KEY],
            "lock_passwd": True,
            "shell": "/bin/bash",
            "groups": ["adm"],
            "sudo": "ALL=(ALL) NOPASSWD:ALL",
        }
    ]


def test_somebody_who_is_no_administrator_has_no_sudo() -> None:
    given = User("guest", (KEY,), is_administrator=False)
    found = yaml.safe_load(seed.documents(Seed("a", "i", (given,)))["user-data"])
    assert "sudo" not in found["users"][0]


def test_the_network_is_left_to_dhcp_unless_it_is_told() -> None:
    assert "network-config" not in seed.documents(Seed("a", "i", (ADMIN,)))
    told = seed.documents(Seed("a", "i", (ADMIN,), network={"ethernets": {"eth0": {}}}))
    assert yaml.safe_load(told["network-config"]) == {"version": 2, "ethernets": {"eth0": {}}}


def test_more_is_merged_into_the_user_data() -> None:
    given = Seed("a", "i", (ADMIN,), more={"packages": ["curl"], "ssh_pwauth": True})
    found = yaml.safe_load(seed.documents(given)["user-data"])
    assert (found["packages"], found["ssh_pwauth"]) == (["curl"], True)


def test_large_files_and_odd_words_arrive_whole() -> None:
    files = {"user-data": "ü: 'x'\n" * 20000, "meta-data": ""}
    assert read(seed.disk(files))[1] == files
