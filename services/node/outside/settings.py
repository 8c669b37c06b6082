"""Settings of the host outside."""

from podwire.services.chassis.settings import ProcessSettings


class OutsideSettings(ProcessSettings, frozen=True, kw_only=True):
    """Where the host is, and what of the real world it opens."""

    address: str
    """With its prefix length."""
    segment: str = "nodes"
    doors_file: str = ""
    """Where the real ports are written that lead into the cluster ("": there are none)."""
    upstream: str = ""
    """ADDRESS:PORT of a real resolver for names that nobody set ("": they do not exist)."""
