"""The child that looks at mounts which may hang: paths in, answers out. Started by `prober`, with nothing else loaded.

A line in: a path, hexadecimal. A line out: st_dev, f_frsize, f_blocks, f_bfree, f_bavail, f_files, f_ffree; or one
number, minus the errno. It ends when its input does.
"""

import os


def main() -> None:
    """Answer one path after another."""
    rest = b""
    while chunk := os.read(0, 4096):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            os.write(1, answer(bytes.fromhex(line.decode())).encode())


def answer(path: bytes) -> str:
    """Return the line for a path."""
    try:
        device = os.stat(path).st_dev  # noqa: PTH116 -- nothing is imported here
        found = os.statvfs(path)
    except OSError as error:
        return f"{-(error.errno or 1)}\n"
    numbers = (found.f_frsize, found.f_blocks, found.f_bfree, found.f_bavail, found.f_files, found.f_ffree)
    return f"{device} {' '.join(map(str, numbers))}\n"


if __name__ == "__main__":
    main()
