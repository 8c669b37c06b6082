"""The controllers' settings."""

from podwire.services.chassis.settings import ProcessSettings


class ControllersSettings(ProcessSettings, frozen=True, kw_only=True):
    """Nothing beyond what every process needs; Kubernetes' own delays are not settings here."""
