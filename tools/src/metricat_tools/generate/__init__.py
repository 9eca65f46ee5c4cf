"""Generators: CRDs, chart dashboards and rules, golden manifests, runbooks and reference pages."""
