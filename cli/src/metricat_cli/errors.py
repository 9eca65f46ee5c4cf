"""The error of a command that cannot do its work."""


class CommandError(Exception):
    """Ends the command with a status, 1 by default. The message says what is wrong and what to do."""

    def __init__(self, message: str, status: int = 1) -> None:
        super().__init__(message)
        self.status = status
