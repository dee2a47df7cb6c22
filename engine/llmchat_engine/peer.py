"""Who is at the other end of a Unix socket. Both sides of the engine ask, and speak only to their own user."""

from __future__ import annotations

import os
import socket
import struct
import sys

_LOCAL_PEERCRED, _LOCAL_PEERPID = 0x001, 0x002
"""macOS, sys/un.h; the level is SOL_LOCAL, 0."""


def peer(connection: socket.socket) -> tuple[int, int]:
    """Returns (user id, process id) of the other end."""
    if sys.platform == "linux":
        raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        pid, uid, _gid = struct.unpack("3i", raw)
        return uid, pid
    credentials = connection.getsockopt(0, _LOCAL_PEERCRED, 76)
    _version, uid = struct.unpack_from("II", credentials)
    (pid,) = struct.unpack("i", connection.getsockopt(0, _LOCAL_PEERPID, 4))
    return uid, pid


def is_own_user(connection: socket.socket) -> bool:
    """Returns True where the other end runs as this user."""
    try:
        return peer(connection)[0] == os.getuid()
    except OSError:
        return False
