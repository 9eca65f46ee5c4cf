"""The REST API: measures by their plain names, nodes, collectors and the state of the hub."""
