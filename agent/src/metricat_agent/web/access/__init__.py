"""Access control: TLS, client certificates, passwords, rate limits."""
