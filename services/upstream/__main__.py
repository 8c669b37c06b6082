"""`python -m podwire.services.upstream`."""

from podwire.services.chassis.live.process import main
from podwire.services.upstream.service import Upstream
from podwire.services.upstream.settings import UpstreamSettings

if __name__ == "__main__":
    main("upstream", UpstreamSettings, Upstream)
