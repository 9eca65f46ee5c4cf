"""The hub expands templates of alerts as Prometheus does. promtool evaluates the same templates."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
import yaml

from metricat_hub.evaluation.templates import QueryResult, Template, TemplateData, TemplateError
from support.promtool import promtool

if TYPE_CHECKING:
    from pathlib import Path

VALUES = (
    "0",
    "1",
    "-1",
    "0.5",
    "81.25",
    "1234567",
    "1e20",
    "1e21",
    "1.5e-7",
    "123456789.123",
    "-0.000021",
    "NaN",
    "+Inf",
)
HUGE = ("1e20", "1e21")
"""Durations of more than 292 years overflow in Prometheus."""
LABELS = {"node": "web-1.example.org:9100", "mount": "/var", "device": 'sd"a'}
OF_VALUE = (
    "{{ $value }}",
    "{{ .Value }}",
    "{{ $value | humanize }}",
    "{{ humanize1024 $value }}",
    "{{ $value | humanizeDuration }}",
    "{{ $value | humanizePercentage }}",
    "{{ printf `%.1f` $value }}",
    *(
        f"{{{{ printf `%{verb}` $value }}}}"
        for verb in ("v", "g", ".3g", "e", "8.2f", "-8.2f", "08.2f", "+.1f", " .1f", "G", "6v")
    ),
    '{{ printf "%d %s %q" $value $value $value }}',
    "{{ if gt $value 80.0 }}high{{ else if lt $value 0.0 }}negative{{ else }}low{{ end }}",
    "{{ if $value }}yes{{ else }}no{{ end }}",
    "{{ print $value 1 }}",
)
OF_LABELS = (
    "",
    "plain text, {not} a template }}",
    "{{ $labels.node }} on {{ .Labels.mount }}{{ $labels.none }}!",
    "{{ $labels }}",
    "  {{- ` raw\\n ` -}}  x",
    "a {{- /* a comment */ -}} b {{/* another */}} c",
    '{{ "quoted \\"text\\"\\t\\u00e4" }}',
    "{{ $labels.node | stripPort }} {{ $labels.node | stripDomain }}",
    "{{ stripDomain `10.0.0.1:80` }} {{ stripPort `[::1]:80` }}",
    "{{ $labels.node | toUpper | toLower | title }} {{ title `a wide don't WORLD` }}",
    '{{ reReplaceAll "(web)-([0-9])" "$2${1}x $3" $labels.node }}',
    '{{ if match "^web" $labels.node }}web{{ end }}',
    '{{ with $x := $labels.mount }}{{ $x }} {{ . }}{{ else }}none{{ end }}{{ with "" }}a{{ else }}b{{ end }}',
    "{{ $x := 1 }}{{ if true }}{{ $x = 2 }}{{ $y := 3 }}{{ $y }}{{ end }}{{ $x }}",
    "{{ range $key, $element := $labels }}{{ $key }}={{ $element }};{{ end }}",
    "{{ range query `up` | sortByLabel `zone` }}{{ .Labels.zone }}={{ .Value }} {{ end }}",
    "{{ range $at, $one := query `up` | sortByLabel `zone` }}{{ if eq $at 1 }}{{ continue }}{{ end }}{{ $at }}{{end}}",
    "{{ range $at, $one := query `up` | sortByLabel `zone` }}{{ $at }}{{ $one.Labels.zone }}{{ end }}",
    "{{ range query `none` }}x{{ else }}nothing{{ end }}",
    "{{ range query `up` | sortByLabel `zone` }}{{ .Labels.zone }}{{ break }}{{ end }}",
    "{{ with query `up{zone='b'}` }}{{ . | first | value | humanize }} {{ . | first | label `zone` }}{{ end }}",
    '{{ printf "up{zone=\'%s\'}" "b" | query | first | value }}',
    "{{ (query `up{zone='a'}` | first).Labels.zone }}",
    "{{ len $labels.mount }} {{ len $labels }} {{ index $labels `mount` }}",
    "{{ index (query `up{zone='b'}`) 0 | value }}",
    "{{ and 1 0 }} {{ or 0 `x` }} {{ not true }} {{ and true $labels.mount }} {{ or `` `` }}",
    "{{ eq 1 1 }} {{ eq `a` `b` `a` }} {{ ne 1 2 }} {{ lt 1 2 }} {{ le 2 2 }} {{ gt 1 2 }}",
    "{{ ge 2.5 2.5 }} {{ eq true true }}",
    "{{ humanizeTimestamp 1.7e9 }} {{ (toTime 1700000000.25) }} {{ toDuration 3723.5 }}",
    "{{ toDuration 0.0015 }} {{ toDuration 0 }}",
    "{{ parseDuration `1h30m` | humanizeDuration }} {{ parseDuration `-2m` }}",
    "{{ humanize `1500` }} {{ humanizeDuration 90061 }} {{ humanizeDuration -61.5 }}",
    '{{ graphLink `up == 1` }} {{ tableLink `a{b="c d"}` }} {{ urlQueryEscape `a b&c` }}',
    "{{ print 1 2 `a` `b` 3 }}{{ println `a` 1 }}",
    '{{ html "<a href=\'x\'>\\"" }} {{ urlquery "a b" "c" }} {{ safeHtml `<b>` }}',
    '{{ printf "%d %05d %+d %x %X %b %o %c %t" 42 42 42 255 255 5 8 65 true }}',
    '{{ printf "%s %10s|%-10s| %q %.2s %%" "s" "r" "l" "q\\n" "cut" }}',
    '{{ printf "%d" }} {{ printf "%s" "a" "b" 3 }} {{ printf "%z" 1 }} {{ printf "%d" "x" }} {{ printf "%" }}',
    "{{ 1_000 }} {{ 0x1F }} {{ 1e3 }} {{ -2.50 }} {{ true }} {{ +3 }}",
    "{{ (args 1 `b`).arg1 }} {{ args `a` }}",
    "{{ now | humanizeTimestamp }}",
    "{{ $externalLabels.cluster }}{{ $externalURL }}",
    "{{ `a` | printf `%s-%s` `b` }}",
    "line {{ if true -}}\n  trimmed\n{{- end }} end",
)
INVALID = (
    "{{ $value",
    "{{ nothing $value }}",
    "{{ $missing }}",
    "{{ if true }}x",
    "{{ end }}",
    "{{ else }}",
    "{{ }}",
    "{{ 1 | 2 }}",
    "{{ ( 1 }}",
    '{{ "a }}',
    "{{ /* a }}",
    "{{ break }}",
    "{{ = }}",
    "{{ if true }}{{ else }}{{ else }}{{ end }}",
    "{{ `a`.b }}",
)
ALWAYS_FAILING = ("{{ $value $value }}", "{{ $x = 1 }}")
"""Templates that Prometheus accepts, although each evaluation fails."""
FAILING = (
    "{{ if gt $value 80 }}x{{ end }}",
    "{{ query `none` | first }}",
    "{{ humanize `x` }}",
    "{{ toUpper 1 }}",
    "{{ $value.x }}",
    "{{ range $value }}{{ end }}",
    "{{ index $labels 1 }}",
    "{{ stripPort }}",
    "{{ len 1 }}",
    "{{ query `up` | value }}",
)


def query(text: str) -> list[QueryResult]:
    results = {"a": 1.0, "b": 2500.0, "c": 0.25}
    if text == "none":
        return []
    return [
        QueryResult({"__name__": "up", "zone": zone}, one)
        for zone, one in results.items()
        if "=" not in text or f"'{zone}'" in text
    ]


def judged(folder: Path, texts: list[tuple[str, str, str]]) -> str:
    """Return what promtool prints for templates, each with the value of its alert and the expected text."""
    rules, series, tests = [], [], []
    labels = ",".join(f"{name}={yaml_quoted(value)}" for name, value in LABELS.items())
    for zone, value in (("a", "1"), ("b", "2500"), ("c", "0.25")):
        series.append({"series": f'up{{zone="{zone}"}}', "values": f"{value}x5"})
    for number, (template, value, expected) in enumerate(texts):
        series.append({"series": f"value_{number}{{{labels}}}", "values": "1x5"})
        rules.append(
            {"alert": f"A{number}", "expr": f"value_{number} * 0 + {value}", "annotations": {"text": template}}
        )
        alert = {"exp_labels": LABELS, "exp_annotations": {"text": expected}}
        tests.append({"alertname": f"A{number}", "eval_time": "1m", "exp_alerts": [alert]})
    (folder / "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "all", "rules": rules}]}))
    test = {"input_series": series, "alert_rule_test": tests, "interval": "1m", "external_labels": {"cluster": "c1"}}
    file = {
        "rule_files": ["rules.yaml"],
        "evaluation_interval": "1m",
        "tests": [{**test, "external_url": "http://p/x"}],
    }
    (folder / "tests.yaml").write_text(yaml.safe_dump(file))
    done = subprocess.run(
        [promtool(), "test", "rules", "tests.yaml"], cwd=folder, capture_output=True, text=True, check=False
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


def yaml_quoted(value: str) -> str:
    escaped = value.replace('"', '\\"')
    return f'"{escaped}"'


def data(value: str) -> TemplateData:
    return TemplateData(LABELS, float(value), {"cluster": "c1"}, "http://p/x", 60.0, query)


def test_texts_are_those_of_prometheus(tmp_path: Path) -> None:
    cases = [(template, value) for template in OF_VALUE for value in VALUES] + [(one, "1") for one in OF_LABELS]
    cases = [(template, value) for template, value in cases if value not in HUGE or "Duration" not in template]
    texts = [(template, value, Template(template).expand(data(value))) for template, value in cases]
    assert judged(tmp_path, texts) == ""


@pytest.mark.parametrize("template", INVALID)
def test_invalid_templates_are_invalid_for_prometheus_too(template: str, tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match=r"^line 1: "):
        Template(template)
    assert "rules.yaml" in judged(tmp_path, [(template, "1", "")])


def test_failing_templates_fail_in_prometheus_too(tmp_path: Path) -> None:
    for template in FAILING:
        with pytest.raises(TemplateError):
            Template(template).expand(data("1"))
    found = judged(tmp_path, [(template, "1", "") for template in FAILING])
    assert found.count("<error expanding template: ") == len(FAILING)


@pytest.mark.parametrize("template", ALWAYS_FAILING)
def test_templates_that_always_fail_are_invalid(template: str, tmp_path: Path) -> None:
    with pytest.raises(TemplateError):
        Template(template)
    assert "<error expanding template: " in judged(tmp_path, [(template, "1", "")])


@pytest.mark.parametrize("word", ["define `a`", "template `a`", "block `a` .", "call 1", "js `a`", "tmpl `a`"])
def test_unsupported_words_are_named(word: str) -> None:
    with pytest.raises(TemplateError, match=word.split(maxsplit=1)[0]):
        Template(f"{{{{ {word} }}}}")
