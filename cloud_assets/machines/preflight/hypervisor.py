"""libvirt, the programs that it starts, and the key that machines are made with. Pure."""

from collections.abc import Iterator

from cloud_assets.machines.desired import Desired
from cloud_assets.machines.preflight.facts import Facts
from cloud_assets.machines.preflight.finding import Finding, ill, well

#: Programs, what they are for, and Debian's packages of them.
_PROGRAMS = (
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("qemu-img", "qemu-utils"),
    ("dnsmasq", "dnsmasq-base"),
)
VIRTIOFSD = "virtiofsd"
_KINDS = ("ssh-", "ecdsa-", "sk-")


def hypervisor(desired: Desired, facts: Facts) -> Iterator[Finding]:
    """The programs that libvirt starts."""
    for name, package in _PROGRAMS:
        yield _program(name, package, facts)
    if any(each.mounts for each in desired.machines):
        yield _program(VIRTIOFSD, VIRTIOFSD, facts)


def key(path: str, facts: Facts) -> Finding:
    """The public key: a line that sshd takes, and not the private half."""
    if facts.public_key is None:
        fix = f"`ssh-keygen -t ed25519 -f {path.removesuffix('.pub')}`, or set"
        return ill("SSH key", f"{path} is not there", f"{fix} machines.ssh_public_key")
    if not facts.public_key.startswith(_KINDS):
        said = "is a private key" if "PRIVATE KEY" in facts.public_key else "is no public key"
        fix = "set machines.ssh_public_key to the file that ends in .pub"
        return ill("SSH key", f"{path} {said}", fix)
    return well("SSH key", path)


def connection(facts: Facts) -> Finding:
    """Whether libvirt answers this user."""
    libvirt = facts.libvirt
    if libvirt.version:
        return well("libvirt", f"{libvirt.version} at {libvirt.uri}")
    found = f"{libvirt.uri}: {libvirt.problem}"
    if "not installed" in libvirt.problem or "cannot be loaded" in libvirt.problem:
        return ill("libvirt", found, libvirt.hint)
    if libvirt.socket == "absent" and libvirt.uri == "qemu:///system":
        fix = "`apt-get install libvirt-daemon-system`, `systemctl enable --now libvirtd`"
        return ill("libvirt", found, fix)
    if libvirt.socket == "forbidden":
        return ill("libvirt", found, f"`usermod -aG libvirt {facts.user}`, then log in again")
    return ill("libvirt", found, libvirt.hint)


def _program(name: str, package: str, facts: Facts) -> Finding:
    found = facts.programs.get(name)
    if found:
        return well(name, found)
    return ill(name, "not installed", f"`apt-get install {package}`, or what has it elsewhere")
