"""How each component is run: its settings, and its service. Its package is imported when it is asked for: all of them
together take two seconds."""

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from podwire.services.chassis.serving import Make
from podwire.services.chassis.settings import ProcessSettings


@dataclass(frozen=True, slots=True)
class Component:
    """A component's package, which has a class of this name in `service` and its settings in `settings`."""

    package: str
    name: str

    @property
    def settings(self) -> type[ProcessSettings]:
        """What the process is told at its start."""
        found: type[ProcessSettings] = getattr(import_module(f"{self.package}.settings"), f"{self.name}Settings")
        return found

    @property
    def service(self) -> Make[Any]:
        """The service's class."""
        found: Make[Any] = getattr(import_module(f"{self.package}.service"), self.name)
        return found


COMPONENTS = {
    "apiserver": Component("podwire.services.apiserver", "ApiServer"),
    "controllers": Component("podwire.services.controllers", "Controllers"),
    "scheduler": Component("podwire.services.scheduler", "Scheduler"),
    "recorder": Component("podwire.services.recorder", "Recorder"),
    "node": Component("podwire.services.node", "Node"),
    "kubelet": Component("podwire.services.kubelet", "Kubelet"),
    "flannel": Component("podwire.services.cni.flannel", "Flannel"),
    "kube-proxy": Component("podwire.services.kube_proxy", "KubeProxy"),
    "coredns": Component("podwire.services.coredns", "CoreDns"),
    "outside": Component("podwire.services.node.outside", "Outside"),
    "cloud-provider": Component("podwire.services.cloud_provider", "CloudProvider"),
    "chaos": Component("podwire.services.chaos", "Chaos"),
    "app": Component("podwire.services.app", "App"),
    "ssh": Component("podwire.services.ssh", "Ssh"),
    "upstream": Component("podwire.services.upstream", "Upstream"),
}


def preload() -> None:
    """Imports every component, so that the processes that are forked from this one need not."""
    for component in COMPONENTS.values():
        _ = component.settings, component.service
