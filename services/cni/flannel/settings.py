"""flanneld's settings."""

from podwire.services.chassis.settings import ProcessSettings


class FlannelSettings(ProcessSettings, frozen=True, kw_only=True):
    """Paths are those inside its container (the DaemonSet mounts the machine's folders there)."""

    image: str = "flannel"
    net_conf: str = "/etc/kube-flannel/net-conf.json"
    cni_conf: str = "/etc/kube-flannel/cni-conf.json"
    conflist: str = "/etc/cni/net.d/10-flannel.conflist"
    subnet_file: str = "/run/flannel/subnet.env"
    interface: str = "eth0"
