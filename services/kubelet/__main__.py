"""`python -m podwire.services.kubelet`."""

from podwire.services.chassis.live.process import main
from podwire.services.kubelet.service import Kubelet
from podwire.services.kubelet.settings import KubeletSettings

if __name__ == "__main__":
    main("kubelet", KubeletSettings, Kubelet)
