"""What libvirt's errors mean, by what libvirt 9.0 and QEMU really said."""

import pytest

from resources.errors import ExternalError, NeedsRepair, PermanentError, TransientError
from resources.libvirt import (
    AgentSilent,
    AlreadyThere,
    DeviceInUse,
    GroupNotViable,
    ImageInUse,
    NoRoom,
    NotFound,
    Unsupported,
)
from resources.libvirt.api.failures import Failure, error

REFUSED = "internal error: unable to execute QEMU agent command 'guest-file-open':"
IN_USE = "Requested operation is not valid: PCI device 0000:01:00.0 is in use by driver QEMU, "


def meant(code: int, message: str, part: int = 10) -> ExternalError:
    return error(Failure(code, part, message), "start gpu-1")


@pytest.mark.parametrize(
    ("code", "message", "kind"),
    [
        (42, "Domain not found: no domain with matching name 'x'", NotFound),
        (43, "Network not found: no network with matching name 'x'", NotFound),
        (49, "Storage pool not found: no storage pool with matching name 'x'", NotFound),
        (50, "Storage volume not found: no storage vol with matching name 'x'", NotFound),
        (72, "Domain snapshot not found: no domain snapshot with matching name 'x'", NotFound),
        (38, "Device 0000:77:00.0 not found: could not access /sys/bus/pci/…", NotFound),
        (1, 'internal error: qemu unexpectedly closed the monitor: 2026-11-24T20:27:11.350765Z '
         'qemu-system-x86_64: -device {"driver":"vfio-pci","host":"0000:77:00.0","id":"hostdev0"}: '
         "vfio /sys/bus/pci/devices/0000:77:00.0: no such host device: No such file or directory",
         NotFound),
        (9, "operation failed: domain 'x' already exists with uuid 4dea22b3", AlreadyThere),
        (55, "Requested operation is not valid: there is an existing dhcp host", AlreadyThere),
        (90, "storage volume 'seed.iso' exists already", AlreadyThere),
        (67, "unsupported configuration: host doesn't support passthrough of host PCI devices",
         Unsupported),
        (3, "this function is not supported by the connection driver: virDomainOpenConsole",
         Unsupported),
        (35, "(domain_definition):1: Couldn't find end of Start Tag dom line 1", PermanentError),
        (86, "Guest agent is not responding: QEMU guest agent is not connected", AgentSilent),
        (1, f"{REFUSED} failed to open file '/run/x' (mode: 'r'): No such file or directory",
         NotFound),
        (1, f"{REFUSED} The command guest-file-open has been disabled for this instance",
         Unsupported),
        (68, "Timed out during operation: cannot acquire state change lock", TransientError),
        (38, "cannot write data to file '/x': No space left on device", NoRoom),
        (1, "bridge name 'virbr100' already in use.", AlreadyThere),
        (38, "error creating bridge interface virbr100: File exists", AlreadyThere),
        (38, "Cannot access backing file '/i/x.qcow2' of storage file '/p/a.qcow2' (as uid:0, "
         "gid:0): No such file or directory", NotFound),
        (1, "cannot set up guest memory 'pc.ram': Cannot allocate memory", NeedsRepair),
        (1, "something that nobody has met yet", PermanentError),
        (0, "", PermanentError),
    ],
)  # fmt: skip
def test_a_code_decides_who_has_to_act(code: int, message: str, kind: type[Exception]) -> None:
    assert type(meant(code, message)) is kind


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (1, "internal error: client socket is closed"),
        (38, "Cannot recv data: Connection reset by peer"),
        (38, "Failed to connect socket to '/run/libvirt/libvirt-sock': Connection refused"),
        (38, "End of file while reading data: Input/output error"),
        (6, "invalid connection pointer in virConnectListAllDomains"),
        (39, "RPC error"),
    ],
)
def test_a_lost_connection_may_be_tried_again(code: int, message: str) -> None:
    assert type(meant(code, message, part=7)) is TransientError


def test_a_daemon_that_is_not_there_needs_somebody_to_start_it() -> None:
    said = "Failed to connect socket to '/run/libvirt/libvirt-sock': No such file or directory"
    found = meant(38, said, part=7)
    assert isinstance(found, NeedsRepair)
    assert "start libvirtd" in str(found.hint)


def test_a_user_without_access_is_told_the_group() -> None:
    said = "Failed to connect socket to '/run/libvirt/libvirt-sock': Permission denied"
    assert "group `libvirt`" in str(meant(38, said, part=7).hint)


@pytest.mark.parametrize("name", ["h-a", "hpc-gpu-worker-01", "one with blanks"])
def test_a_device_in_use_names_the_device_and_its_holder(name: str) -> None:
    found = meant(55, f"{IN_USE}domain {name}")
    assert isinstance(found, DeviceInUse)
    assert (found.device, found.holder) == ("0000:01:00.0", name)
    assert f"`{name}`" in str(found.hint)


def test_a_device_in_use_by_nobody_that_is_named_is_in_use_all_the_same() -> None:
    found = meant(55, "Requested operation is not valid: PCI device 0000:01:00.0 is in use")
    assert isinstance(found, DeviceInUse)
    assert found.holder == ""


def test_a_group_that_is_not_viable_is_named() -> None:
    said = (
        "internal error: qemu unexpectedly closed the monitor: 2026-11-24T20:08:01.144963Z "
        'qemu-system-x86_64: -device {"driver":"vfio-pci","host":"0000:00:10.0","id":"hostdev0",'
        '"bus":"pci.0","addr":"0x2"}: vfio 0000:00:10.0: group 2 is not viable\nPlease ensure all '
        "devices within the iommu_group are bound to their vfio bus driver."
    )
    found = meant(1, said)
    assert isinstance(found, GroupNotViable)
    assert (found.group, found.device) == (2, "0000:00:10.0")
    assert "group 2" in str(found.hint)


@pytest.mark.parametrize(
    "said",
    [
        "Cannot access backing file '/i/x y.qcow2' of storage file '/p/a.qcow2' (as uid:0, gid:0): "
        "No such file or directory",
        "inaccessible backing store volume /i/x y.qcow2: No such file or directory",
    ],
)
def test_an_image_that_is_gone_is_named_with_what_to_do(said: str) -> None:
    assert str(meant(38, said).hint).startswith("put /i/x y.qcow2 back")


def test_a_disk_that_is_locked_is_named() -> None:
    said = (
        "internal error: process exited while connecting to monitor: 2026-11-27T11:20:11.150765Z "
        'qemu-system-x86_64: -blockdev {"node-name":"libvirt-2-format","read-only":false}: Failed '
        'to get "write" lock\nIs another process using the image [/p/a.qcow2]?'
    )
    found = meant(1, said)
    assert isinstance(found, ImageInUse)
    assert found.path == "/p/a.qcow2"
    assert "fuser -v /p/a.qcow2" in str(found.hint)


def test_a_long_message_is_cut() -> None:
    assert len(meant(1, "x" * 9000).reason) < 1100
