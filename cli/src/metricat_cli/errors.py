"""The error of a command that cannot do its work."""


class CommandError(Exception):
    """Ends the command with status 1. The message says what is wrong and what to do."""
