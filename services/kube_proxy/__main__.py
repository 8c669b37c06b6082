"""`python -m podwire.services.kube_proxy`."""

from podwire.services.chassis.live.process import main
from podwire.services.kube_proxy.service import KubeProxy
from podwire.services.kube_proxy.settings import KubeProxySettings

if __name__ == "__main__":
    main("kube-proxy", KubeProxySettings, KubeProxy)
