"""`python -m podwire.services.cloud_provider`."""

from podwire.services.chassis.live.process import main
from podwire.services.cloud_provider.service import CloudProvider
from podwire.services.cloud_provider.settings import CloudProviderSettings

if __name__ == "__main__":
    main("cloud-provider", CloudProviderSettings, CloudProvider)
