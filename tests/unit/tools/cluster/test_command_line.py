"""The command line of clusters: an interrupt always ends it."""

import signal
import subprocess
import sys

LOST = """
import os, signal, sys, time
from metricat_tools.cluster import __main__ as command_line

class Finalized:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0)

def work(chosen):
    Finalized()
    print("lost", flush=True)
    time.sleep(600)

command_line.show = work
command_line.main(["list"])
"""


def test_interrupt_in_a_finalizer_is_not_lost() -> None:
    with subprocess.Popen([sys.executable, "-c", LOST], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            output, errors = process.communicate(timeout=60)
        finally:
            process.kill()
    assert output == b"lost\n"
    assert errors.endswith(b"KeyboardInterrupt\n")
    assert process.returncode == -signal.SIGINT
