"""Specs with values at a boundary, which the operator's parser and the API server must judge equally."""

from typing import Any

Spec = dict[str, Any]


def _pool(**settings: Any) -> Spec:
    return {"pools": [{"name": "a", "nodeSelector": {"matchLabels": {"a": "b"}}, **settings}]}


def _receiver(**settings: Any) -> Spec:
    return {"notifications": {"receivers": [{"name": "a", "slack": {"url": {"name": "a", "key": "b"}}, **settings}]}}


def _probe(**settings: Any) -> Spec:
    return {"agent": {"collectors": {"probe": {"targets": [{"name": "a", "url": "https://example.com/", **settings}]}}}}


def _exclude(pattern: str) -> Spec:
    return {"agent": {"collectors": {"netdev": {"excludeDevices": pattern}}}}


def _mail(**settings: Any) -> Spec:
    return _receiver(email={"to": "a@b.c", "from": "d@e.f", "server": "mail:587", **settings})


def _by_key(key: str) -> dict[str, Spec]:
    """Return a spec for each place of a label key."""
    receiver = _receiver()["notifications"]
    return {
        "a node label": {"nodeSelector": {"matchLabels": {key: "x"}}},
        "an expression": {"nodeSelector": {"matchExpressions": [{"key": key, "operator": "Exists"}]}},
        "a pool's node label": _pool(nodeSelector={"matchLabels": {key: "x"}}),
        "a toleration": {"agent": {"tolerations": [{"key": key, "operator": "Exists"}]}},
        "a ServiceMonitor's label": {"monitor": {"labels": {key: "x"}}},
        "a PrometheusRule's label": {"alerts": {"labels": {key: "x"}}},
        "an AlertmanagerConfig's label": {"notifications": {**receiver, "labels": {key: "x"}}},
    }


_LONGEST_PREFIX = ".".join(["a" * 63] * 3 + ["a" * 61])
_KEYS_REJECTED = {
    "64 characters": "a" * 64,
    "a prefix of 254 characters": f"a{_LONGEST_PREFIX}/a",
    "an empty part": "a..b/c",
    "a part that ends with -": "a-.b/c",
}
_URLS_REJECTED = (
    "http://[::1", "http://%zz/", "http://a/%zz", "http://:80", "http://a:b", "http://a:65536", "http:///x", 'http://a"'
)  # fmt: skip
_URLS_ACCEPTED = (
    "http://a", "https://a.b:65535/c?d=%20#e", "http://[::1]:80/", "http://user:word@a/", "https://a_b.c./"
)  # fmt: skip

REJECTED: dict[str, Spec] = {
    **{f"{what} as key of {of}": spec for what, key in _KEYS_REJECTED.items() for of, spec in _by_key(key).items()},
    **{f"webhook {url}": _receiver(webhook={"url": url}) for url in _URLS_REJECTED},
    **{f"PagerDuty {url}": _receiver(pagerDuty={"routingKey": {"name": "a", "key": "b"}, "url": url})
       for url in _URLS_REJECTED},
    **{f"mail server {one}": _mail(server=one) for one in ("mail:0", "mail:65536", "[zz]:25", "mail:25:25", "::1:25")},
    **{f"recipient {one!r}": _mail(to=one) for one in ("@@@", "   @", ",@,", "a@b,", "<a@b", "a@b\nBcc: c@d")},
    **{f"sender {one!r}": _mail(**{"from": one}) for one in ("@@@", "a@b, c@d", "a b@c")},
    **{f"Secret {one}": spec for one in ("a..b", "a.-b", "-a") for spec in (_probe(token={"name": one, "key": "a"}),)},
    **{f"Slack's Secret {one}": _receiver(slack={"url": {"name": one, "key": "a"}}) for one in ("a..b", "a.-b", "-a")},
    **{f"key {one} in a Secret": _receiver(slack={"url": {"name": "a", "key": one}}) for one in (".", "..", "..a")},
    **{f"{one!r} as paused": {"paused": one} for one in ("true", 1, 0)},
    **{f"{one!r} as port": {"agent": {"port": one}} for one in ("9100", True, 9100.5)},
    **{f"{one!r} as threshold": {"alerts": {"rules": {"NodeCPUUsageHigh": {"warning": {"threshold": one}}}}}
       for one in ("90", True)},
    **{f"{one!r} as maxUnavailable": {"agent": {"updateStrategy": {"maxUnavailable": one}}} for one in ("1", True)},
    **{f"quantity {one!r}": {"agent": {"resources": {"limits": {"cpu": one}}}} for one in ("1e3m", True, "1..2", "1K")},
    **{f"pattern {one}": _exclude(one) for one in (r"(a)\1", "eth(?!0)", "a++", "a{1001}", "(?>a)", "(?x)a")},
    "two mounts at one path": {"agent": {"extraMounts": [{"hostPath": "/a", "mountPath": "/extra/a"}] * 2}},
    "two probes of one name": {
        "agent": {"collectors": {"probe": {"targets": [{"name": "a", "url": "icmp://a"}] * 2}}}
    },
    "a severity twice": _receiver(severities=["warning", "warning"]),
    "a pool twice": _receiver(pools=["default", "default"]),
    "a day twice": _receiver(quietHours=[{"from": "22:00", "to": "06:00", "days": ["monday", "monday"]}]),
    "two groups of one name": {"alerts": {"extraGroups": [{"name": "g"}, {"name": "g"}]}},
    "9 labels and expressions": {
        "nodeSelector": {
            "matchLabels": {f"k{number}": "v" for number in range(8)},
            "matchExpressions": [{"key": "a", "operator": "Exists"}],
        }
    },
    **{f"path {path!r}": {"agent": {"extraMounts": [{"hostPath": path, "mountPath": "/extra/a"}]}}
       for path in ("/a\nb", "/a\x00", "/" + "a" * 256, "/a/../b")},
    "modulus above 31 bits": {
        "monitor": {"metricRelabelings": [{"action": "hashmod", "targetLabel": "a", "modulus": 2**31}]}
    },
}  # fmt: skip
"""Specs that both reject."""

ACCEPTED: dict[str, Spec] = {
    **{f"{what} as key of {of}": spec
       for what, key in {"63 characters": "a" * 63, "a prefix of 253 characters": f"{_LONGEST_PREFIX}/a"}.items()
       for of, spec in _by_key(key).items()},
    **{f"webhook {url}": _receiver(webhook={"url": url}) for url in _URLS_ACCEPTED},
    **{f"recipient {one!r}": _mail(to=one) for one in ("a@b.c, d@e.f", "On call <a@b.c>", "a+b@c")},
    **{f"mail server {one}": _mail(server=one) for one in ("mail:25", "[::1]:65535", "1.2.3.4:587")},
    **{f"{one!r} as port": {"agent": {"port": one}} for one in (1, 9100.0, 10250, 65535)},
    **{f"quantity {one!r}": {"agent": {"resources": {"limits": {"cpu": one}}}} for one in ("1e3", "+1", "1.", ".5", 2)},
    **{f"pattern {one}": _exclude(one) for one in (r"a\++", r"\(?=", "[(?=]+", r"\\1", "(?i:a)", "(?P<n>a)")},
    "the longest repetition": _exclude("a{1000}"),
    "a URL in a Secret, and an empty one": _receiver(webhook={"url": "", "urlSecret": {"name": "a", "key": "b"}}),
    "an empty user": _mail(username=""),
    "empty headers of a probe by TCP": _probe(url="tcp://a:1", headers={}, validStatusCodes=[]),
    "a file name of 255 characters": {"agent": {"extraMounts": [{"hostPath": "/" + "a" * 255, "mountPath": "/a"}]}},
}  # fmt: skip
"""Specs that both accept, with objects that the API server accepts."""
