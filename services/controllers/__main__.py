"""`python -m podwire.services.controllers`."""

from podwire.services.chassis.live.process import main
from podwire.services.controllers.service import Controllers
from podwire.services.controllers.settings import ControllersSettings

if __name__ == "__main__":
    main("controllers", ControllersSettings, Controllers)
