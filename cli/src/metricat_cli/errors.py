"""What a command cannot do, in a sentence that says what to do about it."""


class CommandError(Exception):
    """Ends the command with status 1 and its message."""
