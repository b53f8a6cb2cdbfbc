"""Certificates of one testbed: its authorities and what they sign, as PEM files of mode 0600.

Keys are P-256, made anew at every start. Who uses which file is left to the callers.
"""

import datetime
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from resources import atomic

_VALID = datetime.timedelta(days=30)


@dataclass(frozen=True)
class Authority:
    """A self-signed authority; its certificate lies at `certificate`, its key beside it."""

    certificate: Path
    _signed: x509.Certificate
    _key: ec.EllipticCurvePrivateKey

    @property
    def key(self) -> Path:
        return self.certificate.with_suffix(".key")

    def sign(self, name: str, *, names: Sequence[str] = (), group: str = "") -> Path:
        """A certificate for servers at `names` (addresses or host names) and for clients.

        Lies beside the authority's as `<name>.crt` and `<name>.key`.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        subject = [x509.NameAttribute(NameOID.COMMON_NAME, name)]
        if group:
            subject.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, group))
        usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        builder = _builder(x509.Name(subject), self._signed.subject, key)
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        if names:
            alternatives = x509.SubjectAlternativeName([_general(each) for each in names])
            builder = builder.add_extension(alternatives, critical=False)
        path = self.certificate.with_name(f"{name}.crt")
        _write(path, builder.sign(self._key, hashes.SHA256()), key)
        return path


def authority(path: Path) -> Authority:
    """Make an authority with its certificate at `path`."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"ai-how testbed {path.stem}")])
    builder = _builder(name, name, key).add_extension(
        x509.BasicConstraints(ca=True, path_length=None), critical=True
    )
    signed = builder.sign(key, hashes.SHA256())
    _write(path, signed, key)
    return Authority(path, signed, key)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + _VALID)
    )


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _write(path: Path, signed: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
    atomic.replace(path, signed.public_bytes(serialization.Encoding.PEM).decode())
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    atomic.replace(path.with_suffix(".key"), secret.decode())
