"""Who is at the other end of a Unix socket. Both sides of the engine ask, and speak only to their own user.

Only the user id: a listening socket carries the process id of whoever called listen(), here the client that started the
host.
"""

from __future__ import annotations

import os
import socket
import struct
import sys

_LOCAL_PEERCRED = 0x001
"""macOS, sys/un.h; the level is SOL_LOCAL, 0."""


def is_own_user(connection: socket.socket) -> bool:
    """Returns True where the other end runs as this user."""
    try:
        return _peer_uid(connection) == os.getuid()
    except OSError:
        return False


def _peer_uid(connection: socket.socket) -> int:
    if sys.platform == "linux":
        raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        return int(struct.unpack("3i", raw)[1])
    credentials = connection.getsockopt(0, _LOCAL_PEERCRED, 76)
    return int(struct.unpack_from("II", credentials)[1])
