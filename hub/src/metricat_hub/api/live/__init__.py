"""Live values: one evaluation per round, shared by the clients of WebSocket and gRPC."""
