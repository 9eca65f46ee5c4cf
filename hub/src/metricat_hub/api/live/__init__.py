"""Live values for WebSocket and gRPC clients. A round is one evaluation of all subscribed metrics for all clients."""
