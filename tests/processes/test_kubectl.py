"""Sessions of the real kubectl, each supported version: what a person types on a real cluster works and looks alike."""

import re
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from kubectl import Kubectl, binaries, in_namespace, table
from live_cluster import LiveCluster, until

MANIFEST = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: my-api, labels: {app: my-api}}
spec:
  replicas: 2
  selector: {matchLabels: {app: my-api}}
  template:
    metadata: {labels: {app: my-api}}
    spec:
      containers:
        - {name: web, image: "nginx:1.27", ports: [{containerPort: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: my-api}
spec:
  selector: {app: my-api}
  ports: [{port: 80, targetPort: 80}]
---
apiVersion: v1
kind: Pod
metadata: {name: client}
spec:
  containers:
    - {name: client, image: curlimages/curl, command: [sleep, infinity]}
  terminationGracePeriodSeconds: 1
"""


NEWEST = {"1.30", "1.31", "1.32", "1.33"}
BINARIES = {version: path for version, path in binaries().items() if version in NEWEST or version == "kubectl"}
pytestmark = [pytest.mark.kubectl, pytest.mark.skipif(not BINARIES, reason="no kubectl on this machine")]


def each_version() -> Iterator[Any]:
    """The oldest and the newest; those in between run in the longer suite."""
    found = list(BINARIES.items())
    for item in found:
        marks = [] if item in (found[0], found[-1]) else [pytest.mark.slow]
        yield pytest.param(item, id=item[0], marks=marks)


@pytest.fixture(params=list(each_version()))
def kubectl(request: pytest.FixtureRequest, cluster: LiveCluster) -> Kubectl:
    version, binary = request.param
    return in_namespace(binary, version, cluster.folder.kubeconfig, "kubectl")


def test_a_whole_session(kubectl: Kubectl) -> None:
    """One namespace from its first to its last object."""
    assert kubectl("apply", "-f", "-", stdin=MANIFEST).splitlines() == [
        "deployment.apps/my-api created",
        "service/my-api created",
        "pod/client created",
    ]
    kubectl("rollout", "status", "deployment/my-api", "--timeout=20s")
    assert kubectl("wait", "--for=condition=Ready", "pod/client", "--timeout=20s") == "pod/client condition met\n"
    assert "unchanged" in kubectl("apply", "-f", "-", stdin=MANIFEST)
    looks_at_nodes_and_pods(kubectl)
    looks_at_the_service(kubectl)
    runs_commands_in_a_pod(kubectl)
    scales_while_a_watch_sees_it(kubectl)
    assert kubectl("delete", "-f", "-", "--timeout=30s", stdin=MANIFEST).splitlines() == [
        'deployment.apps "my-api" deleted',
        'service "my-api" deleted',
        'pod "client" deleted',
    ]
    until(lambda: kubectl("get", "pods", "-o", "name"), 15)
    kubectl("delete", "namespace", kubectl.namespace, "--timeout=30s")
    assert "NotFound" in kubectl.refused("get", "namespace", kubectl.namespace)


def looks_at_nodes_and_pods(kubectl: Kubectl) -> None:
    nodes = kubectl.rows("get", "nodes", "-o", "wide")
    assert {row["NAME"]: (row["STATUS"], row["ROLES"]) for row in nodes} == {
        "control-plane": ("Ready", "control-plane"),
        **{f"node-{number}": ("Ready", "<none>") for number in (1, 2, 3)},
    }
    assert list(nodes[0]) == [
        "NAME", "STATUS", "ROLES", "AGE", "VERSION", "INTERNAL-IP", "EXTERNAL-IP", "OS-IMAGE", "KERNEL-VERSION",
        "CONTAINER-RUNTIME",
    ]  # fmt: skip
    everywhere = kubectl.rows("get", "pods", "-A", "-o", "wide")
    assert list(everywhere[0])[:5] == ["NAMESPACE", "NAME", "READY", "STATUS", "RESTARTS"]
    system = [row for row in everywhere if row["NAMESPACE"] in ("kube-system", kubectl.namespace)]
    assert all(row["STATUS"] == "Running" and row["READY"] == "1/1" for row in system), system
    own = [row for row in everywhere if row["NAMESPACE"] == kubectl.namespace]
    apis = [row for row in own if row["NAME"].startswith("my-api-")]
    assert len(own) == 3 and len({row["NODE"] for row in apis}) == 2
    assert all(re.fullmatch(r"10\.244\.[123]\.\d+", row["IP"]) for row in own)


def looks_at_the_service(kubectl: Kubectl) -> None:
    text = kubectl("get", "svc,endpoints,endpointslices")
    services, endpoints, slices = (table(part) for part in text.split("\n\n"))
    [service], [endpoint], [piece] = services, endpoints, slices
    assert (service["NAME"], service["TYPE"], service["PORT(S)"]) == ("service/my-api", "ClusterIP", "80/TCP")
    addresses = endpoint["ENDPOINTS"].split(",")
    assert len(addresses) == 2 and all(address.endswith(":80") for address in addresses)
    assert piece["NAME"].startswith("endpointslice.discovery.k8s.io/my-api-") and piece["PORTS"] == "80"
    described = kubectl("describe", "svc", "my-api")
    fields = dict(re.findall(r"^([A-Z][\w ()]+):\s+(.*?)$", described, re.MULTILINE))
    assert (fields["Name"], fields["Selector"], fields["IP"]) == ("my-api", "app=my-api", service["CLUSTER-IP"])
    assert sorted(fields["Endpoints"].split(",")) == sorted(addresses)


def runs_commands_in_a_pod(kubectl: Kubectl) -> None:
    until(lambda: kubectl.run("exec", "client", "--", "curl", "-s", "-m", "2", "http://my-api").stderr, 10)
    assert "Welcome to nginx!" in kubectl("exec", "client", "--", "curl", "-s", "http://my-api")
    code = kubectl("exec", "client", "--", "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "http://my-api")
    assert code == "200"
    # BusyBox asks for every name of the search list and exits with 1 because of those that do not exist.
    looked_up = kubectl.run("exec", "client", "--", "nslookup", "my-api").stdout
    [service] = kubectl.rows("get", "svc", "my-api")
    assert "10.96.0.10" in looked_up
    assert f"my-api.{kubectl.namespace}.svc.cluster.local" in looked_up and service["CLUSTER-IP"] in looked_up
    failed = kubectl.run("exec", "client", "--", "sh", "-c", "echo out; echo err >&2; exit 3")
    assert (failed.returncode, failed.stdout) == (3, "out\n") and failed.stderr.startswith("err\n")
    assert kubectl("exec", "-i", "client", "--", "cat", stdin="through\n") == "through\n"
    logs = kubectl("logs", "-l", "app=my-api", "--tail=-1")
    assert '"GET / HTTP/1.1" 200' in logs


def scales_while_a_watch_sees_it(kubectl: Kubectl) -> None:
    watching = subprocess.Popen(
        kubectl.command("get", "pods", "-l", "app=my-api", "-w", "--no-headers"), stdout=subprocess.PIPE, text=True
    )
    assert watching.stdout is not None
    try:
        # The list comes first; the watch goes on from its revision, so that nothing after it is missed.
        known = [watching.stdout.readline().split()[0] for _ in range(2)]
        assert kubectl("scale", "deployment/my-api", "--replicas=3") == "deployment.apps/my-api scaled\n"
        states = []
        while states[-1:] != ["1/1 Running"]:
            name, ready, status, *_ = watching.stdout.readline().split()
            if name not in known:
                states.append(f"{ready} {status}")
        assert states[0] == "0/1 Pending", states
        kubectl("rollout", "status", "deployment/my-api", "--timeout=20s")
        assert kubectl.rows("get", "deployment", "my-api")[0]["READY"] == "3/3"
    finally:
        watching.kill()
        watching.communicate(timeout=10)


ERRORS: dict[str, tuple[list[str], str, str]] = {
    "unknown kind": (
        ["get", "wombats"], "", r"error: the server doesn't have a resource type \"wombats\"",
    ),
    "unknown kind in a manifest": (
        ["apply", "-f", "-"],
        "apiVersion: v1\nkind: Wombat\nmetadata: {name: a}\n",
        r'error: resource mapping not found for name: "a" namespace: "" from "STDIN": '
        r'no matches for kind "Wombat" in version "v1"\nensure CRDs are installed first',
    ),
    "malformed YAML": (
        ["apply", "-f", "-"], "a: b: c\n", r"error: error parsing STDIN: error converting YAML to JSON: yaml: .*",
    ),
    "unknown field": (
        ["apply", "-f", "-"],
        "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: a, image: b, imagee: c}]}\n",
        r'Error from server \(BadRequest\): error when creating "STDIN": Pod in version "v1" cannot be handled as a '
        r'Pod: strict decoding error: unknown field "spec\.containers\[0\]\.imagee"',
    ),
    "invalid value": (
        ["apply", "-f", "-"],
        "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{port: 70000}]}\n",
        r'The Service "a" is invalid: \n'
        r"\* spec\.ports\[0\]\.port: Invalid value: 70000: must be between 1 and 65535, inclusive\n"
        r"\* spec\.ports\[0\]\.targetPort: Invalid value: 70000: must be between 1 and 65535, inclusive",
    ),
    "no containers": (
        ["apply", "-f", "-"],
        "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: []}\n",
        r'The Pod "a" is invalid: spec\.containers: Required value',
    ),
    "taken name": (
        ["create", "-f", "-"],
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: taken}\n",
        r'Error from server \(AlreadyExists\): error when creating "STDIN": configmaps "taken" already exists',
    ),
    "not found": (["get", "pod", "nobody"], "", r'Error from server \(NotFound\): pods "nobody" not found'),
    "unknown namespace": (
        ["apply", "-n", "nowhere", "-f", "-"],
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n",
        r'Error from server \(NotFound\): error when creating "STDIN": namespaces "nowhere" not found',
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", ERRORS)
def test_errors_are_kubernetes_own(kubectl: Kubectl, case: str) -> None:
    arguments, stdin, pattern = ERRORS[case]
    if case == "taken name":
        kubectl.run("create", "-f", "-", stdin=stdin)
    said = kubectl.refused(*arguments, stdin=stdin)
    assert re.fullmatch(pattern, said), said


def test_a_stale_resource_version_is_a_conflict(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin="apiVersion: v1\nkind: ConfigMap\nmetadata: {name: stale}\ndata: {a: '1'}\n")
    body = yaml.safe_load(kubectl("get", "configmap", "stale", "-o", "yaml"))
    kubectl("patch", "configmap", "stale", "-p", '{"data":{"a":"2"}}')
    body["data"]["a"] = "3"
    said = kubectl.refused("replace", "-f", "-", stdin=yaml.safe_dump(body))
    assert said == (
        'Error from server (Conflict): error when replacing "STDIN": Operation cannot be fulfilled on configmaps '
        '"stale": the object has been modified; please apply your changes to the latest version and try again'
    )
    kubectl("delete", "configmap", "stale")
