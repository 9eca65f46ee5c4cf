"""The gRPC interface: package `metricat.v1` of hub/proto. Imported only with the setting grpc.listen."""
