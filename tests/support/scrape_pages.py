"""Normal and hostile pages, by name: each a sequence of pages that a target exports one after the other."""

from __future__ import annotations

import gzip

from support.page_server import OPENMETRICS, TEXT, Page


def _text(*bodies: str | bytes) -> list[Page]:
    return [Page(body if isinstance(body, bytes) else body.encode()) for body in bodies]


def _openmetrics(*bodies: str | bytes) -> list[Page]:
    return [Page(body if isinstance(body, bytes) else body.encode(), OPENMETRICS) for body in bodies]


_HISTOGRAM = (
    "# HELP h A histogram\n# TYPE h histogram\n"
    'h_bucket{le="0.005"} 1\nh_bucket{le="1"} 2\nh_bucket{le="1000000"} 3\nh_bucket{le="+Inf"} 3\n'
    "h_sum 2.5\nh_count 3\n"
)
_SUMMARY = '# TYPE s summary\ns{quantile="0"} 1\ns{quantile="0.5"} NaN\ns{quantile="1e-7"} 3\ns_sum 1\ns_count 1\n'

TEXT_PAGES: dict[str, list[Page]] = {
    "counter": _text(*(f'# TYPE c counter\nc {value}\nc2{{a="b"}} {value}\n' for value in (1, 2, 2.5, 1e300))),
    "histogram": _text(_HISTOGRAM, _HISTOGRAM.replace(" 3\n", " 4\n")),
    "summary": _text(_SUMMARY),
    "special-values": _text("a NaN\nb +Inf\nc -Inf\nd inf\ne Infinity\nf nan\ng -0\nh 1e-400\n"),
    "vanishing": _text("a 1\nb 1\n", "a 2\n", "a 3\nb 3\n", "b 4\n"),
    "empty-then-not": _text("a 1\n", "", "a 2\n", "\n"),
    "only-comments": _text("a 1\n", "# nothing\n#\n\n", "a 2\n"),
    "failing-between": [*_text("a 1\n"), Page(b"a 2\n", status=500), *_text("a 3\n", "a bad\n")],
    "new-series": _text("a 1\n", "a 1\nb 1\n", 'a 1\nb 1\nc{x="1"} 1\nc{x="2"} 1\n'),
    "reordered": _text('a 1\nb{x="1",y="2"} 2\n', 'b{x="1",y="2"} 3\na 4\n', 'a 5\nb{y="2",x="1"} 6\n'),
    "same-series-twice": _text("a 1\na 2\nb 1\n", "a 3\na 4\nb 2\n", "a 5\na 6\nb 3\n"),
    "same-series-in-two-texts": _text('a{x="1",y="2"} 1\na{y="2",x="1"} 2\n', 'a{x="1",y="2"} 3\na{y="2",x="1"} 4\n'),
    "no-last-newline": _text("a 1\nb 2"),
    "blank-lines": _text("\n\na 1\n\n\nb 2\n \t \n"),
    "spaces": _text('a   1\nb\t2\nc { x = "1" , y="2" , } 3  \nd{}4\ne{x="1" y="2"} 5\n'),
    "spaces-first": _text(' a 1\n\tb{x="1"} 2\n  # TYPE a counter\n'),
    "no-space": _text("a+1\nb-1\nc.5\n"),
    "escapes": _text('a{x="\\"\\\\\\n",y="\\t\\x"} 1\n# HELP a b\\\\c\\nd \\" e\n'),
    "line-break-in-value": _text('a{x="1\n2"} 1\nb 2\n', 'a{x="1\n2"} 2\nb 3\n'),
    "line-break-looks-like-sample": _text('b 1\na{x="\nb 7\n"} 1\n', 'b 2\na{x="\nb 8\n"} 2\n'),
    "utf8-values": _text('a{x="é\u2603\U0001f600"} 1\n# HELP a ünï\n'),
    "invalid-utf8-value": _text(b'b 1\na{x="\xff\xfe"} 1\nc 1\n'),
    "invalid-utf8-help": _text(b"b 1\n# HELP a \xff\na 1\n"),
    "invalid-utf8-comment": _text(b"b 1\n# \xff\na 1\n"),
    "quoted-names": _text('{"a.b",x="1"} 1\n{"c d"} 2\n{x="1","e é"} 3\nf{"g.h"="1"} 4\n'),
    "quoted-name-twice": _text('b 1\n{"a","c"} 1\n'),
    "quoted-name-and-plain": _text('b 1\na{"c"} 1\n'),
    "quoted-name-empty": _text('b 1\n{"",x="1"} 1\n'),
    "quoted-label-empty": _text('b 1\na{""="1"} 1\n'),
    "quoted-label-with-quote": _text('a{"x\\"y"="1"} 1\n'),
    "no-name": _text('b 1\n{x="1"} 1\n'),
    "name-label": _text('b 1\n{__name__="a"} 1\n'),
    "name-label-too": _text('b 1\na{__name__="c"} 1\n'),
    "empty-label": _text('a{x=""} 1\nb{x="",y="1"} 2\n'),
    "label-twice": _text('b 1\na{x="1",x="2"} 1\n'),
    "label-twice-equal": _text('b 1\na{x="1",x="1"} 1\n'),
    "reserved-labels": _text('a{__x="1",instance="i",job="j",exported_job="k",le="1"} 1\n'),
    "comma-first": _text('b 1\na{,x="1"} 1\n'),
    "comma-twice": _text('b 1\na{x="1",,y="2"} 1\n'),
    "comma-last": _text('a{x="1",} 1\n'),
    "unclosed": _text('b 1\na{x="1" 1\n'),
    "unquoted": _text("b 1\na{x=1} 1\n"),
    "digit-first": _text("b 1\n1a 1\n"),
    "dash-in-name": _text("b 1\na-b 1\n"),
    "colon-in-label": _text('b 1\na{x:y="1"} 1\n'),
    "no-value": _text("b 1\na\n"),
    "no-value-with-space": _text("b 1\na \n"),
    "underscore-in-value": _text("a 1\nb 1\n", "a 1_0\nb 1\n", "a 3\nb 1\n"),
    "hexadecimal": _text("a 1\n", "a 0x10\n", "a 0x1p4\n"),
    "out-of-range": _text("a 1\n", "a 1e400\n", "a -1e400\n"),
    "signed-nan": _text("a 1\n", "a +NaN\n", "a -nan\n"),
    "carriage-return": _text("a 1\n", "a 1\r\n", "a 2\n"),
    "form-feed": _text("a 1\n", "a 1\f\n", "a 2\n"),
    "two-values": _text("b 1\na 1 2 3\n"),
    "timestamp-negative": _text("b 1\na 1 -2\n"),
    "timestamp-decimal": _text("b 1\na 1 2.5\n"),
    "timestamp-out-of-range": _text("b 1\na 1 99999999999999999999\n"),
    "timestamp-far-future": _text("b 1\na 1 9999999999999\n"),
    "type-unknown": _text("b 1\n# TYPE a foo\na 1\n"),
    "type-missing": _text("b 1\n# TYPE a\na 1\n"),
    "type-with-space": _text("b 1\n# TYPE a gauge \na 1\n"),
    "type-twice": _text("# TYPE a gauge\na 1\n# TYPE a counter\na 2\nc 1\n"),
    "type-after-sample": _text(
        'h{le="1"} 1\n# TYPE h histogram\nh{le="2"} 1\n', 'h{le="1"} 2\n# TYPE h histogram\nh{le="2"} 2\n'
    ),
    "type-of-openmetrics": _text("b 1\n# TYPE a unknown\na 1\n"),
    "help-without-name": _text("b 1\n# HELP 1a b\na 1\n"),
    "help-quoted": _text('# HELP "a.b" c\n# TYPE "a.b" gauge\n{"a.b"} 1\n'),
    "help-empty": _text("# HELP a\n# HELP b \na 1\nb 1\n"),
    "comments": _text("#\n# \n#x\n# HELPER a b\n# TYPEa\n# EOF\na 1\n"),
    "null-first": _text(b"a 1\n\0b 1\n"),
    "null-in-value": _text(b'a{x="1\x002"} 1\n'),
    "null-in-name": _text(b"b 1\na\0 1\n"),
    "binary": _text(bytes(range(256)) * 4),
    "html": [Page(b"<html><body>Hello</body></html>", "text/html; charset=utf-8")],
    "html-as-text": _text("<html><body>Hello</body></html>"),
    "no-content-type": [Page(b"a 1\n", "")],
    "content-type-with-parameters": [Page(b"a 1\n", 'text/plain; version="0.0.4"; charset=utf-8; escaping=values')],
    "content-type-in-capitals": [Page(b"a 1\n", "Text/Plain")],
    "content-type-json": [Page(b'{"a": 1}', "application/json")],
    "gzip": [Page(gzip.compress(b"a 1\nb 2\n"), TEXT, headers={"Content-Encoding": "gzip"})],
    "gzip-two-members": [
        Page(gzip.compress(b"a 1\n") + gzip.compress(b"b 2\n"), TEXT, headers={"Content-Encoding": "gzip"})
    ],
    "gzip-truncated": [Page(gzip.compress(b"a 1\n" * 1000)[:-9], TEXT, headers={"Content-Encoding": "gzip"})],
    "gzip-damaged": [Page(b"\x1f\x8b\x08 not gzip", TEXT, headers={"Content-Encoding": "gzip"})],
    "status-404": [Page(b"a 1\n", status=404)],
    "status-204": [Page(b"", status=204)],
    "status-301": [Page(b"", status=301, headers={"Location": "/text/counter-copy"})],
    "redirect-loop": [Page(b"", status=302, headers={"Location": "/text/redirect-loop"})],
    "short-body": [Page(b"a 1\nb 2\n", headers={"Content-Length": "100", "Connection": "close"})],
    "format-changes": [*_text("a 1\n"), *_openmetrics("a 2\n# EOF\n"), *_text("a 3\n"), *_openmetrics("a 4\n")],
    "long-line": _text("a" * 20_000 + " 1\n", 'b{x="' + "y" * 100_000 + '"} 1\n'),
    "many-labels": _text("a{" + ",".join(f'l{n}="{n}"' for n in range(200)) + "} 1\n"),
}
"""Pages of targets that export the text format."""

OPENMETRICS_PAGES: dict[str, list[Page]] = {
    "counter": _openmetrics(
        *(f"# HELP c C\n# TYPE c counter\nc_total {value}\nc_created 1.5e9\n# EOF\n" for value in (1, 2, 3))
    ),
    "histogram": _openmetrics(_HISTOGRAM + "# EOF\n"),
    "unit": _openmetrics("# TYPE a_seconds gauge\n# UNIT a_seconds seconds\na_seconds 1\n# EOF\n"),
    "unit-wrong": _openmetrics("b 1\n# UNIT a seconds\na 1\n# EOF\n"),
    "unit-empty": _openmetrics("# UNIT a \na 1\n# EOF\n"),
    "no-eof": _openmetrics("a 1\n# EOF\n", "a 2\n", "a 3\n# EOF\n"),
    "eof-without-newline": _openmetrics("a 1\n# EOF", "a 2\n# EOF"),
    "after-eof": _openmetrics("a 1\n# EOF\nb 1\n", "a 1\n# EOF\n\n", "a 1\n# EOF\n# EOF\n"),
    "only-eof": _openmetrics("a 1\n# EOF\n", "# EOF\n"),
    "empty": _openmetrics("a 1\n# EOF\n", ""),
    "exemplars": _openmetrics(
        *(
            f'# TYPE h histogram\nh_bucket{{le="1"}} {value} # {{trace="a # {{b"}} 0.5\n'
            f'h_bucket{{le="+Inf"}} {value} # {{}} 5 1.5e9\nh_count {value}\nh_sum 1\n# EOF\n'
            for value in (1, 2, 3)
        )
    ),
    "exemplar-invalid": _openmetrics('a 1 # {x="1"} 1 2 3\n# EOF\n', "a 1 # {x} 1\n# EOF\n", "a 1 # {} b\n# EOF\n"),
    "hash-in-label": _openmetrics('a{x=" # {y=\\"1\\"} 1"} 1\n# EOF\n', 'a{x=" # {y=\\"1\\"} 1"} 2\n# EOF\n'),
    "comment": _openmetrics("b 1\n# comment\na 1\n# EOF\n"),
    "blank-line": _openmetrics("b 1\n\na 1\n# EOF\n"),
    "two-spaces": _openmetrics("b 1\na  1\n# EOF\n"),
    "tab": _openmetrics("b 1\na\t1\n# EOF\n", "b 1\na \t1\n# EOF\n"),
    "space-last": _openmetrics("a 1\n# EOF\n", "a 1 \n# EOF\n"),
    "spaces-in-labels": _openmetrics('a{x="1"} 1\n# EOF\n', 'a{x="1", y="2"} 1\n# EOF\n', 'a {x="1"} 1\n# EOF\n'),
    "no-comma": _openmetrics('b 1\na{x="1"y="2"} 1\n# EOF\n'),
    "comma-last": _openmetrics('a{x="1",} 1\n# EOF\n'),
    "line-break-in-value": _openmetrics('b 1\na{x="1\n2"} 1\n# EOF\n'),
    "quoted-names": _openmetrics('{"a.b",x="1"} 1\nf{"g.h"="1"} 4\n# EOF\n'),
    "carriage-return": _openmetrics("a 1\r\n# EOF\r\n"),
    "info-and-stateset": _openmetrics(
        '# TYPE i info\ni_info{v="1"} 1\n# TYPE s stateset\ns{s="a"} 1\n'
        '# TYPE g gaugehistogram\ng_bucket{le="1"} 1\n# EOF\n'
    ),
    "untyped": _openmetrics("b 1\n# TYPE a untyped\na 1\n# EOF\n"),
    "help-without-text": _openmetrics("b 1\n# HELP a\na 1\n# EOF\n"),
    "escapes": _openmetrics('# HELP a b\\\\c\\nd \\" e\na{x="\\"\\\\\\n"} 1\n# EOF\n'),
    "version-2": [Page(b"a 1\n# EOF\n", "application/openmetrics-text; version=2.0.0")],
}
"""Pages of targets that export OpenMetrics."""
