"""Operating system of the node, from the host's ``/etc/os-release`` (``man 5 os-release``), and whether it must reboot.

Packages of Debian and its derivatives create ``/run/reboot-required`` if their installation requires a reboot.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from metricat_agent.collectors import Collector
from metricat_agent.exposition.model import Metrics, gauge, single
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
REBOOT = gauge(
    "node_reboot_required",
    "1 if /run/reboot-required exists: an installed package requires a reboot. 0 if not; only on Debian and its "
    "derivatives, whose packages create this file.",
)
_REBOOT_FILE = "/run/reboot-required"
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


def reboot(text: str, *, required: bool) -> Metrics:
    """Return whether the host must reboot. Without the file, that is known only on Debian and its derivatives."""
    known = variables(text)
    debian = "debian" in (known.get("id", ""), *known.get("id_like", "").split(" "))
    return [single(REBOOT, int(required))] if required or debian else []


class OperatingSystem(Collector):
    """Name and version of the distribution, and whether the node must reboot."""

    name = "os"
    summary = "name and version of the node's operating system, and whether it must reboot"
    families = (INFO, VERSION, REBOOT)

    def setup(self) -> None:
        """Start without metrics; the first scrape reads the file."""
        self._stamp: tuple[tuple[int, int] | None, bool] | None = None
        self._metrics: Metrics = []

    def collect(self) -> Metrics:
        """Return the properties of the operating system. Read os-release only if a file has changed."""
        release = self.host.root_stamp("/etc/os-release")
        stamp = (release, self.host.root_stamp(_REBOOT_FILE) is not None)
        if release is None or stamp != self._stamp:
            text = read(self.host)
            self._metrics, self._stamp = parse(text) + reboot(text, required=stamp[1]), stamp
        return self._metrics
