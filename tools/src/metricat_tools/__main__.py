"""`python -m metricat_tools ROOM ...`: one entry point, each room with its own arguments."""

import importlib
import sys

from metricat_tools.errors import ToolError

ROOMS = {
    "programs": "build or unpack the pinned external programs that are missing",
    "cluster": "start, enter, list and stop test clusters",
    "images": "build the container images",
    "demo": "the main job, end to end",
    "bench": "measure the agent against node_exporter",
    "generate": "write every generated file anew",
}


def main() -> int:
    """Hand the command line to the named room; a `ToolError` becomes one sentence and exit code 1."""
    room, arguments = (sys.argv[1], sys.argv[2:]) if len(sys.argv) > 1 else ("--help", [])
    if room not in ROOMS:
        width = max(map(len, ROOMS))
        print("usage: python -m metricat_tools ROOM ...", *(f"  {k:<{width}}  {v}" for k, v in ROOMS.items()), sep="\n")
        return 0 if room in {"-h", "--help"} else 2
    try:
        importlib.import_module(f"metricat_tools.{room}.__main__").main(arguments)
    except ToolError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
