"""Messages of the gRPC API and its clients, generated from hub/proto by `make generate`."""
