"""`python -m podwire.services.cni.flannel`."""

from podwire.services.chassis.live.process import main
from podwire.services.cni.flannel.service import Flannel
from podwire.services.cni.flannel.settings import FlannelSettings

if __name__ == "__main__":
    main("flannel", FlannelSettings, Flannel)
