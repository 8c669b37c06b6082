"""`python -m podwire.services.scheduler`."""

from podwire.services.chassis.live.process import main
from podwire.services.scheduler.service import Scheduler
from podwire.services.scheduler.settings import SchedulerSettings

if __name__ == "__main__":
    main("scheduler", SchedulerSettings, Scheduler)
