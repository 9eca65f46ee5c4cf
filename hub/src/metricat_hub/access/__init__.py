"""Access control: credentials, API keys, scopes, rate limits and logs of requests."""
