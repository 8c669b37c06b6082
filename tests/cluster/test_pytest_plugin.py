"""The pytest plugin as a user meets it: tests of their own, run by a pytest of their own."""

import subprocess
import sys
from pathlib import Path

import pytest

from podwire.scripts.cluster.start import MANIFESTS
from podwire.scripts.testing import plugin

pytest_plugins = ["pytester"]
pytestmark = pytest.mark.timeout(120)

MY_API = (MANIFESTS.parents[1] / "scripts" / "demo" / "my-api.yaml").resolve()
WITH_MANIFESTS = """
from pathlib import Path

import pytest
from podwire.scripts.testing.calls import ClusterError

pytestmark = pytest.mark.podwire(manifests=["my-api.yaml"])

"""


@pytest.fixture
def users(pytester: pytest.Pytester) -> pytest.Pytester:
    """A user's folder with a manifest in it."""
    pytester.path.joinpath("my-api.yaml").write_text(MY_API.read_text())
    pytester.makeini("[pytest]\naddopts = --strict-markers -p no:cacheprovider -p no:asyncio\n")
    return pytester


def test_a_cluster_of_manifests_is_asked_broken_and_looked_back_at(users: pytest.Pytester) -> None:
    users.makepyfile(
        WITH_MANIFESTS
        + """
def test_objects(cluster):
    assert [pod["status"]["phase"] for pod in cluster.get("pods")] == ["Running"] * 3
    assert cluster.get("svc", "my-api")["spec"]["ports"][0]["port"] == 80
    assert "NAME     READY   UP-TO-DATE" in cluster.listing("deploy")

def test_exchanges(cluster):
    assert cluster.reach("debug", "my-api")
    assert cluster.reach("debug", "http://my-api/")
    assert cluster.reach("deploy/debug", "my-api", 8080) is not None
    assert not cluster.reach("debug", "pod/debug", 81)
    assert cluster.reach("node-1", "pod/my-api", 8080).hops
    assert cluster.exec("debug", "curl -s http://my-api").output == "hello from my-api\\n"
    assert cluster.exec("debug", ["sh", "-c", "exit 3"]).code == 3
    assert "default via" in cluster.ssh("node-2", "ip route").output
    assert "socket       tcp LISTEN" in cluster.trace("debug", "my-api").trace

def test_each_test_has_its_own(cluster):
    cluster.delete("svc", "my-api")
    cluster.settle()
    with pytest.raises(ClusterError, match='services "my-api" not found'):
        cluster.get("svc", "my-api")

def test_and_so_it_is_there_again(cluster):
    assert cluster.get("svc", "my-api")

def test_the_past(cluster):
    before = cluster.revision
    text = (Path(__file__).parent / "my-api.yaml").read_text()
    cluster.apply(text.replace("replicas: 2", "replicas: 1", 1))
    assert "my-api   1/1" in cluster.listing("deploy")
    assert "my-api   2/2" in cluster.at(before).listing("deploy")
    assert cluster.at(before).get("deploy", "my-api")["spec"]["replicas"] == 2

def test_time(cluster):
    before = cluster.now
    cluster.wait(90)
    assert 90 <= cluster.now - before < 91

def test_chaos(cluster):
    cluster.chaos.partition("node-1", "node-2")
    assert cluster.reach("node-1", "172.18.0.4").verdict == "no answer"
    cluster.chaos.heal()
    cluster.wait(1)
    assert cluster.reach("node-1", "172.18.0.4")
    cluster.chaos.link("node-1", "node-2", delay=0.1)
    assert cluster.reach("node-1", "172.18.0.4").milliseconds >= 200
    cluster.chaos.power_off("node-2")
    cluster.chaos.heal()
    cluster.wait(60)
    ready = {node["metadata"]["name"]: node["status"]["conditions"][-1]["status"] for node in cluster.get("nodes")}
    assert ready == {"control-plane": "True", "node-1": "True", "node-2": "Unknown"}
    cluster.chaos.kill("kube-proxy@node-1")
    with pytest.raises(ClusterError, match="target 'kube-proxy': 2 such processes; there are apiserver"):
        cluster.chaos.kill("kube-proxy")
"""
    )
    users.runpytest_subprocess().assert_outcomes(passed=7)


@pytest.mark.slow
def test_a_failure_shows_the_rule_that_decided(users: pytest.Pytester) -> None:
    users.makepyfile(
        WITH_MANIFESTS
        + """
def test_reaches(cluster):
    for node in ("node-1", "node-2"):
        cluster.ssh(node, "iptables -I FORWARD -p tcp --dport 8080 -j DROP")
    assert cluster.reach("debug", "my-api", 80)
"""
    )
    done = users.runpytest_subprocess()
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines([
        "E       AssertionError: assert <pod default/debug-* -> my-api = 10.96.*:80: no answer (no answer within 1 s)>",
        "*- podwire: the last exchange -*",
        "dropped on node-*: NETFILTER_DROP rule 1 of chain FORWARD in table filter: -A FORWARD -p tcp * -j DROP *",
        "*── drop         NETFILTER_DROP *",
    ])  # fmt: skip  # lines of output


REFUSED = {
    "manifests=['nope.yaml']": "pytest.mark.podwire: manifests: nope.yaml: no such file in *",
    "nodes=0": "podwire: --nodes 0: a number from 1 to 200 is needed",
    "ip_family='ipv5'": "podwire: --ip-family ipv5: *",
    "size=3": "pytest.mark.podwire: * unexpected keyword argument 'size'; there are podwire(manifests=*",
    "3": "pytest.mark.podwire(3,): its arguments have names: podwire(manifests=*",
    "manifests='bad.yaml'": 'podwire: manifest: no matches for kind "Nothing" in version "v1"',
}


@pytest.mark.slow
def test_what_cannot_be_is_one_line(users: pytest.Pytester) -> None:
    users.path.joinpath("bad.yaml").write_text("apiVersion: v1\nkind: Nothing\n")
    tests = [f"@pytest.mark.podwire({mark})\ndef test_{number}(cluster): pass" for number, mark in enumerate(REFUSED)]
    users.makepyfile("\n\n".join(["import pytest", *tests]))
    done = users.runpytest_subprocess("--tb=short")
    done.assert_outcomes(errors=len(REFUSED))
    for says in REFUSED.values():
        done.stdout.fnmatch_lines([says])
    assert "Traceback" not in done.stdout.str()


@pytest.mark.slow
def test_nothing_is_left_running(users: pytest.Pytester) -> None:
    users.makepyfile("""
def test_it(cluster):
    assert cluster.get("nodes")
""")
    users.runpytest_subprocess().assert_outcomes(passed=1)
    running = [entry for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    lines = [(entry / "cmdline").read_bytes() for entry in running if (entry / "cmdline").exists()]
    assert not [line for line in lines if b"testing.zygote" in line and str(users.path).encode() in line]


def test_who_does_not_use_it_pays_nothing() -> None:
    """The module is imported at every start of pytest: nothing beyond pytest and the standard library comes with it."""
    loads = "import podwire.scripts.testing.plugin"
    code = f"import pytest, sys; before = set(sys.modules); {loads}; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [
        "podwire",
        "podwire.scripts",
        "podwire.scripts.testing",
        "podwire.scripts.testing.plugin",
    ]
    assert not [name for name in dir(plugin) if name == "pytest_addoption"]
