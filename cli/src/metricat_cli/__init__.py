"""Metricat's command line. Of the operator it uses only what decides: types, rules and manifests."""
