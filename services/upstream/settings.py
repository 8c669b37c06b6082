"""The settings of an upstream process."""

from podwire.services.chassis.settings import ProcessSettings


class UpstreamSettings(ProcessSettings, frozen=True, kw_only=True):
    """`image` is the name under which its containers are offered."""

    image: str = "upstream"
