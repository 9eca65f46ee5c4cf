"""Notifications from evaluated alerts: routes, groups, inhibition, silences, acknowledgements and escalation. Pure.

See docs/design/0041-routing.md.
"""
