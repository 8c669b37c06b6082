"""`python -m podwire.services.recorder`."""

from podwire.services.chassis.live.process import main
from podwire.services.recorder.service import Recorder
from podwire.services.recorder.settings import RecorderSettings

if __name__ == "__main__":
    main("recorder", RecorderSettings, Recorder)
