"""The scheduler's settings."""

from podwire.services.chassis.settings import ProcessSettings


class SchedulerSettings(ProcessSettings, frozen=True, kw_only=True):
    """Which pods it cares for: those whose spec.schedulerName is this."""

    scheduler_name: str = "default-scheduler"
