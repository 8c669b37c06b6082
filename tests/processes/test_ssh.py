"""Real SSH to emulated machines: OpenSSH's client where there is one, and asyncssh's as another."""

import asyncio
import shutil
import signal
import stat
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from live_cluster import LiveCluster, until

openssh = pytest.mark.skipif(shutil.which("ssh") is None, reason="needs OpenSSH's ssh")


def ssh(cluster: LiveCluster, *words: str, data: str | None = None) -> subprocess.CompletedProcess[str]:
    config = Path(cluster.data_dir) / "ssh_config"
    command = ["ssh", "-F", str(config), *words]
    return subprocess.run(command, input=data or "", capture_output=True, text=True, timeout=30, check=False)


def place(cluster: LiveCluster) -> dict[str, Any]:
    """Where the server listens, and how to log in without a configuration file."""
    words = (Path(cluster.data_dir) / "ssh_config").read_text().split()
    return {
        "host": "127.0.0.1",
        "port": int(words[words.index("Port") + 1]),
        "username": "node-1",
        "client_keys": [str(Path(cluster.data_dir) / "ssh_key")],
        "known_hosts": None,
        "config": None,
        "agent_path": None,
    }


@pytest.fixture
async def connection(cluster: LiveCluster) -> AsyncIterator[asyncssh.SSHClientConnection]:
    async with asyncssh.connect(**place(cluster)) as made:
        yield made


@openssh
@pytest.mark.parametrize("node", ["control-plane", "node-1", "node-3"])
def test_openssh_runs_a_command_on_each_machine(cluster: LiveCluster, node: str) -> None:
    done = ssh(cluster, node, "hostname; echo trouble >&2; exit 3")
    assert (done.returncode, done.stdout, done.stderr) == (3, f"{node}\n", "trouble\n")


@openssh
def test_openssh_passes_input_on_to_its_end(cluster: LiveCluster) -> None:
    assert ssh(cluster, "node-1", "wc -c", data="x" * 1_000_000).stdout == "1000000\n"
    assert ssh(cluster, "node-1", data="echo $((6 * 7))\n").stdout == "42\n"


@openssh
def test_scp_says_what_to_do_instead(cluster: LiveCluster, tmp_path: Path) -> None:
    config = str(Path(cluster.data_dir) / "ssh_config")
    command = ["scp", "-F", config, "node-1:/etc/hosts", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode != 0 and "not built: use ssh" in done.stderr


async def test_a_command_on_a_terminal_knows_its_size_and_type(connection: asyncssh.SSHClientConnection) -> None:
    done = await connection.run("stty size; tty; echo $TERM", term_type="vt220", term_size=(123, 45))
    assert str(done.stdout).split() == ["45", "123", "/dev/pts/0", "vt220"]


async def test_the_shell_of_a_terminal_hears_of_its_new_size(connection: asyncssh.SSHClientConnection) -> None:
    process = await connection.create_process(term_type="xterm", term_size=(80, 24))
    process.stdin.write("echo re''ady\n")
    await process.stdout.readuntil("ready")
    process.change_terminal_size(99, 33)
    process.stdin.write("stty size; exit 5\n")
    done = await process.wait()
    assert done.exit_status == 5 and "33 99" in str(done.stdout)


async def test_control_c_interrupts_what_runs_on_a_terminal(connection: asyncssh.SSHClientConnection) -> None:
    process = await connection.create_process("ping 127.0.0.1", term_type="xterm")
    await process.stdout.readuntil("icmp_seq=1")
    process.stdin.write("\x03")
    done = await process.wait()
    assert done.exit_status == 0 and "1 packets transmitted, 1 received" in str(done.stdout)


@pytest.mark.parametrize(("trap", "code"), [("trap 'echo bye; exit 7' TERM; ", 7), ("", 143)])
async def test_a_client_can_send_signals(connection: asyncssh.SSHClientConnection, trap: str, code: int) -> None:
    process = await connection.create_process(f"{trap}echo up; sleep 100")
    await process.stdout.readline()
    process.send_signal("TERM")
    assert (await process.wait()).exit_status == code


async def test_sessions_run_side_by_side(connection: asyncssh.SSHClientConnection) -> None:
    results = await asyncio.gather(*(connection.run(f"sleep 0.2; echo {number}") for number in range(20)))
    assert [str(done.stdout) for done in results] == [f"{number}\n" for number in range(20)]


async def test_much_output_arrives_whole(connection: asyncssh.SSHClientConnection) -> None:
    done = await connection.run("seq 1 300000", encoding=None)
    assert done.stdout == b"".join(b"%d\n" % number for number in range(1, 300001))


@pytest.mark.parametrize("user", ["node-1", "root", ""])
async def test_nobody_gets_in_without_the_key(cluster: LiveCluster, user: str) -> None:
    for wrong in (
        {"client_keys": [asyncssh.generate_private_key("ssh-ed25519")]},
        {"client_keys": [], "password": "root", "preferred_auth": "password,keyboard-interactive"},
    ):
        with pytest.raises(asyncssh.PermissionDenied):
            await asyncssh.connect(**(place(cluster) | {"username": user} | wrong))


async def test_a_machine_that_is_not_there_is_named(cluster: LiveCluster) -> None:
    async with asyncssh.connect(**(place(cluster) | {"username": "node-99"})) as connection:
        done = await connection.run("hostname")
    assert done.exit_status == 255 and "node-99: no such machine" in str(done.stderr)


async def test_ports_are_not_forwarded(connection: asyncssh.SSHClientConnection) -> None:
    with pytest.raises(asyncssh.ChannelOpenError):
        await connection.open_connection("127.0.0.1", 22)
    with pytest.raises(asyncssh.ChannelListenError):
        await connection.forward_remote_port("", 0, "127.0.0.1", 22)


async def test_what_a_client_started_ends_with_it(cluster: LiveCluster) -> None:
    async with asyncssh.connect(**place(cluster)) as connection:
        await connection.create_process("sleep 98765")
        async with asyncssh.connect(**place(cluster)) as other:
            while "98765" not in str((await other.run("ps -ef | grep '[s]leep 9876'")).stdout):
                await asyncio.sleep(0.05)
            connection.abort()
            while "98765" in str((await other.run("ps -ef | grep '[s]leep 9876'")).stdout):
                await asyncio.sleep(0.05)


def test_the_key_is_for_its_owner_alone(cluster: LiveCluster) -> None:
    modes = {name: stat.S_IMODE((Path(cluster.data_dir) / name).stat().st_mode) for name in ("ssh_key", "ssh_config")}
    assert modes == {"ssh_key": 0o600, "ssh_config": 0o600}


@openssh
def test_a_killed_server_comes_back_at_the_same_place(cluster: LiveCluster) -> None:
    before = cluster.signal("ssh", signal.SIGKILL)
    until(lambda: cluster.without(before), 5)
    until(lambda: ssh(cluster, "node-1", "hostname").stderr, 5)
    assert ssh(cluster, "node-1", "hostname").stdout == "node-1\n"
