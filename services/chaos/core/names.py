"""DNSChaos: which containers records are about, and whose questions the DNS servers answer wrongly.

Source: chaos-mesh `controllers/chaosimpl/dnschaos/types.go`, `pkg/selector/container/selector.go`. The addresses in the
status are what chaos-mesh tells its DNS server (SetDNSChaos).
"""

from collections.abc import Mapping

from podwire.proto.kube.json_objects import items, section
from podwire.services.chaos.core.experiment import INJECTED
from podwire.services.chaos.core.kinds import BadChaos, Json
from podwire.services.chaos.core.selecting import pod_id


def check(spec: Json) -> None:
    """Raises BadChaos for a pattern that says nothing: `*` stands at the end only."""
    for pattern in items(spec, "patterns"):
        if not pattern or "*" in pattern[:-1]:
            raise BadChaos(f"spec.patterns {pattern!r}: a name is needed, with * at its end only, as in google.*")


def identifiers(spec: Json, pods: list[Json]) -> list[str]:
    """The named containers of each pod, or its first (a pod's containers share its resolver's address)."""
    wanted = items(spec, "containerNames")
    found = []
    for pod in pods:
        names = [container["name"] for container in items(section(pod, "spec"), "containers")]
        found += (
            [f"{pod_id(pod)}/{name}" for name in names if name in wanted] if wanted else [f"{pod_id(pod)}/{names[0]}"]
        )
    return found


def addresses(records: list[Json] | None, known: Mapping[str, tuple[str, ...]]) -> list[str]:
    """The addresses of the pods that are injected."""
    pods = dict.fromkeys(
        str(record["id"]).rpartition("/")[0] for record in records or [] if record.get("phase") == INJECTED
    )
    return sorted(dict.fromkeys(address for pod in pods for address in known.get(pod, ())))
