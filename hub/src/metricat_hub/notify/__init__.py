"""Notifications: their text, their delivery with retries, and the channels. See docs/design/0040."""
