"""Who may ask: TLS, client certificates, passwords, rates."""
