"""The recorder's settings."""

from podwire.services.chassis.settings import ProcessSettings


class RecorderSettings(ProcessSettings, frozen=True, kw_only=True):
    """Nothing beyond what every process needs."""
