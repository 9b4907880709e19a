"""An agent that is killed and started again under a provider that waits for its answer."""

import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from terraform.providers.local.slipway_provider.client import AgentClient, AgentUnreachable
from tests.terraform.fake_agent import FakeAgent


@pytest.fixture
def path() -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="slr-"))
    yield directory / "agent.sock"
    shutil.rmtree(directory)


def dies_in_the_middle(path: Path) -> threading.Thread:
    """An agent that takes one request and is gone without an answer, its socket left behind."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    listener.listen()

    def take() -> None:
        connection, _ = listener.accept()
        connection.recv(100)
        connection.close()
        listener.close()

    thread = threading.Thread(target=take)
    thread.start()
    return thread


def test_a_request_is_made_again_when_the_next_agent_answers(path: Path) -> None:
    dying = dies_in_the_middle(path)
    started: list[FakeAgent] = []

    def next_agent() -> None:
        dying.join()
        time.sleep(0.6)
        path.unlink()
        time.sleep(0.6)
        started.append(FakeAgent(path))

    successor = threading.Thread(target=next_agent)
    successor.start()
    try:
        client = AgentClient(str(path), "11111111-2222-3333-4444-555555555555.token", patience_s=20)
        volume = client.put("volumes", "home", body={})
        assert volume["name"] == "home"
        assert started[0].calls == [("PUT", "/v1/volumes/home")]
    finally:
        successor.join()
        started[0].close()


def test_patience_ends(path: Path) -> None:
    begun = time.monotonic()
    with pytest.raises(AgentUnreachable):
        AgentClient(str(path), "token", patience_s=0.5).get("volumes", "home")
    assert 0.4 < time.monotonic() - begun < 5
