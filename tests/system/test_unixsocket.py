"""One listener for a name, for one user, and what a dead one left is replaced."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from strongroom.system.unixsocket import InUseError, Listener, peer_user

pytestmark = pytest.mark.spec("C6")


def _connected(path: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.connect(str(path))
    return connection


def test_only_its_user_can_connect(tmp_path: Path) -> None:
    """The mode is 0600, and the kernel says who is at the other end."""
    path = tmp_path / "s"
    listener = Listener(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with _connected(path), listener.accept() as accepted:
        assert peer_user(accepted) == os.geteuid()
    listener.close()
    assert not path.exists()


def test_two_do_not_listen_at_one_name(tmp_path: Path) -> None:
    """The second one is told, and the first goes on."""
    path = tmp_path / "s"
    listener = Listener(path)
    with pytest.raises(InUseError):
        Listener(path)
    with _connected(path), listener.accept():
        pass
    listener.close()
    Listener(path).close()


def test_what_a_dead_one_left_is_replaced(tmp_path: Path) -> None:
    """A socket of a process that was killed is in nobody's way."""
    path = tmp_path / "s"
    left = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    left.bind(str(path))
    left.close()
    listener = Listener(path)
    with _connected(path), listener.accept():
        pass
    listener.close()
