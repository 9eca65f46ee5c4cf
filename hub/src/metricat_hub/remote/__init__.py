"""Other servers: HTTP requests, formats to send samples in, and delivery from a queue on disk."""
