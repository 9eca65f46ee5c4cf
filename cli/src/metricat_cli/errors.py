"""The errors of commands."""


class CommandError(Exception):
    """Ends the command with a status, 1 by default. The message has the cause and the remedy."""

    def __init__(self, message: str, status: int = 1) -> None:
        super().__init__(message)
        self.status = status


class ArgumentError(CommandError):
    """Ends the command with status 2: the command line is not valid, for example because two arguments conflict."""

    def __init__(self, message: str) -> None:
        super().__init__(message, 2)
