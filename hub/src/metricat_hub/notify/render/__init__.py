"""Builds the messages of each kind of channel, in the format of the service. Pure."""
