"""How each component is run: its settings, and its service."""

from dataclasses import dataclass
from typing import Any

from podwire.services.apiserver.service import ApiServer
from podwire.services.apiserver.settings import ApiServerSettings
from podwire.services.app.service import App
from podwire.services.app.settings import AppSettings
from podwire.services.chaos.service import Chaos
from podwire.services.chaos.settings import ChaosSettings
from podwire.services.chassis.serving import Make
from podwire.services.chassis.settings import ProcessSettings
from podwire.services.cloud_provider.service import CloudProvider
from podwire.services.cloud_provider.settings import CloudProviderSettings
from podwire.services.cni.flannel.service import Flannel
from podwire.services.cni.flannel.settings import FlannelSettings
from podwire.services.controllers.service import Controllers
from podwire.services.controllers.settings import ControllersSettings
from podwire.services.coredns.service import CoreDns
from podwire.services.coredns.settings import CoreDnsSettings
from podwire.services.kube_proxy.service import KubeProxy
from podwire.services.kube_proxy.settings import KubeProxySettings
from podwire.services.kubelet.service import Kubelet
from podwire.services.kubelet.settings import KubeletSettings
from podwire.services.node.outside.service import Outside
from podwire.services.node.outside.settings import OutsideSettings
from podwire.services.node.service import Node
from podwire.services.node.settings import NodeSettings
from podwire.services.recorder.service import Recorder
from podwire.services.recorder.settings import RecorderSettings
from podwire.services.scheduler.service import Scheduler
from podwire.services.scheduler.settings import SchedulerSettings
from podwire.services.ssh.service import Ssh
from podwire.services.ssh.settings import SshSettings
from podwire.services.upstream.service import Upstream
from podwire.services.upstream.settings import UpstreamSettings


@dataclass(frozen=True, slots=True)
class Component:
    """A component's settings type, and its service's class."""

    settings: type[ProcessSettings]
    service: Make[Any]


COMPONENTS = {
    "apiserver": Component(ApiServerSettings, ApiServer),
    "controllers": Component(ControllersSettings, Controllers),
    "scheduler": Component(SchedulerSettings, Scheduler),
    "recorder": Component(RecorderSettings, Recorder),
    "node": Component(NodeSettings, Node),
    "kubelet": Component(KubeletSettings, Kubelet),
    "flannel": Component(FlannelSettings, Flannel),
    "kube-proxy": Component(KubeProxySettings, KubeProxy),
    "coredns": Component(CoreDnsSettings, CoreDns),
    "outside": Component(OutsideSettings, Outside),
    "cloud-provider": Component(CloudProviderSettings, CloudProvider),
    "chaos": Component(ChaosSettings, Chaos),
    "app": Component(AppSettings, App),
    "ssh": Component(SshSettings, Ssh),
    "upstream": Component(UpstreamSettings, Upstream),
}
