"""Memory, huge pages, interfaces, routes and services of made-up machines, and of this one."""

from ipaddress import IPv4Network
from pathlib import Path
from tempfile import TemporaryDirectory

from resources.host import services
from resources.host.memory import Memory, memory
from resources.host.networks import Route, interfaces, routes
from tests.doubles import children
from tests.resources.host.tree import Tree

ROUTES = """\
Iface	Destination	Gateway	Flags	RefCnt	Use	Metric	Mask	MTU	Window	IRTT
eth0	00000000	010200C0	0003	0	0	0	00000000	0	0	0
eth0	000200C0	00000000	0001	0	0	0	00FFFFFF	0	0	0
virbr0	007AA8C0	00000000	0001	0	0	0	00FFFFFF	0	0	0
damaged
"""


def test_memory_and_free_huge_pages_are_bytes(tree: Tree) -> None:
    tree.write("proc/meminfo", "MemTotal:  100 kB\nMemFree: 1 kB\nMemAvailable:   50 kB\n")
    tree.write("sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "3\n")
    tree.write("sys/kernel/mm/hugepages/hugepages-1048576kB/free_hugepages", "0\n")
    assert memory(tree.root) == Memory(102400, 51200, {2**30: 0, 2**21: 3 * 2**21})


def test_routes_are_told_without_the_default_one(tree: Tree) -> None:
    tree.write("proc/net/route", ROUTES)
    assert routes(tree.root) == (
        Route("eth0", IPv4Network("192.0.2.0/24")),
        Route("virbr0", IPv4Network("192.168.122.0/24")),
    )


def test_interfaces_are_told_by_name(tree: Tree) -> None:
    for name in ("virbr0", "eth0"):
        tree.write(f"sys/class/net/{name}/mtu", "1500")
    assert interfaces(tree.root) == ("eth0", "virbr0")


def test_a_machine_that_says_nothing_has_nothing(tmp_path: Path) -> None:
    assert memory(tmp_path) == Memory(0, 0, {})
    assert (interfaces(tmp_path), routes(tmp_path)) == ((), ())


def test_this_machine_has_memory_and_a_loopback() -> None:
    assert memory().total >= memory().available > 0
    assert "lo" in interfaces()
    assert all(each.subnet.prefixlen for each in routes())


def test_a_process_is_known_by_its_service(tree: Tree) -> None:
    tree.write("proc/7/cgroup", "0::/system.slice/ollama.service\n")
    tree.write("proc/8/cgroup", "0::/user.slice/user-1000.slice/session-2.scope\n")
    assert [services.unit(each, tree.root) for each in (7, 8, 9)] == ["ollama.service", "", ""]


def test_a_socket_says_whether_libvirt_is_there(tree: Tree) -> None:
    assert services.system_socket(tree.root) == "absent"
    tree.write("run/libvirt/virtqemud-sock", "")
    assert services.system_socket(tree.root) == "there"


def test_a_socket_that_this_user_may_not_use_is_told() -> None:
    # pytest's own directories are for one user.
    with TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        Tree(Path(name)).write("run/libvirt/libvirt-sock", "").chmod(0o400)
        asked = "print(system_socket(Path(sys.argv[1])))"
        assert children.run(asked, name, lowered=True).strip() == "forbidden"
