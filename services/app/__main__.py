"""`python -m podwire.services.app`."""

from podwire.services.app.service import App
from podwire.services.app.settings import AppSettings
from podwire.services.chassis.live.process import main

if __name__ == "__main__":
    main("app", AppSettings, App)
