"""What a client may stretch, and how far: the bounds the door keeps."""

from typing import NamedTuple


class Limits(NamedTuple):
    """Bounds of the client's side (sizes in bytes, times in seconds)."""

    header_bytes: int = 32768
    header_count: int = 100
    line_bytes: int = 8192
    header_timeout: float = 10.0
    idle_timeout: float = 75.0
    body_timeout: float = 30.0  # longest silence within a body
    body_rate: float = 240.0  # lowest mean rate of a body in bytes/s, after body_timeout
    send_timeout: float = 60.0  # longest time without the client taking anything
    pipelined: int = 16  # requests waiting behind the one that is served
    connections: int = 20000


DEFAULT_LIMITS = Limits()
