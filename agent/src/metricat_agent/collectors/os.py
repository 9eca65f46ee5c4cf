"""Operating system of the node, from the host's ``/etc/os-release`` (``man 5 os-release``)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from metricat_agent.collectors import Collector
from metricat_agent.exposition.model import Metrics, gauge
from metricat_agent.host.ascii_text import BLANKS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from metricat_agent.host.hostfs import Host

LABELS = (
    *("build_id", "id", "id_like", "image_id", "image_version", "name", "pretty_name"),
    *("variant", "variant_id", "version", "version_codename", "version_id"),
)
INFO = gauge("node_os_info", "1, labeled with the properties of the operating system.", *LABELS)
VERSION = gauge(
    "node_os_version", "Major and minor version of the operating system, as a number.", "id", "id_like", "name"
)
_LINE = re.compile(r"""([A-Z_0-9]+)=(["']?)(.*)\2$""")
_NUMBER = re.compile(r"\d+(\.\d+)?")


def read(host: Host) -> str:
    """Return the text of the first os-release file that is readable; raise FileNotFoundError if none exists."""
    unreadable: OSError | None = None
    for path in ("/etc/os-release", "/usr/lib/os-release"):
        try:
            return host.root_text(path)
        except FileNotFoundError:
            continue
        except OSError as error:
            unreadable = unreadable or error
    raise unreadable or FileNotFoundError("the host has no os-release")


def variables(text: str) -> Mapping[str, str]:
    """Return the variables of ``NAME=value`` lines. The value may be quoted as in a shell."""
    found = {}
    for line in text.split("\n"):
        if match := _LINE.match(line.strip(BLANKS)):
            found[match[1].lower()] = re.sub(r"\\(.)", r"\1", match[3])
    return found


def parse(text: str) -> Metrics:
    """Return one series with the known variables as labels, and the version as a number (22.04 of ``22.04.3``)."""
    known = variables(text)
    if not known:
        raise ValueError("os-release has no line NAME=VALUE")
    found: Metrics = [(INFO, [(tuple(known.get(label, "") for label in LABELS), 1)])]
    if number := _NUMBER.match(known.get("version_id", "")):
        labels = (known.get("id", ""), known.get("id_like", ""), known.get("name", ""))
        found.append((VERSION, [(labels, float(number[0]))]))
    return found


class OperatingSystem(Collector):
    """Name and version of the distribution."""

    name = "os"
    summary = "name and version of the node's operating system"
    families = (INFO, VERSION)

    def setup(self) -> None:
        """Start without metrics; the first scrape reads the file."""
        self._stamp: tuple[int, int] | None = None
        self._metrics: Metrics = []

    def collect(self) -> Metrics:
        """Return name and version of the operating system from os-release. Read the file only if it has changed."""
        stamp = self.host.root_stamp("/etc/os-release")
        if stamp is None or stamp != self._stamp:
            self._metrics, self._stamp = parse(read(self.host)), stamp
        return self._metrics
