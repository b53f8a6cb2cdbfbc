"""Whether the processor runs the machines by KVM, and what it means where it does not. Pure."""

from collections.abc import Iterator, Sequence

from cloud_assets.machines.desired import Machine
from cloud_assets.machines.preflight.facts import Facts
from cloud_assets.machines.preflight.finding import Finding, ill, slower, well
from resources.host.kernel import Kernel

_WHAT = "virtualisation"
_EMULATED = "machines are emulated, take minutes to boot and compute ten times slower or worse"


def processor(machines: Sequence[Machine], facts: Facts) -> Iterator[Finding]:
    """KVM, and machines in machines where any is wanted."""
    wanted = [each for each in machines if each.acceleration != "tcg"]
    if machines and not wanted:
        yield well(_WHAT, "not needed: the file has all machines emulated")
        return
    yield _kvm([each for each in wanted if each.acceleration == "kvm"], facts)
    if facts.kvm.works and any(each.processor.nested for each in wanted):
        yield _nested(facts.devices.kernel)


def _kvm(insisting: Sequence[Machine], facts: Facts) -> Finding:
    if facts.kvm.works:
        return well(_WHAT, "KVM runs guests")
    if facts.kvm.problem:
        fix = f"`usermod -aG kvm {facts.user}`, then log in again"
        return ill(_WHAT, f"/dev/kvm: {facts.kvm.problem}", fix)
    why, fix = _reason(facts)
    if insisting:
        names = ", ".join(each.name for each in insisting)
        return ill(_WHAT, f"{why}; {names} must have KVM by machines.acceleration", fix)
    return slower(_WHAT, f"{why}; {_EMULATED}", fix)


def _reason(facts: Facts) -> tuple[str, str]:
    kernel = facts.devices.kernel
    by_hand = "`machines.acceleration: tcg` says that it is meant so"
    if facts.kvm.has_device and facts.programs.get("qemu-system-x86_64") is None:
        return "nobody can try KVM: there is no QEMU", "`apt-get install qemu-system-x86`"
    if facts.kvm.has_device:
        return "/dev/kvm is there, but a guest hung or crawled", by_hand
    if kernel.has_virtualisation and not kernel.has_kvm_module:
        module = {"intel": "kvm_intel", "amd": "kvm_amd"}.get(kernel.vendor, "kvm")
        return "the module for KVM is not loaded", f"`modprobe {module}`; {by_hand}"
    if kernel.is_guest:
        return "this host is a virtual machine without KVM", f"switch nested on below it; {by_hand}"
    name = {"intel": "VT-x", "amd": "AMD-V (SVM)"}.get(kernel.vendor, "virtualisation")
    return "the processor offers none", f"switch {name} on in the firmware; {by_hand}"


def _nested(kernel: Kernel) -> Finding:
    if kernel.nested is not False:
        return well("nested", "machines may run machines")
    module = "kvm_amd" if kernel.vendor == "amd" else "kvm_intel"
    fix = (
        f"`echo options {module} nested=1 > /etc/modprobe.d/kvm.conf`, then "
        f"`modprobe -r {module} && modprobe {module}` with all machines off"
    )
    return slower("nested", f"enable_nested is set, and {module} has it off", fix)
