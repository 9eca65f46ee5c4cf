"""The HTTP server: listening, connections, requests, responses."""
