"""The one error that the workshop shows to people."""


class ToolError(Exception):
    """Something that a person can mend: the message is one sentence that names the thing and the way out."""
