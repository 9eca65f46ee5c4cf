"""Endpoints of sessions, OpenID Connect logins, users and API keys."""
