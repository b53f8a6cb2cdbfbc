"""What the Secret of a certificate must hold to be of use."""

from pathlib import Path

import pytest

from cloud_assets.services.trials.certificates import _problems
from tests.testbed.run import certificates


@pytest.fixture
def secret(tmp_path: Path) -> dict[str, str]:
    """As cert-manager fills one."""
    authority = certificates.authority(tmp_path / "ca.crt")
    signed = authority.sign("tried", names=["tried.space.svc"])
    return {
        "tls.crt": signed.read_text(),
        "tls.key": signed.with_suffix(".key").read_text(),
        "ca.crt": authority.certificate.read_text(),
    }


def test_one_with_key_and_authority_is_of_use(secret: dict[str, str]) -> None:
    assert _problems(secret) == []


@pytest.mark.parametrize("key", ["tls.crt", "tls.key", "ca.crt"])
@pytest.mark.parametrize("value", ["", None])
def test_one_that_lacks_a_part(secret: dict[str, str], key: str, value: str | None) -> None:
    given = {name: each for name, each in secret.items() if name != key}
    if value is not None:
        given[key] = value
    assert _problems(given) == [f"the Secret of the certificate lacks {key}"]


def test_one_that_holds_something_else(secret: dict[str, str]) -> None:
    assert _problems({**secret, "ca.crt": "nothing"}) == [
        "the Secret of the certificate holds something else"
    ]


def test_one_with_the_key_of_another(secret: dict[str, str], tmp_path: Path) -> None:
    other = certificates.authority(tmp_path / "other.crt").sign("other", names=["other"])
    [problem] = _problems({**secret, "tls.key": other.with_suffix(".key").read_text()})
    assert problem.startswith("the certificate and its key are not of use")
