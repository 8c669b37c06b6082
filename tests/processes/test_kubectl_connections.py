"""exec, attach, cp, port-forward and logs with each kubectl: over SPDY or WebSocket, as each speaks."""

import hashlib
import os
import pty
import re
import select
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from kubectl import Kubectl, binaries
from live_cluster import LiveCluster, until

from podwire.scripts.cluster.ports import free_port

CLIENTS = binaries()
OLDEST_AND_NEWEST = {version: CLIENTS[version] for version in list(CLIENTS)[:: max(len(CLIENTS) - 1, 1)]}
pytestmark = [pytest.mark.kubectl, pytest.mark.skipif(not CLIENTS, reason="no kubectl on this machine")]

MANIFEST = """
apiVersion: v1
kind: Pod
metadata: {name: web}
spec: {terminationGracePeriodSeconds: 1, containers: [{name: web, image: nginx}]}
---
apiVersion: v1
kind: Pod
metadata: {name: box}
spec:
  terminationGracePeriodSeconds: 1
  containers:
    - name: box
      image: busybox
      stdin: true
      command: [sh, -c, 'echo started; while read line; do echo got $line; [ "$line" = die ] && exit 1; done; exit 2']
"""


def start(cluster: LiveCluster, version: str, binary: str) -> Kubectl:
    cache = cluster.folder.path.parent / f"kubectl-cache-{version}"
    namespace = "connections-" + re.sub(r"\W", "-", version)
    kubectl = Kubectl(binary, str(cluster.folder.kubeconfig), str(cache), namespace)
    kubectl("create", "-f", "-", stdin=f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: {namespace}}}\n")
    kubectl("apply", "-f", "-", stdin=MANIFEST)
    kubectl("wait", "--for=condition=Ready", "pod/web", "pod/box", "--timeout=20s")
    return kubectl


@pytest.fixture(params=OLDEST_AND_NEWEST.items(), ids=lambda item: item[0])
def kubectl(request: pytest.FixtureRequest, cluster: LiveCluster) -> Iterator[Kubectl]:
    made = start(cluster, *request.param)
    yield made
    made("delete", "namespace", made.namespace, "--wait=false")


@pytest.fixture(params=CLIENTS.items(), ids=lambda item: item[0])
def every_kubectl(request: pytest.FixtureRequest, cluster: LiveCluster) -> Iterator[Kubectl]:
    made = start(cluster, f"all-{request.param[0]}", request.param[1])
    yield made
    made("delete", "namespace", made.namespace, "--wait=false")


def test_the_oldest_and_the_newest_kubectl_exec_and_forward(kubectl: Kubectl) -> None:
    runs_programs(kubectl)
    forwards_ports(kubectl)


@pytest.mark.slow
def test_every_kubectl_connects_in_every_way(every_kubectl: Kubectl, tmp_path: Path) -> None:
    runs_programs(every_kubectl)
    forwards_ports(every_kubectl)
    copies_folders(every_kubectl, tmp_path)
    types_at_terminals(every_kubectl)
    attaches_and_reads_logs(every_kubectl)


def runs_programs(kubectl: Kubectl) -> None:
    failed = kubectl.run("exec", "web", "--", "sh", "-c", "echo out; echo err >&2; exit 3")
    assert (failed.returncode, failed.stdout) == (3, "out\n") and failed.stderr.startswith("err\n")
    random = os.urandom(700_000)
    done = subprocess.run(
        kubectl.command("exec", "-i", "web", "--", "cat"), input=random, capture_output=True, timeout=40, check=True
    )
    assert hashlib.sha256(done.stdout).digest() == hashlib.sha256(random).digest()
    assert "container other is not valid for pod web" in kubectl.refused("exec", "web", "-c", "other", "--", "true")


@contextmanager
def forwarding(kubectl: Kubectl, target: str, port: int) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The local URL of a pod's port, and kubectl."""
    local = free_port()
    running = subprocess.Popen(
        kubectl.command("port-forward", target, f"{local}:{port}"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert running.stdout is not None and "Forwarding from" in running.stdout.readline()
        yield f"http://127.0.0.1:{local}/", running
    finally:
        running.kill()
        running.wait(10)
        if running.stdout is not None:
            running.stdout.close()


def forwards_ports(kubectl: Kubectl) -> None:
    with forwarding(kubectl, "pod/web", 80) as (url, _):
        asked = [subprocess.Popen(["curl", "-s", "-m", "10", url], stdout=subprocess.PIPE) for _ in range(5)]
        assert all(b"Welcome to nginx!" in entry.communicate(timeout=15)[0] for entry in asked)
        closing = ["curl", "-s", "-m", "10", "-H", "Connection: close", url]
        assert b"Welcome to nginx!" in subprocess.run(closing, capture_output=True, timeout=15, check=True).stdout
    with forwarding(kubectl, "pod/web", 81) as (url, running):
        assert subprocess.run(["curl", "-s", "-m", "10", url], timeout=15, check=False).returncode == 52
        said = running.communicate(timeout=15)[0]
        assert "error forwarding port 81 to pod " in said and "connect: connection refused" in said
        assert "lost connection to pod" in said


def contents(folder: Path) -> dict[str, str]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def copies_folders(kubectl: Kubectl, folder: Path) -> None:
    long = Path("n" * 120) / ("m" * 60)
    for name, size in (("a.bin", 1_000_000), ("sub/ü.bin", 777), (str(long / "x"), 10), ("empty", 0)):
        path = folder / "from" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(size))
    for pod in ("web", "box"):
        kubectl("cp", str(folder / "from"), f"{pod}:/tmp/copy")
        kubectl("cp", f"{pod}:/tmp/copy", str(folder / pod))
        assert contents(folder / pod) == contents(folder / "from")


def at_terminal(command: list[str], script: list[tuple[str, str]], seconds: float = 30) -> tuple[str, int]:
    """What a command printed on a terminal, and its exit code; each (awaited, typed) follows the one before."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(command[0], command)
    output, looked, waiting, deadline = "", 0, list(script), time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not select.select([terminal], [], [], 0.2)[0]:
            continue
        try:
            data = os.read(terminal, 4096)
        except OSError:
            break
        output += data.decode(errors="replace")
        if waiting and waiting[0][0] in output[looked:]:
            looked = len(output)
            os.write(terminal, waiting.pop(0)[1].encode())
    else:
        os.kill(pid, signal.SIGKILL)
        output += "<not ended in time>"
    os.close(terminal)
    return output, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def types_at_terminals(kubectl: Kubectl) -> None:
    typed = [("# ", "echo sum-$((1+2))\n"), ("sum-3", "exit 7\n")]
    output, code = at_terminal(kubectl.command("exec", "-it", "web", "--", "sh"), typed)
    assert (code, "sum-3" in output) == (7, True), output
    run = ["run", "tmp", "--rm", "-it", "--image=busybox", "--restart=Never", "--", "sh"]
    output, code = at_terminal(kubectl.command(*run), [("press", "\n"), *typed])
    assert code == 7 and "sum-3" in output and 'pod "tmp" deleted' in output, output
    quick = ["run", "quick", "--rm", "-i", "--image=busybox", "--restart=Never", "--", "cat"]
    assert kubectl(*quick, stdin="through\n").startswith("through\n")


def attaches_and_reads_logs(kubectl: Kubectl) -> None:
    following = subprocess.Popen(kubectl.command("logs", "-f", "box"), stdout=subprocess.PIPE, text=True)
    assert following.stdout is not None and following.stdout.readline() == "started\n"
    attached = subprocess.run(
        kubectl.command("attach", "-i", "box"),
        input="one\ndie\n",
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert "got one\ngot die\n" in attached.stdout and "started" not in attached.stdout
    assert following.communicate(timeout=15)[0] == "got one\ngot die\n"
    until(lambda: kubectl.run("logs", "--previous", "box").stderr, 20)
    assert kubectl("logs", "--previous", "--tail=2", "box") == "got one\ngot die\n"
    stamped = kubectl("logs", "--previous", "--timestamps", "--limit-bytes=39", "box")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:]+\.\d{9}Z started\n", stamped)
    assert kubectl("logs", "--since=1h", "box") == "started\n"
    assert kubectl("logs", "box", "--all-containers", "--prefix") == "[pod/box/box] started\n"
