"""Errors of pushed bodies."""

from metricat_hub.model.errors import HubError


class DecodeError(HubError):
    """The body is not valid for its content type. A retry cannot succeed."""


class TooLargeError(HubError):
    """The body exceeds a limit, before or after decompression."""


class UnsupportedMediaError(HubError):
    """The hub does not support the content type or the encoding of the body."""


class InvalidSeriesError(HubError):
    """The labels of a series are not valid. The message contains the reason and the labels."""
