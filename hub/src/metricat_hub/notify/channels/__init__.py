"""The channels: each sends messages to one kind of service."""
