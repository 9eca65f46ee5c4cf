"""Errors of templates."""

from metricat_hub.model.errors import HubError


class TemplateError(HubError):
    """A template is not valid, uses an unsupported feature, or fails at execution. The message contains the cause."""
