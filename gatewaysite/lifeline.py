"""A child process that ends with its parent, however the parent ends."""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # prctl(2)


def end_with_parent(parent: int) -> None:
    """Have the kernel send SIGTERM to this process when the process ``parent`` is gone.

    Called in the child. Where the kernel is not Linux it does nothing: children then outlive
    a parent that was killed.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
    if os.getppid() != parent:  # it was gone before the kernel knew of our wish
        os._exit(0)
