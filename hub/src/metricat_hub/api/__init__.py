"""The HTTP, WebSocket and gRPC interfaces: decode, authorize, call a use case, encode."""
