"""`python -m podwire.services.ssh`."""

from podwire.services.chassis.live.process import main
from podwire.services.ssh.service import Ssh
from podwire.services.ssh.settings import SshSettings

if __name__ == "__main__":
    main("ssh", SshSettings, Ssh)
