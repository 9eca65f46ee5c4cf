"""Endpoints of active alerts, acknowledgements, silences and maintenance windows."""
