import assert from "node:assert/strict";
import { test } from "node:test";
import { comparedBy, withoutThreshold } from "../src/api/rules";
import { csv } from "../src/components/export";
import { sorted } from "../src/components/table";
import { dateTimes, duration, programOf, quantity } from "../src/i18n/format";
import { link, match, navigate, parameter, setQuery } from "../src/state/router";
import { hasWords } from "../src/state/search";
import { chooseAbsolute, currentRange, seconds, stepOf } from "../src/state/time_range";
import { contextOf, ranked } from "../src/views/completion";
import { about, firings, limitOf, limitsOf, valueAt } from "../src/views/node_queries";

const plain = (text: string): string => text.replaceAll("\u202f", " ");

test("quantities have a readable unit", () => {
  assert.equal(plain(quantity(1536, "bytes")), "1.5 KiB");
  assert.equal(plain(quantity(3 * 1024 ** 3, "bytes/second")), "3 GiB/s");
  assert.equal(plain(quantity(99.6, "percent")), "100 %");
  assert.equal(plain(quantity(1_234_567, "operations/second")), "1.23 M/s");
  assert.equal(quantity(null, "percent"), "–");
  assert.equal(quantity(Number.NaN, "bytes"), "–");
});

test("durations have their two largest units", () => {
  assert.equal(plain(duration(90_061)), "1 d 1 h");
  assert.equal(plain(duration(59)), "59 s");
  assert.equal(plain(duration(3_605)), "1 h");
  assert.equal(plain(duration(0.25)), "250 ms");
});

test("a time range within a day has one date", () => {
  const at = Date.parse("2026-06-01T12:00:00Z");
  assert.equal(dateTimes(at, at + 60_000).match(/2026/g)?.length, 1);
  assert.equal(dateTimes(at, at + 2 * 86_400_000).match(/2026/g)?.length, 2);
});

test("a search finds words in any order", () => {
  const texts = ["NodeCPUUsageHigh", "The cores of the node are busy."];
  assert.ok(hasWords("cpu usage", texts));
  assert.ok(hasWords("Busy CPU ", texts));
  assert.ok(hasWords("", texts));
  assert.ok(!hasWords("cpu memory", texts));
});

test("a path gives the values of its pattern", () => {
  assert.deepEqual(match("/nodes/:node", "/nodes/web%2F1"), { node: "web/1" });
  assert.deepEqual(match("/nodes/:node", "/nodes/%zz"), { node: "%zz" });
  assert.equal(match("/nodes/:node", "/nodes"), null);
  assert.deepEqual(match("/", "/"), {});
});

test("a link keeps the time range and drops the state of the view", () => {
  navigate("/?range=6h&search=web");
  assert.equal(link("/nodes/a"), "/nodes/a?range=6h");
  assert.equal(link("/compare", { nodes: "a,b" }), "/compare?range=6h&nodes=a%2Cb");
  setQuery({ search: null });
  assert.equal(parameter("search"), "");
  assert.equal(parameter("range"), "6h");
});

test("a range has about 300 points", () => {
  navigate("/?range=24h");
  const range = currentRange();
  assert.equal(Math.round(range.to - range.from), seconds("24h"));
  assert.equal(stepOf(range), 300);
  chooseAbsolute(200, 100);
  assert.deepEqual(currentRange(), { from: 100, to: 200, relative: null });
  assert.equal(stepOf(currentRange()), 10);
});

test("a range that is not valid is the last hour", () => {
  navigate("/?from=abc&to=5");
  assert.equal(currentRange().relative, "1h");
});

test("rows without a value are last in both directions", () => {
  const columns = [{ key: "value", title: "", cell: () => "", sort: (row: { value: number | null }) => row.value }];
  const rows = [{ value: 2 }, { value: null }, { value: 1 }];
  const order = (descending: boolean): (number | null)[] =>
    sorted(rows, columns, { key: "value", descending }).map(({ value }) => value);
  assert.deepEqual(order(false), [1, 2, null]);
  assert.deepEqual(order(true), [2, 1, null]);
});

test("a CSV file quotes cells and disarms formulas", () => {
  assert.equal(
    csv([
      ["a,b", 'c"d', 1],
      ["=SUM(A1)", "x\ny", -2],
    ]),
    '"a,b","c""d",1\r\n\'=SUM(A1),"x\ny",-2\r\n',
  );
});

test("completion knows what stands at the cursor", () => {
  const what = (text: string): unknown[] => {
    const { what: kind, word, metric, label } = contextOf(text);
    return [kind, word, metric, label];
  };
  assert.deepEqual(what("sum(rate(node_c"), ["expression", "node_c", "", ""]);
  assert.deepEqual(what('up{job="a",no'), ["label", "no", "up", ""]);
  assert.deepEqual(what('up{job="a",node=~"we'), ["value", "we", "up", "node"]);
  assert.deepEqual(what('up{job="a"} + sum by (no'), ["label", "no", "", ""]);
  assert.deepEqual(what('rate(up{job="a"}[5'), ["duration", "5", "", ""]);
  assert.deepEqual(what('up{job="a"} + no'), ["expression", "no", "", ""]);
});

test("completions that begin with the word are first", () => {
  const all = ["node_load1", "load", "upload"].map((text) => ({ text, kind: "metric" as const }));
  assert.deepEqual(
    ranked(all, "load").map(({ text }) => text),
    ["node_load1", "upload"],
  );
  assert.deepEqual(
    ranked(all, "lo").map(({ text }) => text),
    ["load", "node_load1", "upload"],
  );
});

test("spans of alerts end where the series ends", () => {
  const found = firings({
    step: 10,
    times: [0, 10, 20, 30, 40],
    series: [{ labels: { alertname: "A", severity: "critical", resource: "cpu" }, values: [null, 1, 1, null, 1] }],
  });
  assert.deepEqual(
    found.map(({ from, to, level, isOpen }) => [from, to, level, isOpen]),
    [
      [10, 30, "critical", false],
      [40, 50, "critical", true],
    ],
  );
});

test("a forecast has a value between its points, and the last one after them", () => {
  const point = (at: number, value: number) => ({ at, value, low: value - 1, high: value + 2 });
  const forecast = { mount: "/", at: 1000, now: 50, points: [point(4600, 60), point(8200, 70)] };
  assert.equal(valueAt(forecast, "value", 900), 50);
  assert.equal(valueAt(forecast, "value", 2800), 55);
  assert.equal(valueAt(forecast, "low", 6400), 64);
  assert.equal(valueAt(forecast, "high", 9000), 72);
});

test("a session has the name of its program and system", () => {
  const chrome = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/140.0.0.0 Safari/537.36";
  assert.equal(programOf(chrome), "Chrome, Windows");
  assert.equal(programOf(`${chrome} Edg/140.0.0.0`), "Edge, Windows");
  assert.equal(programOf("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"), "Firefox, Linux");
  assert.equal(programOf("curl/8.14.1"), "curl");
  assert.equal(programOf(""), "");
});

test("a chart shows the alerts about its subject, also those of short forms", () => {
  const alerts = ["NodeCPUUsageHigh", "CpuUsageHigh", "NodeMemoryUsageHigh"].map((alert) => ({ alert }));
  assert.deepEqual(
    about(alerts, "cpu").map(({ alert }) => alert),
    ["NodeCPUUsageHigh", "CpuUsageHigh"],
  );
});

test("a threshold applies to the nodes that the rule selects", () => {
  const series = 'metricat:node_cpu_usage:percent{namespace="local",service="metricat",pool';
  const rule = (query: string, labels = {}) => limitOf({ query, labels: { severity: "warning", ...labels } });
  const limits = [
    rule(`${series}!~"database|batch"} >= 90`),
    rule(`${series}="database"} >= 98 unless metricat:node_pressure_cpu_waiting:percent{pool="database"} < 60`),
    rule('metricat:node_cpu_usage:percent{node=~"web-\\\\d+"} > 50', { severity: "critical" }),
    rule('(100 - sum(rate(node_cpu_seconds_total{mode="idle"}[1m]))) > 1e1', { resource: "CPU usage{{ with 1 }}" }),
  ].flatMap((one) => one ?? []);
  const of = (node: string, pool: string) =>
    limitsOf(limits, ["metricat:node_cpu_usage:percent", "CPU usage"], { node, pool }).map(({ value }) => value);
  assert.deepEqual(of("db-1", "database"), [98, 10]);
  assert.deepEqual(of("web-1", "web"), [90, 50, 10]);
  assert.deepEqual(of("b-1", "batch"), [10]);
  assert.equal(rule("time() - backup_time_seconds > 86400"), null);
  assert.equal(rule("metricat:node_cpu_usage:percent > 10")?.value, 10);
});

test("the values of a rule are those left of its comparison", () => {
  for (const operator of [">", ">=", "<", "<=", "==", "!="])
    assert.deepEqual(withoutThreshold(`node_load1 ${operator} -1.5`), { expression: "node_load1", threshold: -1.5 });
  assert.equal(withoutThreshold("a > 1 unless b < 2").threshold, null);
  assert.equal(
    comparedBy(['a{pool!~"x"} > 1', 'a{pool!~"x"} > 2', 'a{pool="x"} > 3']),
    '(a{pool!~"x"}) or (a{pool="x"})',
  );
  assert.equal(comparedBy(["a unless b"]), "a unless b");
});
