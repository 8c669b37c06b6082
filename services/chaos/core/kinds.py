"""The kinds that are carried out."""

from typing import Any, Final

from podwire.proto.kube.chaos import DNS_CHAOS
from podwire.proto.kube.resources import Resource

type Json = dict[str, Any]

GROUP: Final = "chaos-mesh.org"
NETWORK: Final = Resource(GROUP, "v1alpha1", "networkchaos", "NetworkChaos")
POD: Final = Resource(GROUP, "v1alpha1", "podchaos", "PodChaos")
DNS: Final = DNS_CHAOS
TIME: Final = Resource(GROUP, "v1alpha1", "timechaos", "TimeChaos")
SCHEDULES: Final = Resource(GROUP, "v1alpha1", "schedules", "Schedule")
EXPERIMENTS: Final = (NETWORK, POD, DNS, TIME)
FIELDS: Final = {NETWORK.kind: "networkChaos", POD.kind: "podChaos", DNS.kind: "dnsChaos", TIME.kind: "timeChaos"}
"""Where a Schedule has the spec of each kind."""


class BadChaos(ValueError):
    """A chaos object that cannot be carried out; the text names the field, its value and what would be right."""
