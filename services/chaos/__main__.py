"""`python -m podwire.services.chaos`."""

from podwire.services.chaos.service import Chaos
from podwire.services.chaos.settings import ChaosSettings
from podwire.services.chassis.live.process import main

if __name__ == "__main__":
    main("chaos", ChaosSettings, Chaos)
