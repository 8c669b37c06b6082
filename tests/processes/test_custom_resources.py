"""CustomResourceDefinitions with the real kubectl and the Python client, over a kill of the API server."""

import signal
from typing import Any

import pytest
import yaml
from kubectl import Kubectl, binaries, in_namespace
from kubernetes import client, config
from live_cluster import LiveCluster, until

BINARIES = binaries()
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.kubectl,
    pytest.mark.slow,
    pytest.mark.timeout(120),
    pytest.mark.skipif(not BINARIES, reason="no kubectl on this machine"),
]
GROUP = "stable.example.com"
SPEC: dict[str, Any] = {
    "type": "object",
    "required": ["image"],
    "properties": {
        "image": {"type": "string", "description": "What the job runs."},
        "replicas": {"type": "integer", "minimum": 1, "maximum": 10, "default": 1},
    },
}
SCALE = {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}
STATUS = {"type": "object", "properties": {"replicas": {"type": "integer"}}}
VERSION: dict[str, Any] = {
    "name": "v1",
    "served": True,
    "storage": True,
    "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": SPEC, "status": STATUS}}},
    "additionalPrinterColumns": [{"name": "Image", "type": "string", "jsonPath": ".spec.image"}],
    "subresources": {"status": {}, "scale": SCALE},
}


def crd(plural: str) -> str:
    """A definition of its own for each kubectl, since they share a cluster."""
    names = {"plural": plural, "singular": plural[:-1], "kind": plural[:-1].title(), "shortNames": [f"x{plural}"]}
    return yaml.safe_dump(
        {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": f"{plural}.{GROUP}"},
            "spec": {"group": GROUP, "scope": "Namespaced", "names": names, "versions": [VERSION]},
        }
    )


def job(kind: str, name: str, **spec: Any) -> str:
    meta = {"name": name}
    return yaml.safe_dump({"apiVersion": f"{GROUP}/v1", "kind": kind, "metadata": meta, "spec": {"image": "a"} | spec})


@pytest.fixture(scope="module", params=BINARIES.items(), ids=lambda item: item[0])
def kubectl(request: pytest.FixtureRequest, cluster: LiveCluster) -> Kubectl:
    return in_namespace(request.param[1], request.param[0], cluster.folder.kubeconfig, "custom")


def test_a_session_with_a_kind_of_ones_own(kubectl: Kubectl) -> None:
    plural = "j" + "".join(letter for letter in kubectl.namespace if letter.isalnum()) + "s"
    kind = plural[:-1].title()
    kubectl("apply", "-f", "-", stdin=crd(plural))
    kubectl("wait", "--for", "condition=established", "--timeout=20s", f"crd/{plural}.{GROUP}")
    assert kubectl.rows("get", "crd", f"{plural}.{GROUP}")[0]["NAME"] == f"{plural}.{GROUP}"
    kubectl("apply", "-f", "-", stdin=job(kind, "one"))
    assert kubectl.rows("get", f"x{plural}")[0] == {"NAME": "one", "IMAGE": "a"}
    assert "What the job runs." in kubectl("explain", f"{plural}.spec.image")
    assert 'unknown field "spec.nothing"' in kubectl.refused("apply", "-f", "-", stdin=job(kind, "two", nothing=1))
    text = kubectl.refused("apply", "-f", "-", stdin=job(kind, "two", replicas=99))
    assert "spec.replicas in body should be less than or equal to 10" in text
    kubectl("scale", "--replicas=3", f"{plural}/one")
    kubectl("apply", "--server-side", "--field-manager=other", "-f", "-", stdin=job(kind, "two", replicas=2))
    assert [value["spec"]["replicas"] for value in kubectl.object(plural)["items"]] == [3, 2]
    kubectl("label", plural, "one", "a=b")
    assert kubectl("get", plural, "-l", "a=b", "-o", "name") == f"{plural[:-1]}.{GROUP}/one\n"
    kubectl("delete", f"crd/{plural}.{GROUP}", "--timeout=20s")
    assert "the server could not find the requested resource" in kubectl.refused("get", plural)


def test_the_python_client_and_a_kill_of_the_api_server(cluster: LiveCluster) -> None:
    config.load_kube_config(str(cluster.folder.kubeconfig))
    extensions, objects = client.ApiextensionsV1Api(), client.CustomObjectsApi()
    extensions.create_custom_resource_definition(yaml.safe_load(crd("pyjobs")))

    def served() -> str:
        found = extensions.read_custom_resource_definition(f"pyjobs.{GROUP}").status.conditions or []
        return "" if any(entry.type == "Established" and entry.status == "True" for entry in found) else "not yet"

    until(served, 10)
    where = (GROUP, "v1", "default", "pyjobs")
    objects.create_namespaced_custom_object(*where, yaml.safe_load(job("Pyjob", "one")))
    objects.patch_namespaced_custom_object(*where, "one", {"spec": {"replicas": 4}})
    victim = cluster.signal("apiserver", signal.SIGKILL)
    until(lambda: cluster.without(victim) or cluster.missing(), 20)
    found = objects.list_namespaced_custom_object(*where)["items"]
    assert [(value["metadata"]["name"], value["spec"]["replicas"]) for value in found] == [("one", 4)]
    objects.delete_namespaced_custom_object(*where, "one")
    extensions.delete_custom_resource_definition(f"pyjobs.{GROUP}")
    client.ApiClient().rest_client.pool_manager.clear()
