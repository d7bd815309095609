"""The two ports of `serve` are taken before anything starts; one that cannot be had is told, with what to set."""

import socket

import click
import pytest
from click.testing import CliRunner

from coordinator.cli import main
from coordinator.cli.ports import bound

pytestmark = pytest.mark.loopback


@pytest.fixture
def in_use():
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield other.getsockname()[1]


@pytest.mark.parametrize(
    ("which", "setting"), [(0, "COORDINATOR_PORT or --port"), (1, "COORDINATOR_CONSOLE_PORT or --console-port")]
)
def test_a_port_in_use_is_named_with_its_setting(in_use, which, setting):
    ports = [0, 0]
    ports[which] = in_use
    with pytest.raises(click.ClickException, match=f"127.0.0.1:{in_use} is in use; set {setting}"):
        bound("127.0.0.1", *ports).__enter__()


def test_one_port_for_both_is_told_as_in_use():
    with bound("127.0.0.1", 0, 0) as (api, _):
        api.listen()
        with pytest.raises(click.ClickException, match="in use"), bound("127.0.0.1", 0, api.port):
            pass


def test_a_process_that_is_faster_is_told_as_well():
    with bound("127.0.0.1", 0, 0) as (ours, _), bound("127.0.0.1", ours.port, 0) as (theirs, _):
        theirs.listen()
        with pytest.raises(click.ClickException, match="in use"):
            ours.listen()


@pytest.mark.parametrize("host", ["192.0.2.1", "no such host"])
def test_a_host_that_is_none_of_this_machine_is_told(host):
    with pytest.raises(click.ClickException, match="COORDINATOR_HOST"):
        bound(host, 0, 0).__enter__()


def test_both_ports_are_let_go_at_the_end():
    with bound("127.0.0.1", 0, 0) as (api, console):
        ports = api.port, console.port
    for port in ports:
        socket.create_server(("127.0.0.1", port)).close()


@pytest.mark.parametrize("option", ["--port", "--console-port"])
def test_a_number_that_is_no_port_is_refused_at_once(option):
    done = CliRunner().invoke(main, ["serve", option, "99999"])
    assert done.exit_code == 2
    assert "0<=x<=65535" in done.output
