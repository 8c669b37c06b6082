"""A CustomResourceDefinition as the Kubernetes documentation has it, and a server on which it is established."""

from typing import Any

from podwire.services.apiserver.core.custom import establishing
from podwire.services.apiserver.core.handler import decide

Json = dict[str, Any]
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
TABS = "/apis/stable.example.com/v1/namespaces/default/crontabs"
SCHEMA: Json = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "required": ["image"],
            "properties": {
                "cronSpec": {"type": "string", "pattern": r"^(\d+|\*)(\s+(\d+|\*)){4}$", "default": "5 0 * * *"},
                "image": {"type": "string", "minLength": 2, "description": "What runs."},
                "replicas": {"type": "integer", "minimum": 1, "maximum": 10, "default": 1},
                "policy": {"type": "string", "enum": ["Allow", "Forbid"]},
                "limit": {"x-kubernetes-int-or-string": True},
                "since": {"type": "string", "format": "date-time", "nullable": True},
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                "ports": {
                    "type": "array",
                    "maxItems": 2,
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["port", "protocol"],
                    "items": {
                        "type": "object",
                        "required": ["port"],
                        "properties": {
                            "port": {"type": "integer"},
                            "protocol": {"type": "string", "default": "TCP"},
                            "name": {"type": "string"},
                        },
                    },
                },
            },
        },
        "status": {
            "type": "object",
            "properties": {"replicas": {"type": "integer"}, "labelSelector": {"type": "string"}},
        },
    },
}
COLUMNS = [
    {"name": "Spec", "type": "string", "description": "The cron spec", "jsonPath": ".spec.cronSpec"},
    {"name": "Replicas", "type": "integer", "jsonPath": ".spec.replicas"},
    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
]
SCALE = {
    "specReplicasPath": ".spec.replicas",
    "statusReplicasPath": ".status.replicas",
    "labelSelectorPath": ".status.labelSelector",
}


def version(name: str = "v1", **more: Any) -> Json:
    """A served version that is stored."""
    return {"name": name, "served": True, "storage": True, "schema": {"openAPIV3Schema": SCHEMA}} | more


def definition(*versions: Json, **spec: Any) -> Json:
    """CronTabs."""
    names = {
        "plural": "crontabs",
        "singular": "crontab",
        "kind": "CronTab",
        "shortNames": ["ct"],
        "categories": ["all"],
    }
    whole = version(additionalPrinterColumns=COLUMNS, subresources={"status": {}, "scale": SCALE})
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "crontabs.stable.example.com"},
        "spec": {
            "group": "stable.example.com",
            "scope": "Namespaced",
            "names": names,
            "versions": list(versions) or [whole],
        }
        | spec,
    }


def settle(server: Any) -> None:
    """Lets the API server's own controllers do what is due."""
    for _ in range(20):
        due = establishing.due(server.store, server.now)
        if not due:
            return
        for message in due:
            decision = decide(message, server.admin, server.store, server.now, server.random)
            for write in getattr(decision, "writes", None) or [decision]:
                if hasattr(write, "main"):
                    server.carry_out(write)
    raise AssertionError("the definitions do not settle")


def tab(name: str = "one", api_version: str = "stable.example.com/v1", **spec: Any) -> Json:
    """A CronTab."""
    return {"apiVersion": api_version, "kind": "CronTab", "metadata": {"name": name}, "spec": {"image": "cron"} | spec}
