"""Mounts a FUSE filesystem that never answers, at a path, until its input ends: run by test_hung_mounts.py."""

import ctypes
import os
import sys

libc = ctypes.CDLL(None, use_errno=True)
device = os.open("/dev/fuse", os.O_RDWR)
options = f"fd={device},rootmode=40000,user_id=0,group_id=0".encode()
for path in sys.argv[1:]:
    if libc.mount(b"dead", path.encode(), b"fuse.dead", 0, options):
        sys.exit(f"{path}: {os.strerror(ctypes.get_errno())}")
    break
sys.stdout.write("mounted\n")
sys.stdout.flush()
sys.stdin.read()
os.close(device)
