"""`podwire history` over real processes: the same past from a running cluster, a stopped one and an exported file."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from live_cluster import WORKLOAD, LiveCluster, podwire, until

from podwire.proto.kube import resources

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


BREAKING = {"spec": {"ports": [{"port": 80, "targetPort": 81, "protocol": "TCP"}]}}


def history(*arguments: str, code: int = 0) -> str:
    done = podwire("history", *arguments)
    assert done.returncode == code and "Traceback" not in done.stderr, (done.stdout, done.stderr)
    return done.stdout if code != 2 else done.stderr


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LiveCluster, Path, dict[str, str]]]:
    """A cluster that ran a workload and was stopped, what it said of its past while it ran, and its exported log."""
    cluster = LiveCluster(tmp_path_factory.mktemp("history"))
    cluster.up()
    try:
        cluster.apply(*WORKLOAD)
        until(lambda: cluster.serving("my-api", 2), 30)
        assert podwire("trace", "--data-dir", cluster.data_dir, "node-1", "my-api:80").returncode == 0
        broken = cluster.run(lambda client: client.api.patch(resources.SERVICES, "default", "my-api", BREAKING))
        here = ("--data-dir", cluster.data_dir)
        created = json.loads(history(*here, "--name", "my-api", "--kind", "svc", "-o", "json"))[0]
        file = cluster.folder.path.parent / "exported"
        history("export", str(file), *here)
        told = {"before": str(created["revision"] - 1), "at": str(created["revision"]), "by": created["user"]}
        told["broken"] = broken["metadata"]["resourceVersion"]
        for name in ("pods", "svc"):
            told[name] = history("get", name, "-A", "-o", "wide", "--at", told["at"], *here)
        cluster.down()
        yield cluster, file, told
    finally:
        cluster.close()


def test_the_past_is_the_same_wherever_it_is_read(stopped: tuple[LiveCluster, Path, dict[str, str]]) -> None:
    cluster, file, told = stopped
    assert "my-api" in told["svc"] and told["by"] == "system:operator"
    for source in (("--data-dir", cluster.data_dir), ("--log", str(file))):
        for name in ("pods", "svc"):
            assert history("get", name, "-A", "-o", "wide", "--at", told["at"], *source) == told[name]
        assert "my-api" not in history("--at", told["before"], *source, "get", "svc")
        assert "created  v1.Service.default.my-api" in history(
            "diff", told["before"], told["at"], "-q", *source, code=1
        )  # fmt: skip  # one question


def test_what_is_said_before_the_subcommand_counts_more_than_the_environment(
    stopped: tuple[LiveCluster, Path, dict[str, str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _, file, told = stopped
    monkeypatch.setenv("PODWIRE_DATA_DIR", str(tmp_path / "none"))
    wanted = ("get", "svc", "-A", "-o", "wide", "--at", told["at"])
    assert history("--log", str(file), *wanted) == history(*wanted, "--log", str(file)) == told["svc"]


def test_the_change_that_broke_reachability_is_found(
    stopped: tuple[LiveCluster, Path, dict[str, str]], tmp_path: Path
) -> None:
    _, file, told = stopped
    rules = tmp_path / "reach.yaml"
    rules.write_text("- {from: default/my-api-*, to: svc/default/my-api, port: 80, allowed: true}\n")
    question = ("bisect", "--expect", str(rules), "--log", str(file))
    found = json.loads(history(*question, "-o", "json"))
    assert str(found["bad"]) == told["broken"] and found["good"] < found["bad"]
    assert found["change"]["name"] == "my-api" and found["change"]["resource"] == "services"
    assert [(each["what"], each["kind"]) for each in found["objects"]] == [("changed", "Service")]
    assert "but rule 1 wants it allowed" in found["differences"][0]
    assert "NO_SOCKET no TCP socket on port 81" in found["cause"]
    refused = history(*question, "--bad", str(int(told["broken"]) - 1), code=2)
    assert "all is as the rules want it there" in refused


def test_packets_come_with_the_log(stopped: tuple[LiveCluster, Path, dict[str, str]]) -> None:
    _, file, _ = stopped
    assert "socket       tcp LISTEN" in history("packets", "--log", str(file))


def test_what_is_not_there_is_said_in_one_line(
    stopped: tuple[LiveCluster, Path, dict[str, str]], tmp_path: Path
) -> None:
    _, file, _ = stopped
    cut = tmp_path / "cut"
    cut.write_bytes(file.read_bytes()[:-100])
    for arguments, says in (
        (("--log", str(cut)), "the file ends too early"),
        (("--log", str(file), "--at", "999999"), "the log ends at revision"),
        (("get", "nothing", "--log", str(file)), 'the server doesn\'t have a resource type "nothing"'),
        (("-n", "default", "get", "pods"), "get: only --at, --log and --data-dir may stand before it"),
        (("--data-dir", str(tmp_path / "none")), "there is no event log"),
    ):
        error = history(*arguments, code=2)
        assert says in error and len(error.splitlines()) == 1


def test_a_fork_lives_on_from_that_point(stopped: tuple[LiveCluster, Path, dict[str, str]], tmp_path: Path) -> None:
    _, file, told = stopped
    forked = LiveCluster(tmp_path)
    try:
        history("fork", "--log", str(file), "--at", told["at"], "--data-dir", forked.data_dir)
        until(lambda: forked.missing() or forked.serving("my-api", 2), 30)
        service = forked.run(lambda client: client.api.get(resources.SERVICES, "default", "my-api"))
        assert service["metadata"]["resourceVersion"] == told["at"]
        assert (
            history("get", "svc", "-A", "-o", "wide", "--at", told["at"], "--data-dir", forked.data_dir) == told["svc"]
        )
        until(lambda: forked.connect("node-1"), 30)
        forked.down()
        forked.up()  # and is a cluster like any other
        until(lambda: forked.missing() or forked.connect("node-1"), 30)
    finally:
        forked.close()


def test_changes_are_followed_as_they_happen(tmp_path: Path) -> None:
    cluster = LiveCluster(tmp_path)
    cluster.up()
    command = [sys.executable, "-m", "podwire.scripts", "history", "-f", "--name", "told", "-o", "json"]
    body: dict[str, Any] = {"metadata": {"name": "told"}, "data": {"a": "1"}}
    patch = {"data": {"a": "2"}}
    try:
        with subprocess.Popen(
            [*command, "--data-dir", cluster.data_dir], stdout=subprocess.PIPE, text=True
        ) as following:
            assert following.stdout is not None
            cluster.apply((resources.CONFIG_MAPS, body))
            cluster.run(lambda client: client.api.patch(resources.CONFIG_MAPS, "default", "told", patch))
            first, second = (json.loads(following.stdout.readline()) for _ in range(2))
            following.send_signal(signal.SIGINT)
            assert following.wait(timeout=30) in (0, 130)
    finally:
        cluster.close()
    assert (first["verb"], second["verb"]) == ("create", "update")
    assert second["fields"] == [{"path": "data.a", "before": "1", "after": "2"}]
