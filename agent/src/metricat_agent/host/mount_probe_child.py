"""Subprocess that probes mounts that may hang. `mount_prober` starts it, and it imports only os.

Each input line is a path in hexadecimal. Each output line contains st_dev, f_frsize, f_blocks, f_bfree, f_bavail,
f_files and f_ffree, or one number: the negative errno. The subprocess exits at the end of its input.
"""

import os


def main() -> None:
    """Write one line of output for each line of input."""
    rest = b""
    while chunk := os.read(0, 4096):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            os.write(1, probe(bytes.fromhex(line.decode())).encode())


def probe(path: bytes) -> str:
    """Return the output line for a path."""
    try:
        device = os.stat(path).st_dev  # noqa: PTH116 -- this program imports nothing but os
        found = os.statvfs(path)
    except OSError as error:
        return f"{-(error.errno or 1)}\n"
    numbers = (found.f_frsize, found.f_blocks, found.f_bfree, found.f_bavail, found.f_files, found.f_ffree)
    return f"{device} {' '.join(map(str, numbers))}\n"


if __name__ == "__main__":
    main()
