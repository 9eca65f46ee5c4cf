"""`metricat-hub`: the same as `metricat hub`."""

import sys

from metricat_cli.__main__ import main as run_command


def main() -> int:
    """Run `metricat hub` with the arguments of this process; return the exit status."""
    return run_command(["hub", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
