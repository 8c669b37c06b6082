"""`python -m podwire.services.coredns`."""

from podwire.services.chassis.live.process import main
from podwire.services.coredns.service import CoreDns
from podwire.services.coredns.settings import CoreDnsSettings

if __name__ == "__main__":
    main("coredns", CoreDnsSettings, CoreDns)
