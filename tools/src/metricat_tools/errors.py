"""The error that the tools show to users."""


class ToolError(Exception):
    """A problem that the user can fix: the message says what is wrong and what to do."""
