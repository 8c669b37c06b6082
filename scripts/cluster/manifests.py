"""The objects that every cluster starts with: read from files that are written for IPv4, fitted to other networks.

What is fitted is what kubeadm's templates and flannel's Documentation/configuration.md ("dual-stack mode") fill in.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import yaml

from podwire.proto.kube import resources
from podwire.proto.kube.families import IPV4, IPV6, family_of, of_family
from podwire.proto.kube.resources import Resource
from podwire.scripts.cluster.addressing import Addressing

Json = dict[str, Any]
KINDS: Final[dict[str, Resource]] = {
    entry.kind: entry
    for entry in (
        resources.DEFINITIONS,
        resources.CONFIG_MAPS,
        resources.SERVICE_ACCOUNTS,
        resources.DAEMON_SETS,
        resources.DEPLOYMENTS,
        resources.SERVICES,
        resources.STORAGE_CLASSES,
    )
}


def load_manifests(folder: Path, addressing: Addressing, proxy_mode: str = "iptables") -> list[tuple[Resource, Json]]:
    """The objects of a folder's manifests, in order of file name, for a cluster with these networks."""
    texts = [path.read_text() for path in sorted(folder.glob("*.yaml"))]
    bodies: list[Json] = [body for text in texts for body in yaml.load_all(text, Loader=yaml.CSafeLoader)]
    for body in bodies:
        fit = _FITTED.get((body["kind"], body["metadata"]["name"]))
        if fit is not None:
            fit(body, addressing)
        if (body["kind"], body["metadata"]["name"]) == ("ConfigMap", "kube-proxy"):
            text = body["data"]["config.conf"]
            body["data"]["config.conf"] = text.replace('mode: "iptables"', f'mode: "{proxy_mode}"')
    return [(KINDS[body["kind"]], body) for body in bodies]


def _fit_flannel(body: Json, addressing: Addressing) -> None:
    networks = addressing.pods.split(",")
    if [family_of(network) for network in networks] == [IPV4]:
        return
    configuration = json.loads(body["data"]["net-conf.json"])
    fields = {
        "EnableIPv4": bool(of_family(networks, IPV4)),
        "EnableIPv6": True,
        "Network": of_family(networks, IPV4),
        "IPv6Network": of_family(networks, IPV6),
    }
    given = {name: value for name, value in fields.items() if value != ""}
    body["data"]["net-conf.json"] = json.dumps(given | {"Backend": configuration["Backend"]}, indent=2) + "\n"


def _fit_kube_proxy(body: Json, addressing: Addressing) -> None:
    text = body["data"]["config.conf"]
    body["data"]["config.conf"] = re.sub(r"(?m)^clusterCIDR: .*$", f"clusterCIDR: {addressing.pods}", text)


def _fit_dns(body: Json, addressing: Addressing) -> None:
    body["spec"]["clusterIP"] = addressing.dns


_FITTED: Final[dict[tuple[str, str], Callable[[Json, Addressing], None]]] = {
    ("ConfigMap", "kube-flannel-cfg"): _fit_flannel,
    ("ConfigMap", "kube-proxy"): _fit_kube_proxy,
    ("Service", "kube-dns"): _fit_dns,
}
