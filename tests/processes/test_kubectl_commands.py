"""Every kubectl command that people type, on each version that is found; docs/kubectl.md is written from this run.

`pytest tests/processes/test_kubectl_commands.py --write-kubectl-table` writes the table.
"""

import hashlib
import os
import re
import signal
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from kubectl import Kubectl, binaries, in_namespace
from live_cluster import LiveCluster, until

BINARIES = binaries()
pytestmark = [
    pytest.mark.kubectl,
    pytest.mark.slow,
    pytest.mark.timeout(120),
    pytest.mark.skipif(not BINARIES, reason="no kubectl on this machine"),
]

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
        - {name: web, image: "nginx:1.27", ports: [{containerPort: 80}]}
"""
BOX = """
apiVersion: v1
kind: Pod
metadata: {name: box, labels: {app: box}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
    - {name: box, image: "busybox:1.36", command: [sleep, infinity]}
    - {name: side, image: "busybox:1.36", command: [sh, -c, "while true; do echo tick; sleep 1; done"]}
"""
READY = "--timeout=30s"


@pytest.fixture(scope="module", params=BINARIES.items(), ids=lambda item: item[0])
def kubectl(request: pytest.FixtureRequest, cluster: LiveCluster) -> Iterator[Kubectl]:
    version, binary = request.param
    made = in_namespace(binary, version, cluster.folder.kubeconfig, "commands")
    made("apply", "-f", "-", stdin=DEPLOYMENT)
    made("apply", "-f", "-", stdin=BOX)
    made("rollout", "status", "deployment/web", READY)
    made("wait", "--for=condition=Ready", "pod/box", READY)
    yield made
    made("delete", "namespace", made.namespace, READY)


def apply(kubectl: Kubectl, text: str, *more: str) -> str:
    return kubectl("apply", "-f", "-", *more, stdin=text)


# -- reading


def natural(name: str) -> list[str | int]:
    """kubectl sorts numbers inside names as numbers (sortorder.NaturalLess)."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


def test_get_in_every_output_format(kubectl: Kubectl) -> None:
    assert kubectl("get", "pod", "box", "-o", "name") == "pod/box\n"
    assert kubectl.object("pod", "box")["metadata"]["name"] == "box"
    assert '"kind": "Pod"' in kubectl("get", "pod", "box", "-o", "json")
    assert kubectl("get", "pod", "box", "-o", "jsonpath={.spec.containers[*].name}") == "box side"
    assert kubectl("get", "pod", "box", "-o", "go-template={{.metadata.name}}") == "box"
    columns = kubectl(
        "get", "pods", "-o", "custom-columns=NAME:.metadata.name,APP:.metadata.labels.app", "--no-headers"
    )
    assert ["box", "box"] in [line.split() for line in columns.splitlines()]
    assert list(kubectl.rows("get", "pods", "-o", "wide")[0])[-2:] == ["NOMINATED NODE", "READINESS GATES"]
    assert kubectl.rows("get", "pods", "--show-labels", "-l", "app=box")[0]["LABELS"] == "app=box"
    assert kubectl.rows("get", "pods", "-L", "app", "--field-selector", "metadata.name=box")[0]["APP"] == "box"
    names = kubectl("get", "pods", "--sort-by=.metadata.name", "-o", "name").split()
    assert names == sorted(names, key=natural)
    assert "deployment.apps/web" in kubectl("get", "all")
    assert kubectl("get", "pods", "--chunk-size=1", "-o", "name").split() == names
    assert '"kind":"Pod"' in kubectl("get", "--raw", f"/api/v1/namespaces/{kubectl.namespace}/pods/box")


def test_describe(kubectl: Kubectl) -> None:
    pod = kubectl("describe", "pod", "box")
    assert re.search(r"^Status:\s+Running$", pod, re.MULTILINE) and "Successfully assigned" in pod
    assert "NewReplicaSet:" in kubectl("describe", "deployment", "web")
    assert "Allocated resources:" in kubectl("describe", "node", "node-1")
    for kind in ("service/kubernetes", "serviceaccount/default", "endpoints/kubernetes", "configmap/kube-root-ca.crt"):
        assert kubectl("describe", kind, "-n", "default").startswith("Name:")


def test_explain(kubectl: Kubectl) -> None:
    assert "FIELDS" in kubectl("explain", "pod").upper()
    assert "containerPort" in kubectl("explain", "deployment.spec.template.spec.containers.ports")
    assert "activeDeadlineSeconds" in kubectl("explain", "job.spec", "--recursive")


def test_api_resources_and_versions(kubectl: Kubectl) -> None:
    listed = kubectl.rows("api-resources")
    assert {"pods", "statefulsets", "networkpolicies", "cronjobs"} <= {row["NAME"] for row in listed}
    assert "batch/v1" in kubectl("api-versions").split()
    assert "v1.33" in kubectl("version")
    assert "is running at" in kubectl("cluster-info")


def test_events(kubectl: Kubectl) -> None:
    assert "Scheduled" in kubectl("get", "events", "--field-selector", "involvedObject.name=box")
    assert "Scheduled" in kubectl("events", "--for", "pod/box")


def test_wait(kubectl: Kubectl) -> None:
    apply(kubectl, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: waited}\n")
    waiting = kubectl.start("wait", "--for=delete", "configmap/waited", READY)
    kubectl("delete", "configmap", "waited")
    assert waiting.wait(timeout=30) == 0
    waiting.communicate(timeout=5)
    assert "condition met" in kubectl("wait", "--for=condition=Available", "deployment/web", READY)
    assert "condition met" in kubectl("wait", "--for=jsonpath={.status.phase}=Running", "pod/box", READY)


def test_auth(kubectl: Kubectl) -> None:
    assert kubectl("auth", "can-i", "create", "pods") == "yes\n"
    assert kubectl.run("auth", "can-i", "list", "pods", "--as", "nobody").stdout == "no\n"
    assert "*.*" in kubectl("auth", "can-i", "--list")


def test_auth_whoami(kubectl: Kubectl, record_property: Callable[[str, object], None]) -> None:
    """kubectl 1.27 asks only for v1alpha1 and v1beta1, which Kubernetes 1.33 does not serve any more."""
    if kubectl.binary.endswith("1.27"):
        record_property("shown", "as 1.33")
        assert "the selfsubjectreviews API is not enabled in the cluster" in kubectl.refused("auth", "whoami")
        return
    assert {row["ATTRIBUTE"]: row["VALUE"] for row in kubectl.rows("auth", "whoami")}["Username"] == "kubernetes-admin"
    acting = ("--as", "ann", "--as-uid", "u-1", "--as-group", "devs")
    told = yaml.safe_load(kubectl("auth", "whoami", "-o", "yaml", *acting))["status"]["userInfo"]
    assert told == {"username": "ann", "uid": "u-1", "groups": ["devs", "system:authenticated"]}


# -- changing


def test_apply_and_diff(kubectl: Kubectl) -> None:
    text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: applied}\ndata: {a: '1', b: '2'}\n"
    assert apply(kubectl, text) == "configmap/applied created\n"
    assert apply(kubectl, text) == "configmap/applied unchanged\n"
    changed = text.replace("b: '2'", "c: '3'")
    differs = kubectl.run("diff", "-f", "-", stdin=changed)
    assert differs.returncode == 1 and "-  b:" in differs.stdout and "+  c:" in differs.stdout
    assert "configured (server dry run)" in apply(kubectl, changed, "--dry-run=server")
    assert apply(kubectl, changed) == "configmap/applied configured\n"
    assert kubectl.object("configmap", "applied")["data"] == {"a": "1", "c": "3"}
    assert kubectl.run("diff", "-f", "-", stdin=changed).returncode == 0


def test_apply_on_the_server(kubectl: Kubectl) -> None:
    text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: owned}\ndata: {a: '1', b: '2'}\n"
    assert apply(kubectl, text, "--server-side") == "configmap/owned serverside-applied\n"
    shorter = text.replace(", b: '2'", "")
    assert kubectl.run("diff", "--server-side", "-f", "-", stdin=shorter).returncode == 1
    apply(kubectl, shorter, "--server-side")
    assert kubectl.object("configmap", "owned")["data"] == {"a": "1"}
    other = shorter.replace("'1'", "'9'")
    refused = kubectl.refused("apply", "--server-side", "--field-manager=other", "-f", "-", stdin=other)
    assert 'conflict with "kubectl": .data.a' in refused
    apply(kubectl, other, "--server-side", "--field-manager=other", "--force-conflicts")
    shown = kubectl("get", "configmap", "owned", "-o", "yaml", "--show-managed-fields")
    assert [entry["manager"] for entry in yaml.safe_load(shown)["metadata"]["managedFields"]] == ["other"]


def test_scale(kubectl: Kubectl) -> None:
    assert kubectl("scale", "deployment/web", "--replicas=3") == "deployment.apps/web scaled\n"
    kubectl("rollout", "status", "deployment/web", READY)
    assert kubectl("scale", "deployment/web", "--current-replicas=3", "--replicas=2") == "deployment.apps/web scaled\n"
    assert "Expected replicas to be 9, was 2" in kubectl.refused(
        "scale", "deployment/web", "--current-replicas=9", "--replicas=1"
    )


def test_label_and_annotate(kubectl: Kubectl) -> None:
    assert kubectl("label", "pod", "box", "colour=red") == "pod/box labeled\n"
    assert "already has a value" in kubectl.refused("label", "pod", "box", "colour=blue")
    kubectl("label", "pod", "box", "colour=blue", "--overwrite")
    assert kubectl("get", "pods", "-l", "colour=blue", "-o", "name") == "pod/box\n"
    assert kubectl("label", "pod", "box", "colour-") == "pod/box unlabeled\n"
    # 1.27 says "annotate".
    assert kubectl("annotate", "pod", "box", "note=yes").startswith("pod/box annotate")
    assert kubectl.object("pod", "box")["metadata"]["annotations"]["note"] == "yes"


def test_patch_in_three_ways(kubectl: Kubectl) -> None:
    text = "apiVersion: v1\nkind: Service\nmetadata: {name: patched}\nspec: {ports: [{name: a, port: 80}]}\n"
    apply(kubectl, text)
    kubectl("patch", "service", "patched", "-p", '{"spec":{"ports":[{"name":"b","port":81}]}}')
    assert len(kubectl.object("service", "patched")["spec"]["ports"]) == 2
    kubectl("patch", "service", "patched", "--type=merge", "-p", '{"spec":{"ports":[{"name":"c","port":82}]}}')
    assert [port["name"] for port in kubectl.object("service", "patched")["spec"]["ports"]] == ["c"]
    kubectl(
        "patch", "service", "patched", "--type=json", "-p", '[{"op":"replace","path":"/spec/ports/0/port","value":83}]'
    )
    assert kubectl.object("service", "patched")["spec"]["ports"][0]["port"] == 83
    kubectl("patch", "deployment", "web", "--subresource=status", "--type=merge", "-p", '{"status":{}}')


def test_replace_and_edit(kubectl: Kubectl, tmp_path: Path) -> None:
    apply(kubectl, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: replaced}\ndata: {a: '1'}\n")
    body = kubectl.object("configmap", "replaced") | {"data": {"a": "2"}}
    assert kubectl("replace", "-f", "-", stdin=yaml.safe_dump(body)) == "configmap/replaced replaced\n"
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nsed -i \'s/a: "2"/a: "3"/\' "$1"\n')
    editor.chmod(0o755)
    command = kubectl.command("edit", "configmap", "replaced")
    done = subprocess.run(command, env=os.environ | {"EDITOR": str(editor)}, capture_output=True, text=True, timeout=30)
    assert done.stdout == "configmap/replaced edited\n", done.stderr
    assert kubectl.object("configmap", "replaced")["data"] == {"a": "3"}
    assert "replaced" in kubectl("replace", "--force", "-f", "-", stdin=yaml.safe_dump(body))


def test_rollout_status_history_undo_pause_and_restart(kubectl: Kubectl) -> None:
    text = DEPLOYMENT.replace("name: web, labels", "name: rolled, labels").replace("app: web", "app: rolled")
    apply(kubectl, text)
    kubectl("rollout", "status", "deployment/rolled", READY)
    kubectl("annotate", "deployment/rolled", "kubernetes.io/change-cause=first")
    kubectl("set", "image", "deployment/rolled", "web=nginx:1.28")
    kubectl("annotate", "deployment/rolled", "kubernetes.io/change-cause=second", "--overwrite")
    assert "successfully rolled out" in kubectl("rollout", "status", "deployment/rolled", READY)
    history = kubectl("rollout", "history", "deployment/rolled")
    assert re.search(r"^1\s+first$", history, re.MULTILINE) and re.search(r"^2\s+second$", history, re.MULTILINE)
    assert "nginx:1.28" in kubectl("rollout", "history", "deployment/rolled", "--revision=2")
    assert kubectl("rollout", "undo", "deployment/rolled") == "deployment.apps/rolled rolled back\n"
    kubectl("rollout", "status", "deployment/rolled", READY)
    assert kubectl.object("deployment", "rolled")["spec"]["template"]["spec"]["containers"][0]["image"] == "nginx:1.27"
    assert kubectl("rollout", "pause", "deployment/rolled") == "deployment.apps/rolled paused\n"
    kubectl("set", "env", "deployment/rolled", "A=1")
    sets = kubectl.object("replicasets", "-l", "app=rolled")["items"]
    assert len(sets) == 2
    assert kubectl("rollout", "resume", "deployment/rolled") == "deployment.apps/rolled resumed\n"
    kubectl("rollout", "restart", "deployment/rolled")
    kubectl("rollout", "status", "deployment/rolled", READY)
    kubectl("delete", "deployment", "rolled")


SET = """
apiVersion: apps/v1
kind: {kind}
metadata: {{name: {name}}}
spec:
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{{name: a, image: "nginx:1"}}]
"""


def test_rollout_of_stateful_and_daemon_sets(kubectl: Kubectl) -> None:
    for kind, short in (("StatefulSet", "sts"), ("DaemonSet", "ds")):
        name = f"rolled-{short}"
        text = SET.format(kind=kind, name=name) + ("  serviceName: a\n  replicas: 2\n" if short == "sts" else "")
        apply(kubectl, text)
        kubectl("rollout", "status", f"{short}/{name}", READY)
        kubectl("set", "image", f"{short}/{name}", "a=nginx:2")
        kubectl("rollout", "status", f"{short}/{name}", READY)
        assert len(re.findall(r"^\d+\s", kubectl("rollout", "history", f"{short}/{name}"), re.MULTILINE)) == 2
        kubectl("rollout", "undo", f"{short}/{name}")
        kubectl("rollout", "status", f"{short}/{name}", READY)
        template_now = kubectl.object(short, name)["spec"]["template"]["spec"]
        assert template_now["containers"][0]["image"] == "nginx:1"
        kubectl("delete", short, name)


GENERATORS = {
    "configmap": ["configmap", "made", "--from-literal=a=1"],
    "secret": ["secret", "generic", "made", "--from-literal=a=1"],
    "secret docker-registry": [
        "secret", "docker-registry", "registry", "--docker-server=r", "--docker-username=u", "--docker-password=p",
    ],
    "deployment": ["deployment", "made", "--image=nginx"],
    "service": ["service", "clusterip", "made", "--tcp=80:80"],
    "nodeport": ["service", "nodeport", "made-np", "--tcp=80"],
    "externalname": ["service", "externalname", "made-en", "--external-name=example.com"],
    "job": ["job", "made", "--image=busybox", "--", "true"],
    "cronjob": ["cronjob", "made", "--image=busybox", "--schedule=*/5 * * * *", "--", "true"],
    "ingress": ["ingress", "made", "--rule=example.com/*=made:80"],
    "poddisruptionbudget": ["poddisruptionbudget", "made", "--selector=app=made", "--min-available=1"],
    "quota": ["quota", "made", "--hard=pods=10"],
    "role": ["role", "made", "--verb=get", "--resource=pods"],
    "rolebinding": ["rolebinding", "made", "--role=made", "--user=ann"],
    "serviceaccount": ["serviceaccount", "made"],
    "token": ["token", "default"],
}  # fmt: skip


@pytest.mark.parametrize("what", GENERATORS)
def test_create(kubectl: Kubectl, what: str) -> None:
    said = kubectl("create", *GENERATORS[what])
    assert said.endswith(" created\n") or (what == "token" and said.count(".") == 2), said


def test_create_what_has_no_namespace(kubectl: Kubectl) -> None:
    name = kubectl.namespace
    for what, *more in (
        ("namespace",),
        ("clusterrole", "--verb=get", "--resource=nodes"),
        ("clusterrolebinding", "--clusterrole=view", "--user=ann"),
        ("priorityclass", "--value=1000"),
    ):
        assert kubectl("create", what, f"{name}-made", *more).endswith(" created\n")
        kubectl("delete", what, f"{name}-made", "--timeout=30s")


def test_expose_and_autoscale(kubectl: Kubectl) -> None:
    assert kubectl("expose", "deployment/web", "--name=exposed", "--port=80") == "service/exposed exposed\n"
    assert kubectl.object("service", "exposed")["spec"]["selector"] == {"app": "web"}
    said = kubectl("autoscale", "deployment/web", "--min=2", "--max=4", "--cpu-percent=80")
    assert said == "horizontalpodautoscaler.autoscaling/web autoscaled\n"
    assert kubectl.rows("get", "hpa", "web")[0]["MAXPODS"] == "4"
    kubectl("delete", "hpa", "web")


# -- talking to containers


def test_run_rm_it(kubectl: Kubectl) -> None:
    run = ("--image=busybox:1.36", "--rm", "-it", "--restart=Never", "--")
    code, shown = kubectl.terminal("run", "asked", *run, "nslookup", "kubernetes.default")
    assert "10.96.0.1" in shown and 'pod "asked" deleted' in shown, shown
    assert code in (0, 1)
    code, shown = kubectl.terminal(
        "run", "shell", *run, "sh", typed="\necho a-$((40 + 2))\nexit\n", after="pressing enter"
    )
    assert "a-42" in shown and 'pod "shell" deleted' in shown, shown
    assert code == 0


def test_exec(kubectl: Kubectl) -> None:
    done = kubectl.run("exec", "box", "-c", "box", "--", "sh", "-c", "echo out; echo err >&2; exit 3")
    assert (done.returncode, done.stdout) == (3, "out\n") and done.stderr.startswith("err\n")
    assert kubectl("exec", "-i", "box", "-c", "box", "--", "wc", "-c", stdin="x" * 100_000).split() == ["100000"]
    code, shown = kubectl.terminal(
        "exec", "-it", "box", "-c", "box", "--", "sh", typed="stty size; tty; exit 7\n", after="# "
    )
    assert code == 7 and "\n33 101\r\n/dev/pts/0\r\n" in shown, shown
    assert "web-" in kubectl("exec", "deploy/web", "--", "hostname")


def test_attach(kubectl: Kubectl) -> None:
    attached = kubectl.start("attach", "box", "-c", "side")
    assert attached.stdout is not None
    assert attached.stdout.readline() == "tick\n"
    attached.send_signal(signal.SIGINT)
    attached.communicate(timeout=10)


def test_cp(kubectl: Kubectl, tmp_path: Path) -> None:
    folder = tmp_path / "sent"
    (folder / "inner").mkdir(parents=True)
    (folder / "bytes").write_bytes(bytes(range(256)) * 4096)
    (folder / "inner" / "text").write_text("hello\n")
    kubectl("cp", str(folder), "box:/tmp/sent", "-c", "box")
    assert kubectl("exec", "box", "-c", "box", "--", "cat", "/tmp/sent/inner/text") == "hello\n"
    kubectl("cp", "box:/tmp/sent", str(tmp_path / "back"), "-c", "box")
    sums = [hashlib.sha256((place / "bytes").read_bytes()).hexdigest() for place in (folder, tmp_path / "back")]
    assert sums[0] == sums[1]


def test_port_forward(kubectl: Kubectl) -> None:
    forwarding = kubectl.start("port-forward", "deploy/web", ":80")
    assert forwarding.stdout is not None
    try:
        said = forwarding.stdout.readline()
        port = re.search(r"127\.0\.0\.1:(\d+) -> 80", said)
        assert port, said
        for _ in range(3):
            with urllib.request.urlopen(f"http://127.0.0.1:{port[1]}/", timeout=10) as answer:
                assert b"Welcome to nginx!" in answer.read()
        done = subprocess.run(["curl", "-s", f"http://127.0.0.1:{port[1]}/"], capture_output=True, timeout=10)
        assert b"Welcome to nginx!" in done.stdout
    finally:
        forwarding.kill()
        forwarding.communicate(timeout=10)


def test_proxy_to_a_service(kubectl: Kubectl) -> None:
    kubectl("expose", "deployment/web", "--name=proxied", "--port=80")
    path = f"/api/v1/namespaces/{kubectl.namespace}/services/proxied:80/proxy/"
    until(lambda: kubectl.run("get", "--raw", path).stderr, 10)
    assert "Welcome to nginx!" in kubectl("get", "--raw", path)


def test_logs(kubectl: Kubectl) -> None:
    following = kubectl.start("logs", "-f", "box", "-c", "side", "--since=2s")
    assert following.stdout is not None
    assert [following.stdout.readline() for _ in range(3)] == ["tick\n"] * 3
    following.kill()
    following.communicate(timeout=10)
    assert kubectl("logs", "box", "-c", "side", "--tail=2") == "tick\ntick\n"
    stamped = kubectl("logs", "box", "-c", "side", "--tail=1", "--timestamps")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z tick\n", stamped)
    assert "[pod/box/side] tick" in kubectl("logs", "-l", "app=box", "--all-containers", "--prefix", "--tail=1")
    apply(kubectl, CRASHING)
    until(lambda: "" if _restarts(kubectl) else "no restart", 20)
    assert kubectl("logs", "crashing", "--previous") == "once\n"
    kubectl("delete", "pod", "crashing")


CRASHING = """
apiVersion: v1
kind: Pod
metadata: {name: crashing}
spec: {containers: [{name: a, image: busybox, command: [sh, -c, "echo once; exit 1"]}]}
"""


def _restarts(kubectl: Kubectl) -> int:
    statuses = kubectl.object("pod", "crashing")["status"].get("containerStatuses") or [{}]
    return int(statuses[0].get("restartCount", 0))


def test_debug(kubectl: Kubectl) -> None:
    code, shown = kubectl.terminal(
        "debug", "box", "-it", "--image=busybox:1.36", "--target=box", "--", "sh", "-c", "echo debugging; hostname"
    )
    assert code == 0 and "debugging" in shown and "box" in shown, shown
    assert kubectl.object("pod", "box")["spec"]["ephemeralContainers"][0]["targetContainerName"] == "box"
    code, shown = kubectl.terminal(
        "debug", "node/node-1", "-it", "--image=busybox:1.36", "--", "sh", "-c", "ls /host/etc/cni/net.d; ip addr"
    )
    assert code == 0 and "10-flannel.conflist" in shown and "cni0" in shown, shown


# -- nodes


def test_cordon_drain_and_uncordon(kubectl: Kubectl) -> None:
    text = DEPLOYMENT.replace("name: web, labels", "name: moved, labels").replace("app: web", "app: moved")
    apply(kubectl, text)
    kubectl("rollout", "status", "deployment/moved", READY)
    kubectl("create", "poddisruptionbudget", "moved", "--selector=app=moved", "--max-unavailable=1")
    try:
        assert kubectl("cordon", "node-2") == "node/node-2 cordoned\n"
        assert kubectl.rows("get", "node", "node-2")[0]["STATUS"] == "Ready,SchedulingDisabled"
        chosen = "--pod-selector=app in (moved)"
        drained = kubectl("drain", "node-2", "--ignore-daemonsets", "--delete-emptydir-data", chosen, "--timeout=60s")
        assert "node/node-2 drained" in drained
        kubectl("rollout", "status", "deployment/moved", READY)
        placed = kubectl("get", "pods", "-l", "app=moved", "-o", "jsonpath={.items[*].spec.nodeName}").split()
        assert "node-2" not in placed
    finally:
        assert "uncordoned" in kubectl("uncordon", "node-2")
        kubectl("delete", "deployment/moved", "pdb/moved")


def test_taint(kubectl: Kubectl) -> None:
    assert kubectl("taint", "node", "node-3", f"{kubectl.namespace}=x:PreferNoSchedule") == "node/node-3 tainted\n"
    assert kubectl("taint", "node", "node-3", f"{kubectl.namespace}-") == "node/node-3 untainted\n"


# -- deleting


@pytest.mark.parametrize("cascade", ["background", "foreground", "orphan"])
def test_delete_with_each_cascade(kubectl: Kubectl, cascade: str) -> None:
    name = f"gone-{cascade}"
    text = DEPLOYMENT.replace("name: web, labels", f"name: {name}, labels").replace("app: web", f"app: {name}")
    apply(kubectl, text)
    kubectl("rollout", "status", f"deployment/{name}", READY)
    kubectl("delete", "deployment", name, f"--cascade={cascade}", "--timeout=30s")
    assert "NotFound" in kubectl.refused("get", "deployment", name)
    if cascade == "orphan":
        [kept] = kubectl.object("replicasets", "-l", f"app={name}")["items"]
        assert "ownerReferences" not in kept["metadata"]
        assert len(kubectl("get", "pods", "-l", f"app={name}", "-o", "name").split()) == 2
        kubectl("delete", "replicaset", "-l", f"app={name}")
    if cascade == "foreground":
        assert kubectl("get", "replicasets", "-l", f"app={name}", "-o", "name") == ""
    until(lambda: kubectl("get", "pods", "-l", f"app={name}", "-o", "name"), 15)


def test_delete_now_and_all(kubectl: Kubectl) -> None:
    for number in range(3):
        kubectl("run", f"many-{number}", "--image=busybox", "--labels=many=1", "--", "sleep", "infinity")
    said = kubectl("delete", "pods", "-l", "many=1", "--grace-period=0", "--force", "--wait=false")
    assert said.count("force deleted") == 3
    kubectl("create", "configmap", "all-of-them")
    assert 'configmap "all-of-them" deleted' in kubectl("delete", "configmap", "--all")
