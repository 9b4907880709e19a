"""The embedded Valkey, really started."""

import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from portal.up.valkey import EmbeddedValkey


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[EmbeddedValkey]:
    server = EmbeddedValkey(tmp_path / "valkey", tmp_path / "log", "a-secret")
    server.start()
    yield server
    server.stop()


def test_it_wants_its_password(valkey: EmbeddedValkey) -> None:
    with redis.Redis(port=valkey.port) as stranger, pytest.raises(redis.AuthenticationError):
        stranger.ping()
    with redis.Redis.from_url(valkey.url()) as portal:
        assert portal.ping()


def test_its_password_is_on_no_command_line(valkey: EmbeddedValkey) -> None:
    assert valkey.process
    assert b"a-secret" not in Path(f"/proc/{valkey.process.pid}/cmdline").read_bytes()
    assert stat.S_IMODE((valkey.folder / "valkey.conf").stat().st_mode) == 0o600


def test_started_again_it_keeps_its_address(valkey: EmbeddedValkey) -> None:
    before = valkey.url()
    assert valkey.process
    valkey.process.kill()
    valkey.process.wait(5)
    valkey.start()
    assert valkey.url() == before


def test_a_taken_port_is_left_to_its_owner(tmp_path: Path) -> None:
    with socket.socket() as owner:
        owner.bind(("127.0.0.1", 0))
        owner.listen()
        server = EmbeddedValkey(tmp_path / "valkey", tmp_path / "log", "a-secret", port=owner.getsockname()[1])
        try:
            server.start()
            assert server.port != owner.getsockname()[1]
        finally:
            server.stop()


def test_one_left_running_is_ended_first(valkey: EmbeddedValkey) -> None:
    again = EmbeddedValkey(valkey.folder, valkey.log, "a-secret")
    try:
        again.start()
        assert valkey.process
        assert valkey.process.wait(5) == 0
    finally:
        again.stop()
