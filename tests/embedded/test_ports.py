"""Free ports, and ports that are kept free."""

import socket

import pytest

from wallet_project.embedded import ports
from wallet_project.embedded.errors import EmbeddedError


def _listen(port: int) -> socket.socket:
    """As servers do, with SO_REUSEADDR."""
    return socket.create_server((ports.LOOPBACK, port))


def test_a_port_that_somebody_listens_on_is_not_free() -> None:
    with _listen(0) as server:
        port = server.getsockname()[1]
        assert not ports.is_free(port)
        assert ports.answers(port)
        assert port not in list(ports.free_ports(port))
    assert ports.is_free(port)
    assert not ports.answers(port)


def test_a_reserved_port_is_nobody_elses_but_its_server_may_listen() -> None:
    with ports.reserved() as port:
        assert not ports.is_free(port)
        with ports.reserved(port) as next_one:
            assert next_one > port
        with _listen(port):
            assert ports.answers(port)
    assert ports.is_free(port)


def test_a_port_whose_connections_are_still_closing_is_free() -> None:
    with _listen(0) as server:
        port = server.getsockname()[1]
        client = socket.create_connection((ports.LOOPBACK, port))
        accepted, _ = server.accept()
        accepted.close()  # Whoever closes first lingers.
        client.close()
    assert ports.is_free(port)
    with ports.reserved(port) as reserved:
        assert reserved == port


def test_when_no_port_is_free_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "_TRIES", 1)
    with _listen(0) as server, pytest.raises(EmbeddedError, match="No free port"):
        list(ports.free_ports(server.getsockname()[1]))
    with _listen(0) as server, pytest.raises(EmbeddedError, match="No free port"):
        ports.reserved(server.getsockname()[1]).__enter__()
