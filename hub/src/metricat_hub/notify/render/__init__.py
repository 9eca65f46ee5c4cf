"""The messages of each channel, as the service expects them. Pure."""
