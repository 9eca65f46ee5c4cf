"""Metricat's command line. It uses only the pure part of the operator: types, rules and manifests."""
