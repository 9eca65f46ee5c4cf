"""Errors of pushed bodies."""

from metricat_hub.model.errors import HubError


class DecodeError(HubError):
    """The body does not match its content type. Sending it again cannot succeed."""


class TooLargeError(HubError):
    """The body, compressed or decompressed, exceeds a limit."""


class UnsupportedMediaError(HubError):
    """The hub does not support the content type or the encoding of the body."""


class InvalidSeriesError(HubError):
    """The labels of a series are not valid. The message has the reason and the labels."""
