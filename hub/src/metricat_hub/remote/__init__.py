"""Communication with other servers: HTTP requests, formats of samples, and delivery from a queue on disk."""
