"""What the images contain: no program that gains rights, no package manager, and only the listed Debian packages."""

import json
import stat
import tarfile
from dataclasses import dataclass
from pathlib import PurePosixPath

import pytest

from metricat_tools.images import product
from metricat_tools.images.ensure import ensure_images

pytestmark = pytest.mark.slow

PACKAGES = set(
    """
    base-files base-passwd bash bsdutils ca-certificates coreutils dash debconf debianutils diffutils dpkg findutils
    gcc-12-base grep gzip hostname init-system-helpers libacl1 libattr1 libaudit-common libaudit1 libblkid1
    libbz2-1.0 libc-bin libc6 libcap-ng0 libcap2 libcom-err2 libcrypt1 libdb5.3 libdebconfclient0 libexpat1 libffi8
    libgcc-s1 libgcrypt20 libgmp10 libgpg-error0 libgssapi-krb5-2 libk5crypto3 libkeyutils1 libkrb5-3
    libkrb5support0 liblz4-1 liblzma5 libmd0 libmount1 libncursesw6 libnsl2 libpam-modules libpam-modules-bin
    libpam-runtime libpam0g libpcre2-8-0 libpython3-stdlib libpython3.11-minimal libpython3.11-stdlib libreadline8
    libselinux1 libsmartcols1 libsqlite3-0 libssl3 libstdc++6 libsystemd0 libtinfo6 libtirpc-common libtirpc3
    libudev1 libuuid1 libzstd1 login mawk media-types ncurses-base ncurses-bin openssl perl-base python3
    python3-minimal python3.11 python3.11-minimal readline-common sed sysvinit-utils tar usr-is-merged util-linux
    util-linux-extra zlib1g
    """.split()  # noqa: SIM905 -- one line for each of 88 names is hard to read
)
"""Debian's essential packages and its Python. Add a package here only with a use for it."""
USERS = {"agent": "65534:65534", "operator": "65532:65532", "hub": "65531:65531"}
TOOLS = {"apt", "apt-get", "pip", "pip3", "curl", "wget", "gcc", "cc", "make", "nc", "ssh", "sudo", "gdb", "strace"}
"""Programs that install, download, compile or inspect processes."""
PROGRAMS = ("usr/bin", "usr/sbin", "usr/local/bin", "bin", "sbin", "opt/metricat/bin")


@dataclass(frozen=True)
class Image:
    """The files of an image after all layers, and its user."""

    files: dict[str, tarfile.TarInfo]
    user: str


@pytest.fixture(scope="module", params=product.TARGETS)
def target(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def image(target: str) -> Image:
    files: dict[str, tarfile.TarInfo] = {}
    with tarfile.open(ensure_images(target)[target].archive) as archive:

        def content(name: str) -> tarfile.TarFile:
            return tarfile.open(fileobj=archive.extractfile(name))

        found = archive.extractfile("manifest.json")
        assert found
        [manifest] = json.load(found)
        for layer in manifest["Layers"]:
            with content(layer) as opened:
                for entry in opened:
                    path = PurePosixPath("/", entry.name).relative_to("/")
                    if path.name.startswith(".wh."):
                        removed = str(path.with_name(path.name.removeprefix(".wh.")))
                        files = {
                            name: one
                            for name, one in files.items()
                            if name != removed and not name.startswith(f"{removed}/")
                        }
                    else:
                        files[str(path)] = entry
        config = archive.extractfile(manifest["Config"])
        assert config
        return Image(files, json.load(config)["config"]["User"])


def test_no_program_runs_as_another_user(image: Image) -> None:
    assert [
        name for name, one in image.files.items() if one.isfile() and one.mode & (stat.S_ISUID | stat.S_ISGID)
    ] == []
    assert [name for name, one in image.files.items() if any("capability" in key for key in one.pax_headers)] == []


def test_user_is_a_number_and_not_root(target: str, image: Image) -> None:
    assert image.user == USERS[target]


def test_no_program_installs_downloads_or_compiles(image: Image) -> None:
    names = [PurePosixPath(name) for name in image.files]
    programs = {str(one) for one in names if str(one.parent) in PROGRAMS}
    assert "opt/metricat/bin/python3" in programs
    assert {one for one in programs if PurePosixPath(one).name in TOOLS} == set()


def test_only_temporary_folders_are_writable_by_others(image: Image) -> None:
    writable = {name for name, one in image.files.items() if not one.issym() and one.mode & stat.S_IWOTH}
    assert {name for name in writable if not image.files[name].ischr()} == {"run/lock", "tmp", "var/tmp"}


def test_programs_belong_to_root(image: Image) -> None:
    files = {name: one for name, one in image.files.items() if name.startswith("opt/metricat/")}
    assert files
    assert [name for name, one in files.items() if one.uid or (not one.issym() and one.mode & stat.S_IWGRP)] == []


def test_debian_packages_are_the_listed_ones(image: Image) -> None:
    lists = [PurePosixPath(name) for name in image.files if name.startswith("var/lib/dpkg/info/")]
    assert {one.stem.partition(":")[0] for one in lists if one.suffix == ".list"} == PACKAGES
