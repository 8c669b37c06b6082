"""`podwire reach` against real processes: the table that the cluster's own rules make."""

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from live_cluster import LiveCluster, podwire

pytestmark = pytest.mark.slow

RULES = """
- {to: "*/my-api-*", port: 80, allowed: true}
- {to: svc/default/my-api, allowed: true}
- {to: "*/my-api-*", port: 82, allowed: false}
"""
DROPPED = "FORWARD -s 172.18.255.0/24 -p tcp --dport 82 -j DROP"
"""Of what comes from hosts that visit the segment."""


def test_the_truth_table_of_a_cluster(cluster: LiveCluster, tmp_path: Path) -> None:
    def reach(*options: str) -> tuple[int, str]:
        chosen = ("--from", "app=my-api", "--nodes", "--external", "--via", "node-1", *options)
        done = podwire("reach", "--data-dir", cluster.data_dir, *chosen)
        assert done.returncode in (0, 1) and "Traceback" not in done.stderr, done.stderr
        return done.returncode, done.stdout

    def iptables(action: str) -> None:
        done = podwire("ssh", "--data-dir", cluster.data_dir, "node-1", f"iptables {action} {DROPPED}")
        assert done.returncode == 0, done.stderr

    file = tmp_path / "reach.yaml"
    file.write_text(RULES)
    iptables("-I")
    try:
        ended, printed = reach("--to", "app=my-api", "--port", "80", "--port", "82", "-o", "json")
        _, shown = reach("--to", "app=my-api", "--port", "82")
        failed, junit = reach("--services", "--expect", str(file), "-o", "junit")
    finally:
        iptables("-D")

    assert ended == 0
    probes = json.loads(printed)["probes"]
    assert len(probes) == (2 + 4 + 1) * 2 * 2
    assert {(each["from"] == "external", each["port"], each["verdict"], each["reason"]) for each in probes} == {
        (False, 80, "reached", "connected"),
        (True, 80, "reached", "connected"),
        (False, 82, "refused", "Connection refused"),
        (True, 82, "no answer", "no answer within 1 s"),
    }
    (row,) = [line.split() for line in shown.splitlines() if line.startswith("external ")]
    assert row == ["external", "-", "-"]
    assert failed == 1
    messages = [entry.get("message") or "" for entry in ElementTree.fromstring(junit).iter("failure")]
    assert messages == ["rule 3 names none of the probes (from * to */my-api-* */82: allowed false)"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--timeout", "1"], "--timeout 1: a duration above 0 and up to 1h is needed, as in 500ms"),
        (["--protocol", "icmp"], "--protocol icmp: tcp, udp or sctp is needed"),
        (["--port", "0"], "--port 0: a number from 1 to 65535 is needed"),
        (["-o", "xml"], "--output xml: table, json, junit, markdown, svg: one of them is needed"),
        (["-n", "nope"], "--namespace nope: no such namespace; namespaces are default, "),
        (["-n", "kube-public"], "--namespace kube-public: no pods there"),
        (["--from", "app=nobody"], "--from app=nobody: no pod in namespace default has such labels"),
        (["--to", "app=nobody"], "--to app=nobody: nothing in namespace default has such labels"),
        (["--via", "node-1"], "--external is needed with it"),
        (["--external", "--via", "node-9"], "--via node-9: no such node; nodes are"),
        (["--expect", "/nothing/here"], "--expect /nothing/here: No such file or directory"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_probed_is_said_in_one_line(cluster: LiveCluster, options: list[str], says: str) -> None:
    done = podwire("reach", "--data-dir", cluster.data_dir, *options)
    assert done.returncode == 2, (done.stdout, done.stderr)
    assert says in done.stderr and len(done.stderr.splitlines()) == 1
