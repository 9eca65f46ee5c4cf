"""The error that the tools show to users."""


class ToolError(Exception):
    """A problem that the user can fix: the message has the cause and the remedy."""
