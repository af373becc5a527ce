"""What connections are held to, and HTTP/2's error codes."""

from dataclasses import dataclass

# RFC 9113, section 7.
NO_ERROR, PROTOCOL_ERROR, REFUSED_STREAM, CANCEL, ENHANCE_YOUR_CALM = 0, 1, 7, 8, 11
# Ours, for a stream whose connection was lost.
CONNECTION_LOST = -1


@dataclass(frozen=True)
class Limits:
    """How connections are kept, and what a peer may ask of them."""

    header_list_bytes: int = 16 * 1024
    """Of the metadata of a call, as RFC 9113 counts: 32 bytes more per field."""
    concurrent_streams: int = 1_000
    """The most calls at a time on one connection of a server."""
    buffer_bytes: int = 64 * 1024 * 1024
    """What the unfinished messages of a connection may hold of a server's memory."""
    handshake_seconds: float = 10
    """How soon a peer has to acknowledge the settings of the connection."""
    keepalive_seconds: float = 30
    """After how long a silence a peer with calls under way is pinged."""
    keepalive_timeout_seconds: float = 5
    """For how long a ping may stay unanswered before the connection is given up."""
