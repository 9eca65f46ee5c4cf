"""The part of Grafana's dashboard JSON (schema 39, Grafana 11 and 12) that our dashboards need."""

import json
import urllib.parse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

Json = dict[str, Any]
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
_WIDTH = 24
Levels = tuple[tuple[float | None, str], ...]
GREEN_TO_RED: Levels = ((None, "green"), (80, "orange"), (95, "red"))
"""The default thresholds of the alerts about percentages."""
BAD_IF_ANY: Levels = ((None, "green"), (1, "red"))
PLAIN: Levels = ((None, "text"),)


@dataclass(frozen=True)
class Query:
    """A query: its PromQL, and the name of its series in a legend or a column."""

    expr: str
    legend: str = ""
    unit: str = ""
    """The unit of the column of a table."""
    levels: Levels = ()
    """The colors of the column of a table."""


@dataclass(frozen=True)
class Link:
    """A link from a series, or from the column of a table that has the name of a label."""

    title: str
    url: str
    column: str = ""

    def json(self) -> Json:
        """Return the link as Grafana's JSON."""
        return {"title": self.title, "url": self.url, "targetBlank": False}


_KEPT = "${__url_time_range}&${cluster:queryparam}&${target:queryparam}&${datasource:queryparam}"


def board_link(title: str, board: str, column: str, *, in_table: bool = False) -> Link:
    """Return a link to a board, with the node of the series or row, the time range and the variables."""
    value = "${__value.raw}" if in_table else f"${{__field.labels.{column}}}"
    return Link(title, f"/d/metricat-{board}?var-node={value}&{_KEPT}", column if in_table else "")


def explore_link(expr: str) -> Link:
    """Return a link to Grafana's Explore with a query. `expr` may have `${__field.labels.NAME}`."""
    query = {"refId": "A", "expr": expr, "range": True, "editorMode": "code"}
    pane = {"datasource": "${datasource}", "queries": [query], "range": {"from": "${__from}", "to": "${__to}"}}
    text = urllib.parse.quote(json.dumps({"a": pane}, separators=(",", ":")), safe="${}_.")
    return Link("Explore the query", f"/explore?schemaVersion=1&orgId=1&panes={text}")


@dataclass(frozen=True)
class Panel:
    """One panel. `unit` is Grafana's name, `width` in columns of 24, `height` in rows of 30 pixels."""

    title: str
    queries: tuple[Query, ...]
    kind: Literal["timeseries", "stat", "table", "bargauge"] = "timeseries"
    unit: str = "short"
    width: int = 12
    height: int = 8
    what: str = ""
    stacked: bool = False
    most: float | None = None
    levels: Levels = PLAIN
    hidden: tuple[str, ...] = ()
    """Hidden columns of a table."""
    empty: str = ""
    """The text without data, for a panel that shows problems or optional hardware: it may be empty."""
    links: tuple[Link, ...] = ()
    names: bool = False
    """Whether a stat shows the legend instead of the value."""
    sort: str = ""
    """The column by which a table is sorted, the highest value first."""

    @property
    def may_be_empty(self) -> bool:
        """Return whether the panel may have no data on a healthy node."""
        return bool(self.empty)

    def json(self, number: int, x: int, y: int) -> Json:
        """Return Grafana's JSON for this panel at this position."""
        defaults: Json = {"unit": self.unit, "thresholds": _thresholds(self.levels), "custom": {}}
        defaults |= {"noValue": self.empty or "No samples in this time range"}
        if links := [link.json() for link in self.links if not link.column]:
            defaults["links"] = links
        if self.most is not None:
            defaults |= {"min": 0, "max": self.most}
        options: Json = {}
        if self.kind == "timeseries":
            defaults["custom"] = {
                "fillOpacity": 30 if self.stacked else 8,
                "showPoints": "never",
                "stacking": {"mode": "normal" if self.stacked else "none"},
            }
            legend = {"displayMode": "table", "placement": "right", "calcs": ["lastNotNull", "max"]}
            options = {"legend": {"showLegend": True, **legend}, "tooltip": {"mode": "multi", "sort": "desc"}}
        elif self.kind in {"stat", "bargauge"}:
            options = {"reduceOptions": {"calcs": ["lastNotNull"], "values": False, "fields": ""}}
            options |= {"colorMode": "value", "graphMode": "none"} if self.kind == "stat" else {"displayMode": "lcd"}
            options |= {"orientation": "horizontal"} if self.kind == "bargauge" else {}
            options |= {"textMode": "name"} if self.names else {}
        elif self.sort:
            options = {"sortBy": [{"displayName": self.sort, "desc": True}]}
        return {
            "id": number,
            "title": self.title,
            "description": self.what,
            "type": self.kind,
            "datasource": DATASOURCE,
            "gridPos": {"x": x, "y": y, "w": self.width, "h": self.height},
            "targets": [self._target(place, query) for place, query in enumerate(self.queries)],
            "fieldConfig": {"defaults": defaults, "overrides": self._overrides()},
            "options": options,
            **({"transformations": self._transformations()} if self.kind == "table" else {}),
        }

    def _target(self, place: int, query: Query) -> Json:
        target: Json = {"refId": chr(ord("A") + place), "expr": query.expr, "legendFormat": query.legend or "__auto"}
        if self.kind == "timeseries":
            return {**target, "datasource": DATASOURCE, "range": True}
        return {
            **target,
            "datasource": DATASOURCE,
            "instant": True,
            **({"format": "table"} if self.kind == "table" else {}),
        }

    def _overrides(self) -> list[Json]:
        """Return units and colors of a table's columns, and the links from columns."""
        found: list[Json] = []
        for query in self.queries if self.kind == "table" else ():
            properties: list[Json] = []
            if query.unit:
                properties.append({"id": "unit", "value": query.unit})
            if query.levels:
                properties.append({"id": "thresholds", "value": _thresholds(query.levels)})
                properties.append({"id": "custom.cellOptions", "value": {"type": "color-text"}})
            if properties:
                found.append({"matcher": {"id": "byName", "options": query.legend}, "properties": properties})
        for link in self.links:
            if link.column:
                properties = [{"id": "links", "value": [link.json()]}]
                found.append({"matcher": {"id": "byName", "options": link.column}, "properties": properties})
        return found

    def _transformations(self) -> list[Json]:
        """Return the transformations to one row for each set of labels and one column for each query."""
        if len(self.queries) == 1:
            columns = {"Value": self.queries[0].legend}
        else:
            columns = {f"Value #{chr(ord('A') + place)}": query.legend for place, query in enumerate(self.queries)}
        return [
            {"id": "merge", "options": {}},
            {
                "id": "organize",
                "options": {
                    "excludeByName": dict.fromkeys(("Time", "__name__", *self.hidden), True),
                    "renameByName": {column: name for column, name in columns.items() if name},
                },
            },
        ]


@dataclass(frozen=True)
class Variable:
    """A variable of a dashboard: the user selects values of a label, or only one if `single`."""

    name: str
    label: str
    metric: str
    single: bool = False

    def json(self) -> Json:
        """Return Grafana's JSON. All is `.*`, which also matches a missing label."""
        query = f"label_values({self.metric}, {self.label})"
        return {
            "name": self.name,
            "type": "query",
            "datasource": DATASOURCE,
            "query": {"query": query, "refId": "variable"},
            "definition": query,
            "refresh": 2,
            "sort": 7,
            "multi": not self.single,
            "includeAll": not self.single,
            **({} if self.single else {"allValue": ".*", "current": {"text": "All", "value": "$__all"}}),
        }


@dataclass(frozen=True)
class Annotation:
    """Events on the panels of a board. With `at_value`, the value of the query is the time, in milliseconds."""

    name: str
    expr: str
    title: str
    color: str
    at_value: bool = False

    def json(self) -> Json:
        """Return the annotation as Grafana's JSON."""
        return {
            "name": self.name,
            "datasource": DATASOURCE,
            "enable": True,
            "hide": False,
            "iconColor": self.color,
            "expr": self.expr,
            "titleFormat": self.title,
            "step": "60s",
            **({"useValueForTime": True} if self.at_value else {}),
        }


@dataclass(frozen=True)
class PanelRow:
    """Panels below a heading."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Board:
    """A dashboard. Its `name` is part of its file name and its uid. Links use the uid, so the name never changes."""

    name: str
    title: str
    what: str
    variables: tuple[Variable, ...]
    rows: tuple[PanelRow, ...]
    annotations: tuple[Annotation, ...] = ()

    @property
    def panels(self) -> Sequence[Panel]:
        """The panels of all rows."""
        return [panel for row in self.rows for panel in row.panels]

    def json(self) -> Json:
        """Return the dashboard as Grafana's JSON."""
        chosen = {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Data source"}
        return {
            "uid": f"metricat-{self.name}",
            "title": f"Metricat / {self.title}",
            "description": self.what,
            "tags": ["metricat"],
            "schemaVersion": 39,
            "version": 1,
            "editable": True,
            "graphTooltip": 1,
            "refresh": "30s",
            "time": {"from": "now-3h", "to": "now"},
            "timezone": "browser",
            "templating": {"list": [chosen, *(variable.json() for variable in self.variables)]},
            "annotations": {"list": [one.json() for one in self.annotations]},
            "links": [
                {"type": "dashboards", "tags": ["metricat"], "asDropdown": False, "keepTime": True, "includeVars": True}
            ],
            "panels": self._placed(),
        }

    def _placed(self) -> list[Json]:
        """Return the panels with their positions, from left to right and then in the next line."""
        found: list[Json] = []
        y = 0
        for row in self.rows:
            heading = {"type": "row", "title": row.title, "collapsed": False, "panels": []}
            found.append({"id": len(found) + 1, **heading, "gridPos": {"x": 0, "y": y, "w": _WIDTH, "h": 1}})
            x, y, height = 0, y + 1, 0
            for panel in row.panels:
                if x + panel.width > _WIDTH:
                    x, y, height = 0, y + height, 0
                found.append(panel.json(len(found) + 1, x, y))
                x, height = x + panel.width, max(height, panel.height)
            y += height
        return found


def _thresholds(levels: Levels) -> Json:
    return {"mode": "absolute", "steps": [{"value": value, "color": color} for value, color in levels]}


def text(board: Board) -> str:
    """Return the JSON file of a board."""
    return json.dumps(board.json(), indent=2, ensure_ascii=False) + "\n"
