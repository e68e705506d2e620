"""Ports for the servers of tests."""

import socket
from random import SystemRandom

_BELOW_EPHEMERAL = range(10_000, 32_000)


def free_port() -> int:
    """A loopback port that nothing listens on at this moment.

    Not one of those that the system gives to outgoing connections, of which tests make thousands:
    the port would be gone before the server has it. Every process chooses for itself.
    """
    while True:
        port = SystemRandom().choice(_BELOW_EPHEMERAL)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
