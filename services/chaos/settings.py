"""Settings of the chaos controllers."""

from podwire.services.chassis.settings import ProcessSettings


class ChaosSettings(ProcessSettings, frozen=True, kw_only=True):
    """What pods run instead of their images while a PodChaos has them fail."""

    pause_image: str = "gcr.io/google-containers/pause:latest"
