"""The settings of the SSH server."""

from podwire.services.chassis.settings import ProcessSettings


class SshSettings(ProcessSettings, frozen=True, kw_only=True):
    """`port` on `host`; the server's own key, and the public keys that may log in, as files in OpenSSH's forms."""

    port: int
    host: str = "127.0.0.1"
    host_key_file: str
    authorized_keys_file: str
