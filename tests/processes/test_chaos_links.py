"""`podwire chaos partition` and `link` on real processes: what passes between two machines, and what a trace says."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from live_cluster import LiveCluster, podwire, until


@contextmanager
def broken(cluster: LiveCluster, *arguments: str) -> Iterator[None]:
    """Something is broken as long as the block lasts."""
    command = [sys.executable, "-m", "podwire.scripts", "chaos", *arguments, "--data-dir", cluster.data_dir]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert "processes told" in process.stdout.readline()
        try:
            yield
        finally:
            os.kill(process.pid, signal.SIGINT)
            process.wait(20)


def reach(cluster: LiveCluster, target: str) -> subprocess.CompletedProcess[str]:
    """A traced echo request from node-1."""
    return podwire("trace", "node-1", target, "--timeout", "2", "--data-dir", cluster.data_dir)


NODE_2 = "172.18.0.4"
NODE_3 = "172.18.0.5"


@pytest.mark.slow
def test_a_partition_is_seen_in_the_trace_and_heals(cluster: LiveCluster) -> None:
    assert reach(cluster, NODE_2).returncode == 0
    with broken(cluster, "partition", "node-1", "node-2"):
        cut = reach(cluster, NODE_2)
        assert cut.returncode == 1
        assert "LOST_ON_THE_LINK" in cut.stdout and "podwire chaos heal" in cut.stdout
        assert reach(cluster, NODE_3).returncode == 0, "other links are whole"
    until(lambda: "" if reach(cluster, NODE_2).returncode == 0 else "still cut", 20)


@pytest.mark.slow
def test_healing_ends_the_command_that_broke_it(cluster: LiveCluster) -> None:
    with broken(cluster, "link", "node-1", "node-2", "--loss", "100%", "--one-way"):
        assert reach(cluster, NODE_2).returncode == 1
        assert podwire("chaos", "heal", "--data-dir", cluster.data_dir).stdout.startswith("healed; ")
        until(lambda: "" if reach(cluster, NODE_2).returncode == 0 else "still cut", 20)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["partition", "node-1", "node-9"], "machine 'node-9': there is no such machine; there are control-plane, "),
        (["partition", "node-1", "node-1"], "node-1 node-1: two machines are needed"),
        (["link", "node-1", "node-2"], "nothing of the link is bad: --delay, "),
        (["link", "node-1", "node-2", "--loss", "7"], "--loss 7: a percentage from 0% to 100% is needed"),
        (["skew", "node-1", "--by", "soon"], "--by soon: a duration is needed"),
    ],
)
def test_what_is_refused(cluster: LiveCluster, arguments: list[str], said: str) -> None:
    done = podwire("chaos", *arguments, "--data-dir", cluster.data_dir)
    assert done.returncode != 0 and said in done.stderr
