"""The HTTP interface: decode, authorize, call a use case, encode."""
