"""`python -m metricat_tools COMMAND ...`: one entry point, each command with its own arguments."""

import importlib
import sys

from metricat_tools.errors import ToolError

COMMANDS = {
    "binaries": "build or unpack the pinned external programs that are missing",
    "cluster": "start, enter, list and stop test clusters",
    "images": "build the container images",
    "demo": "show an alert from start to end on a real cluster",
    "bench": "measure the agent, the operator, the predictive alerts and the hub",
    "generate": "write every generated file",
    "screenshots": "take screenshots of each view of a running hub's web page",
    "release": "prepare, check and tag a release",
    "security": "check code and dependencies with upstream programs",
    "mutate": "report code changes that the unit tests do not detect",
}


def main() -> int:
    """Run the named command. A `ToolError` is printed, and the exit code is 1."""
    command, arguments = (sys.argv[1], sys.argv[2:]) if len(sys.argv) > 1 else ("--help", [])
    if command not in COMMANDS:
        width = max(map(len, COMMANDS))
        print(
            "usage: python -m metricat_tools COMMAND ...",
            *(f"  {k:<{width}}  {v}" for k, v in COMMANDS.items()),
            sep="\n",
        )
        return 0 if command in {"-h", "--help"} else 2
    try:
        importlib.import_module(f"metricat_tools.{command}.__main__").main(arguments)
    except ToolError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
