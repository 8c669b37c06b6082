"""`python -m podwire.services.node.outside`."""

from podwire.services.chassis.live.process import main
from podwire.services.node.outside.service import Outside
from podwire.services.node.outside.settings import OutsideSettings

if __name__ == "__main__":
    main("outside", OutsideSettings, Outside)
