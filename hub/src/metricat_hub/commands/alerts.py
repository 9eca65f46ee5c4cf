"""`metricat hub alerts`: list, acknowledge and silence the alerts of a running hub, and read their history."""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from metricat_cli.errors import CommandError
from metricat_hub.commands.accounts import table
from metricat_hub.commands.hub_client import HubClient, add_server
from metricat_hub.model.times import rfc3339
from metricat_rules.durations import DurationError, prometheus_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from metricat_hub.commands.accounts import Subparsers

_DESCRIPTION = "List, acknowledge and silence the alerts of a running hub, and read their history."
_MOST = 10_000
_SHORTEST = 4
"""The least characters of an abbreviated fingerprint or identifier."""


def add_parser(commands: Subparsers) -> None:
    """Add the command's parser."""
    alerts = commands.add_parser("alerts", help="list, acknowledge and silence alerts", description=_DESCRIPTION)
    actions = alerts.add_subparsers(title="commands", metavar="COMMAND", required=True, help="action to run")
    listing = _action(actions, "list", list_alerts, "list the alerts that are pending or firing")
    listing.add_argument("--state", choices=("firing", "pending"), help="list only alerts in this state")
    _filters(listing)
    _fingerprint(_action(actions, "show", show_alert, "show an alert with its timeline"))
    acknowledge = _fingerprint(_action(actions, "ack", acknowledge_alert, "acknowledge a firing alert"))
    acknowledge.add_argument(
        "--for", dest="duration", metavar="DURATION", help="time until the acknowledgement expires, for example 2h"
    )
    _comment(acknowledge)
    _fingerprint(_action(actions, "unack", unacknowledge_alert, "remove the acknowledgement of an alert"))
    silence = _action(actions, "silence", create_silence, "create a silence")
    silence.add_argument(
        "matchers", nargs="+", metavar="MATCHER", help="matcher such as node=web-1 or severity=~info|warning"
    )
    silence.add_argument(
        "--for", dest="duration", metavar="DURATION", required=True, help="duration of the silence, for example 2h"
    )
    _comment(silence)
    silences = _action(actions, "silences", list_silences, "list the silences")
    silences.add_argument("--state", choices=("active", "pending", "expired"), help="list only silences in this state")
    _action(actions, "expire", expire_silence, "end a silence").add_argument(
        "id", metavar="ID", help="identifier of the silence, or its first characters"
    )
    history = _action(actions, "history", list_history, "list alerts that have fired, from the history")
    history.add_argument(
        "--since", type=_duration, default="7d", metavar="DURATION", help="how far back to read (default %(default)s)"
    )
    history.add_argument(
        "--limit", type=int, default=100, metavar="N", help="largest number of entries to list (default %(default)s)"
    )
    _filters(history)


def _duration(text: str) -> float:
    """Return the seconds of a duration such as `7d`."""
    try:
        return prometheus_seconds(text)
    except DurationError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _action(
    actions: Subparsers, name: str, run: Callable[[argparse.Namespace], str], summary: str
) -> argparse.ArgumentParser:
    parser = actions.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
    parser.set_defaults(run=run)
    add_server(parser)
    return parser


def _filters(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--node",
        metavar="NAME",
        action="append",
        help="list only alerts of this node; repeat the option for several nodes",
    )
    parser.add_argument("--alert", metavar="NAME", help="list only alerts with this name")
    parser.add_argument("--severity", metavar="NAME", help="list only alerts with this severity")


def _fingerprint(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("fingerprint", metavar="FINGERPRINT", help="fingerprint of the alert, or its first characters")
    return parser


def _comment(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--comment", metavar="TEXT", default="", help="reason, which other users can see")


def _filter(chosen: argparse.Namespace) -> dict[str, object]:
    return {"node": chosen.node, "alert": chosen.alert, "severity": chosen.severity}


def _matching(chosen: argparse.Namespace) -> str:
    """Return the word before `alert` in a message about an empty list: `matching ` if the user set a filter."""
    return "matching " if any(_filter(chosen).values()) or getattr(chosen, "state", None) else ""


def list_alerts(chosen: argparse.Namespace) -> str:
    """Return a table of the alerts that are pending or firing."""
    found = HubClient(chosen).pages("/api/v1/alerts/active", {**_filter(chosen), "state": chosen.state}, _MOST)
    if chosen.output == "json":
        return _json(found)
    if not found:
        return f"No {_matching(chosen)}alert is pending or firing."
    rows = [("FINGERPRINT", "STATE", "SEVERITY", "ALERT", "NODE", "SINCE", "HANDLED", "SUMMARY")]
    rows += [
        (
            *(one["fingerprint"], one["state"], one["severity"] or "-", one["name"], one["node"] or "-"),
            *(_time(one["fired_at"] or one["active_at"]), _handled(one), one["annotations"].get("summary", "-")),
        )
        for one in found
    ]
    return table(rows)


def _handled(one: Mapping[str, Any]) -> str:
    """Return why an alert sends no message: by whom it is acknowledged, or that it is silenced or inhibited."""
    by = one["acknowledgement"]
    found = [f"ack {by['author']}"] if by else []
    found += ["silenced"] if one["silenced_by"] else []
    found += ["inhibited"] if one["inhibited_by"] else []
    return ", ".join(found) or "-"


def show_alert(chosen: argparse.Namespace) -> str:
    """Return an alert with its timeline. For a resolved alert, read only the history."""
    client = HubClient(chosen)
    identifier = _active(client, chosen.fingerprint, default=chosen.fingerprint)
    timeline = client.get(f"/api/v1/alerts/{_path(identifier)}/history", {"start": rfc3339(0)})
    active = [one for one in client.pages("/api/v1/alerts/active", {}, _MOST) if one["fingerprint"] == identifier]
    if chosen.output == "json":
        return _json({"alert": active[0] if active else None, **timeline})
    labels = ", ".join(f"{name}={value}" for name, value in timeline["labels"].items())
    head = [("Fingerprint:", identifier), ("Labels:", labels)]
    if active:
        [one] = active
        head += [("State:", one["state"]), ("Value:", str(one["value"])), ("Handled:", _handled(one))]
        head += [(f"{name.capitalize()}:", text) for name, text in one["annotations"].items()]
    else:
        head.append(("State:", "resolved"))
    rows = [("TIME", "EVENT", "ACTOR", "DETAILS")]
    for event in timeline["data"]:
        details = ", ".join(f"{name}={text}" for name, text in event["details"].items())
        rows.append((_time(event["time"]), event["kind"], event["actor"] or "-", details or "-"))
    return f"{table(head)}\n\n{table(rows)}"


def acknowledge_alert(chosen: argparse.Namespace) -> str:
    """Acknowledge an alert."""
    client = HubClient(chosen)
    identifier = _active(client, chosen.fingerprint)
    body = {"comment": chosen.comment, "duration": chosen.duration}
    found = client.send("POST", f"/api/v1/alerts/{_path(identifier)}/acknowledge", body)
    until = f"until {_time(found['expires'])}" if found["expires"] else "until it resolves"
    return _json(found) if chosen.output == "json" else f"The alert {identifier} is acknowledged {until}."


def unacknowledge_alert(chosen: argparse.Namespace) -> str:
    """Remove the acknowledgement of an alert."""
    client = HubClient(chosen)
    identifier = _active(client, chosen.fingerprint)
    found = client.send("DELETE", f"/api/v1/alerts/{_path(identifier)}/acknowledge")
    return _json(found) if chosen.output == "json" else f"Removed the acknowledgement of the alert {identifier}."


def create_silence(chosen: argparse.Namespace) -> str:
    """Create a silence."""
    body = {"matchers": chosen.matchers, "duration": chosen.duration, "comment": chosen.comment}
    found = HubClient(chosen).send("POST", "/api/v1/silences", body)
    if chosen.output == "json":
        return _json(found)
    return f"The silence {found['id']} of {', '.join(found['matchers'])} ends at {_time(found['ends'])}."


def list_silences(chosen: argparse.Namespace) -> str:
    """Return a table of the silences."""
    found = HubClient(chosen).pages("/api/v1/silences", {"state": chosen.state}, _MOST)
    if chosen.output == "json":
        return _json(found)
    if not found:
        return f"No silence is {chosen.state}." if chosen.state else "No silence exists."
    rows = [("ID", "STATE", "STARTS", "ENDS", "AUTHOR", "MATCHERS", "COMMENT")]
    rows += [
        (
            *(one["id"], one["state"], _time(one["starts"]), _time(one["ends"]), one["author"]),
            *(", ".join(one["matchers"]), one["comment"] or "-"),
        )
        for one in found
    ]
    return table(rows)


def expire_silence(chosen: argparse.Namespace) -> str:
    """End a silence."""
    client = HubClient(chosen)
    known = [one["id"] for one in client.pages("/api/v1/silences", {}, _MOST)]
    identifier = _whole(chosen.id, known, "silence", "metricat hub alerts silences")
    found = client.send("DELETE", f"/api/v1/silences/{_path(identifier)}")
    return _json(found) if chosen.output == "json" else f"The silence {identifier} has ended."


def list_history(chosen: argparse.Namespace) -> str:
    """Return a table of past alerts."""
    start = rfc3339(int((time.time() - chosen.since) * 1000))
    found = HubClient(chosen).pages("/api/v1/alerts/history", {**_filter(chosen), "start": start}, max(1, chosen.limit))
    if chosen.output == "json":
        return _json(found)
    if not found:
        return f"No {_matching(chosen)}alert has fired since {_time(start)} UTC."
    rows = [("FINGERPRINT", "STATE", "SEVERITY", "ALERT", "NODE", "FIRED", "RESOLVED", "ACKNOWLEDGED BY", "SOURCE")]
    rows += [
        (
            *(one["fingerprint"], one["state"], one["severity"] or "-", one["alert"], one["node"] or "-"),
            *(_time(one["fired"]), _time(one["resolved"]), one["acknowledged_by"] or "-", one["source"]),
        )
        for one in found
    ]
    return table(rows)


def _active(client: HubClient, given: str, default: str = "") -> str:
    """Return the fingerprint of an active alert; the default if none matches."""
    known = [one["fingerprint"] for one in client.pages("/api/v1/alerts/active", {}, _MOST)]
    if default and not any(one.startswith(given) for one in known):
        return default
    return _whole(given, known, "alert", "metricat hub alerts list")


def _whole(given: str, known: Sequence[str], kind: str, listing: str) -> str:
    """Return the only identifier that begins with a text."""
    found = [one for one in known if one == given or (len(given) >= _SHORTEST and one.startswith(given))]
    if len(found) == 1:
        return found[0]
    if found:
        raise CommandError(
            f"{given} is the start of {len(found)} identifiers: {', '.join(found[:3])}. Enter more characters."
        )
    if len(given) < _SHORTEST:
        raise CommandError(
            f"{given!r} is too short. Enter at least {_SHORTEST} characters; list them with `{listing}`."
        )
    raise CommandError(f"no {kind} has the identifier {given!r}. List the {kind}s with `{listing}`.")


def _path(identifier: str) -> str:
    """Return an identifier as a part of a path."""
    return quote(identifier, safe="")


def _time(text: str | None) -> str:
    """Return a time for people, in UTC and without fractions."""
    return "-" if not text else f"{text[:10]} {text[11:19]}"


def _json(found: object) -> str:
    return msgspec.json.format(msgspec.json.encode(found), indent=2).decode()
