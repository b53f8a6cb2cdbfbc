"""The container images of the testbed: which there are, and how their layers are made.

Static programs come from `go_programs`, Debian and Python packages from their registries.
"""

import inspect
import shutil
import sys
import tarfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.testbed import pins
from tests.testbed.build import commands, docker_archive, go_programs
from tests.testbed.build.cache import Artefact, have
from tests.testbed.build.docker_archive import Image

ARCHIVE = "image.tar"
_REQUIREMENTS = Path(__file__).with_name("python_requirements.txt")
_LEFT_OUT = tuple(f"/usr/share/{each}/*" for each in ("doc", "man", "locale"))
_SITE = "usr/local/lib/python3.11/dist-packages"
_INITIALIZER = "storage-initializer/scripts/initializer-entrypoint"
_LOAD_MODULES = (
    "__init__.py", "completion_stream.py", "locust_client.py", "pod_program.py", "rows.py",
    "run.py", "shares.py",
)  # fmt: skip
#: Who runs where a pod says `runAsNonRoot` and nothing more.
_NOBODY = "1000"


def all_images() -> list[Artefact]:
    """One artefact an archive; each holds `image.tar`."""
    static = {
        (pins.PAUSE_IMAGE, "/pause"): go_programs.pause(),
        (pins.COREDNS_IMAGE, "/coredns"): go_programs.coredns(),
        (pins.METRICS_SERVER_IMAGE, "/metrics-server"): go_programs.metrics_server(),
        (pins.KSERVE_IMAGE, "/manager"): go_programs.kserve(),
        (pins.MINIO_IMAGE, "/usr/bin/minio"): go_programs.minio(),
        (pins.VERSITYGW_IMAGE, "/usr/bin/versitygw"): go_programs.versitygw(),
        (pins.KUBE_RBAC_PROXY_IMAGE, "/kube-rbac-proxy"): go_programs.kube_rbac_proxy(),
        (pins.GPU_OPERATOR_IMAGE, "/usr/bin/gpu-operator"): go_programs.healthy(),
    }
    made = [
        _static({name: (target,)}, target, program) for (name, target), program in static.items()
    ]
    roles = {name: ("/cert-manager", role) for role, name in pins.CERT_MANAGER_IMAGES.items()}
    certificates = _static(roles, "/cert-manager", go_programs.cert_manager())
    return [*made, certificates, _busybox(), python(), mlflow(), postgresql(), load_client()]


def _static(names: Mapping[str, tuple[str, ...]], target: str, program: Artefact) -> Artefact:
    """Images with one static program and a /tmp, each name with an entry point of its own."""

    def build(draft: Path) -> None:
        (binary,) = (each for each in have(program).iterdir() if each.is_file())
        layer = draft / "layer.tar"
        with tarfile.open(layer, "w") as tar:
            _add_tmp(tar)
            docker_archive.add_bytes(tar, target.strip("/"), binary.read_bytes(), mode=0o755)
        images = [
            Image(name, [layer], entrypoint=entrypoint, user=_NOBODY)
            for name, entrypoint in names.items()
        ]
        docker_archive.write(draft / ARCHIVE, images)
        layer.unlink()

    recipe = f"{_code(_static)}\n{names}\n{target}\n{program.path.name}"
    return Artefact(f"image-{program.name}", recipe, build)


def _busybox() -> Artefact:
    """A shell and its tools, for pods of tests; Debian's `wget` of it dies of the option -T."""
    debian = _debian()

    def build(draft: Path) -> None:
        base, layer = have(debian) / "base.tar", draft / "layer.tar"
        program = draft / "busybox"
        program.write_bytes(_member(base, "./bin/busybox", "./usr/bin/busybox"))
        program.chmod(0o755)
        with tarfile.open(layer, "w") as tar:
            for name in sorted(set(commands.run([program, "--list"]).split()) - {"busybox"}):
                _add_link(tar, f"usr/local/bin/{name}", "/bin/busybox")
        image = Image(pins.BUSYBOX_IMAGE, [base, layer], command=["sh"])
        docker_archive.write(draft / ARCHIVE, [image])
        layer.unlink()

    recipe = f"{_code(_busybox)}\n{pins.BUSYBOX_IMAGE}\n{debian.path.name}"
    return Artefact("image-busybox", recipe, build)


def _debian() -> Artefact:
    """`base.tar`: Debian's smallest system with its Python and busybox."""

    left_out = [f"--dpkgopt=path-exclude={each}" for each in _LEFT_OUT]
    command = ["mmdebstrap", "--variant=minbase", "--include=python3,busybox", "--quiet", *left_out]

    def build(draft: Path) -> None:
        commands.run([*command, pins.DEBIAN, draft / "base.tar"])

    return Artefact("debian-python", " ".join([*command, pins.DEBIAN]), build)


def python() -> Artefact:
    """mlx-lm and KServe's storage initializer: two images of the same two layers."""
    debian = _debian()
    folder = ("github.com/kserve/kserve", pins.KSERVE)

    def build(draft: Path) -> None:
        base = have(debian) / "base.tar"
        tree = draft / "tree"
        tree.mkdir(mode=0o755)
        commands.run(["tar", "-xf", base, "-C", tree, "--exclude=./dev/*"])
        script = tree / _INITIALIZER
        script.parent.mkdir(parents=True)
        shutil.copy(go_programs.module_folder(*folder) / "python" / _INITIALIZER, script)
        script.chmod(0o755)
        _install(tree, _REQUIREMENTS)
        layer = draft / "packages.tar"
        commands.run(["tar", "-cf", layer, "-C", tree, _SITE, _INITIALIZER])
        docker_archive.write(draft / ARCHIVE, _python_images([base, layer]))
        shutil.rmtree(tree)
        layer.unlink()

    names = f"{pins.MLX_IMAGE}\n{pins.STORAGE_INITIALIZER_IMAGE}\n{pins.KSERVE}"
    code = _code(python, _install, _python_images)
    recipe = f"{code}\n{names}\n{debian.path.name}\n{_REQUIREMENTS.read_text('utf-8')}"
    return Artefact("image-python", recipe, build)


def mlflow() -> Artefact:
    """MLflow's server with uvloop, PostgreSQL and S3."""
    return _with_packages("mlflow", pins.MLFLOW_IMAGE, [])


def load_client() -> Artefact:
    """The load client of this repository, as `deploy/load/Dockerfile` makes it."""
    ours = ["__init__.py", "errors.py", *(f"load/{each}" for each in _LOAD_MODULES)]
    return _with_packages("load", pins.LOAD_IMAGE, [f"resources/{each}" for each in ours])


def _with_packages(name: str, image_name: str, ours: Sequence[str]) -> Artefact:
    """The packages of `<name>_requirements.txt` and files of ours, above the same Debian."""
    debian, requirements = _debian(), Path(__file__).with_name(f"{name}_requirements.txt")

    def build(draft: Path) -> None:
        base, tree, layer = have(debian) / "base.tar", draft / "tree", draft / "packages.tar"
        tree.mkdir(mode=0o755)
        commands.run(["tar", "-xf", base, "-C", tree, "--exclude=./dev/*"])
        for each in ours:
            (tree / _SITE / each).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(pins.REPOSITORY / each, tree / _SITE / each)
        _install(tree, requirements)
        commands.run(["tar", "-cf", layer, "-C", tree, _SITE])
        environment = {"HOME": "/tmp", "PYTHONUNBUFFERED": "1"}
        image = Image(image_name, [base, layer], user=_NOBODY, environment=environment)
        docker_archive.write(draft / ARCHIVE, [image])
        shutil.rmtree(tree)
        layer.unlink()

    texts = [(pins.REPOSITORY / each).read_text("utf-8") for each in ours]
    pinned = requirements.read_text("utf-8")
    recipe = [_code(_with_packages, _install), image_name, debian.path.name, pinned, *texts]
    return Artefact(f"image-{name}", "\n".join(recipe), build)


def postgresql() -> Artefact:
    """PostgreSQL with its extensions; the user has the number that the upstream image gives it."""
    user = "postgres:x:999:999:PostgreSQL:/var/lib/postgresql:/bin/sh"
    commands_before = (
        f'echo "{user}" >> "$1/etc/passwd"; echo "postgres:x:999:" >> "$1/etc/group"',
        'mkdir -p "$1/etc/postgresql-common"',
        'echo "create_main_cluster = false" > "$1/etc/postgresql-common/createcluster.conf"',
    )
    # What compiles queries is a hundred megabytes, and off where it is not there.
    left_out = (*_LEFT_OUT, "/usr/lib/*/libLLVM*", "/usr/lib/postgresql/*/lib/bitcode/*",
                "/usr/lib/postgresql/*/lib/llvmjit*")  # fmt: skip
    command = [
        "mmdebstrap", "--variant=minbase", "--include=postgresql-15", "--quiet",
        *(f"--dpkgopt=path-exclude={each}" for each in left_out),
        *(f"--essential-hook={each}" for each in commands_before),
    ]  # fmt: skip

    def build(draft: Path) -> None:
        layer = draft / "base.tar"
        commands.run([*command, pins.DEBIAN, layer])
        path = "/usr/lib/postgresql/15/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
        image = Image(pins.POSTGRESQL_IMAGE, [layer], user="999", environment={"PATH": path})
        docker_archive.write(draft / ARCHIVE, [image])
        layer.unlink()

    recipe = [_code(postgresql), pins.POSTGRESQL_IMAGE, *command, pins.DEBIAN]
    return Artefact("image-postgresql", "\n".join(recipe), build)


def keda() -> Artefact:
    """KEDA's three programs, an image each, where its manifests look for them."""
    targets = {
        "operator": "/keda", "adapter": "/keda-adapter", "webhooks": "/keda-admission-webhooks"
    }  # fmt: skip

    def build(draft: Path) -> None:
        images = []
        for role, target in targets.items():
            layer = draft / f"{role}.tar"
            with tarfile.open(layer, "w") as tar:
                _add_tmp(tar)
                tar.add(have(go_programs.keda()) / role, arcname=target.strip("/"))
            images.append(Image(pins.KEDA_IMAGES[role], [layer], entrypoint=[target], user=_NOBODY))
        docker_archive.write(draft / ARCHIVE, images)
        for image in images:
            image.layers[0].unlink()

    recipe = f"{_code(keda)}\n{pins.KEDA_IMAGES}\n{go_programs.keda().path.name}"
    return Artefact("image-keda", recipe, build)


def prometheus() -> Artefact:
    """Debian's Prometheus alone, without the pages and fonts that its package brings."""
    debian, program = _debian(), "./usr/bin/prometheus"
    command = ["mmdebstrap", "--variant=extract", "--include=prometheus", "--quiet"]

    def build(draft: Path) -> None:
        package, layer = draft / "package.tar", draft / "layer.tar"
        commands.run([*command, pins.DEBIAN, package])
        with tarfile.open(layer, "w") as tar:
            content = _member(package, program)
            docker_archive.add_bytes(tar, program.strip("./"), content, mode=0o755)
        layers = [have(debian) / "base.tar", layer]
        image = Image(pins.PROMETHEUS_IMAGE, layers, entrypoint=["prometheus"], user=_NOBODY)
        docker_archive.write(draft / ARCHIVE, [image])
        package.unlink()
        layer.unlink()

    recipe = [_code(prometheus), pins.PROMETHEUS_IMAGE, debian.path.name, *command, pins.DEBIAN]
    return Artefact("image-prometheus", "\n".join(recipe), build)


def vllm_double() -> Artefact:
    """Python with a program by the name of `vllm`, which the runtimes of ours start."""
    debian = _debian()
    source = (pins.REPOSITORY / "tests" / "doubles" / "vllm_server.py").read_bytes()

    def build(draft: Path) -> None:
        layer = draft / "layer.tar"
        with tarfile.open(layer, "w") as tar:
            docker_archive.add_bytes(tar, "usr/local/bin/vllm", source, mode=0o755)
        layers = [have(debian) / "base.tar", layer]
        image = Image(pins.VLLM_DOUBLE_IMAGE, layers, user=_NOBODY)
        docker_archive.write(draft / ARCHIVE, [image])
        layer.unlink()

    recipe = [_code(vllm_double), pins.VLLM_DOUBLE_IMAGE, debian.path.name, source.decode("utf-8")]
    return Artefact("image-vllm-double", "\n".join(recipe), build)


def _install(tree: Path, requirements: Path) -> None:
    """Put the pinned packages into the tree, with the byte code of the tree's own Python."""
    site = tree / _SITE
    commands.run(
        [_uv(), "pip", "install", "--quiet", "--no-deps", "--require-hashes", "--link-mode=copy",
         "--python", sys.executable, "--python-version", "3.11",
         "--python-platform", "x86_64-manylinux_2_36",
         "--target", site, "--requirement", requirements]
    )  # fmt: skip
    shutil.rmtree(site / "bin", ignore_errors=True)
    commands.run(["chroot", tree, "python3", "-m", "compileall", "-q", f"/{_SITE}"])


def _python_images(layers: list[Path]) -> list[Image]:
    # Offline and with one thread a server, as the platform's own processes are.
    environment: Mapping[str, str] = {
        "HOME": "/tmp",
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
        "PYTHONUNBUFFERED": "1",
    }
    model_server = Image(
        pins.MLX_IMAGE, layers, entrypoint=["python3", "-m", "mlx_lm", "server"],
        user=_NOBODY, environment=environment,
    )  # fmt: skip
    initializer = Image(
        pins.STORAGE_INITIALIZER_IMAGE, layers, entrypoint=[f"/{_INITIALIZER}"],
        user=_NOBODY, environment={"HOME": "/tmp", "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    return [model_server, initializer]


def _uv() -> Path:
    """uv from PATH, or the one that `make setup` installed."""
    found = shutil.which("uv")
    return Path(found) if found else pins.REPOSITORY / ".bootstrap" / "bin" / "uv"


def _code(*functions: Callable[..., object]) -> str:
    """The text of what makes an image: a change of it makes the image anew."""
    written = [inspect.getsource(each) for each in functions]
    return "\n".join([*written, Path(docker_archive.__file__).read_text("utf-8")])


def _member(archive: Path, *names: str) -> bytes:
    """The content of the first of `names` that is in the tar."""
    with tarfile.open(archive) as tar:
        known = set(tar.getnames())
        found = tar.extractfile(next(each for each in names if each in known))
        return found.read() if found else b""


def _add_tmp(tar: tarfile.TarFile) -> None:
    member = tarfile.TarInfo("tmp")
    member.type, member.mode = tarfile.DIRTYPE, 0o1777
    tar.addfile(member)


def _add_link(tar: tarfile.TarFile, name: str, target: str) -> None:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = tarfile.SYMTYPE, target
    tar.addfile(member)
