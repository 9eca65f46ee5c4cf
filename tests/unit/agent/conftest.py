"""What the agent's tests share: a recorded host, and metrics as prometheus_client reads them."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from prometheus_client.parser import text_string_to_metric_families

from metricat_agent.host import Host

if TYPE_CHECKING:
    from collections.abc import Callable

Scraped = dict[tuple[str, frozenset[tuple[str, str]]], float]
RECORDED = Path(__file__).parents[2] / "fixtures" / "host"


@pytest.fixture
def host() -> Host:
    """The recorded host, as a pod sees one."""
    return Host(
        procfs=str(RECORDED / "proc"), sysfs=str(RECORDED / "sys"), rootfs=str(RECORDED / "root"), node_name="node-7"
    )


def scraped(text: str) -> Scraped:
    """Read a scrape; refuse two series with the same name and labels."""
    series: Scraped = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in series, f"twice: {key}"
            series[key] = sample.value
    return series


class Scrape:
    """A scrape that can be asked for a series."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.series = scraped(text)

    def get(self, name: str, **labels: str) -> float | None:
        return self.series.get((name, frozenset(labels.items())))

    def of(self, name: str) -> dict[tuple[str, ...], float]:
        """The series of a family by the values of their labels, sorted by the labels' names."""
        return {
            tuple(value for _, value in sorted(labels)): number
            for (found, labels), number in self.series.items()
            if found == name
        }

    @property
    def names(self) -> set[str]:
        return {name for name, _ in self.series}


@pytest.fixture(scope="session")
def scrape_of() -> Callable[[str], Scrape]:
    """Reads a scrape's text."""
    return Scrape


@pytest.fixture(scope="session")
def scrape_type() -> type[Scrape]:
    """The same, for annotations: test modules cannot import each other."""
    return Scrape


def _certificate(folder: Path, name: str) -> None:
    """Write a self-signed certificate for localhost and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / f"{name}.crt").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / f"{name}.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


@pytest.fixture(scope="session")
def certificate() -> Callable[[Path, str], None]:
    """Writes a certificate and its key into a folder, under a name."""
    return _certificate
