"""`python -m podwire.services.apiserver`."""

from podwire.services.apiserver.service import ApiServer
from podwire.services.apiserver.settings import ApiServerSettings
from podwire.services.chassis.live.process import main

if __name__ == "__main__":
    main("apiserver", ApiServerSettings, ApiServer)
