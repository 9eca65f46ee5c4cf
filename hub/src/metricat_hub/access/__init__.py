"""Who may query: API keys, users and roles."""
