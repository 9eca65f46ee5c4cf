"""HTTP: sockets, requests, routes, and who may ask."""
