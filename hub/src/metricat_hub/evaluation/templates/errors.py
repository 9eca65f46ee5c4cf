"""Errors of templates."""

from metricat_hub.model.errors import HubError


class TemplateError(HubError):
    """A template is not valid, uses something that is not supported, or cannot be executed. The message names it."""
