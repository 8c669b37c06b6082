"""The certificate that an agnhost server shows: files of the container (http.ListenAndServeTLS).

The image has one for localhost that everybody knows (`/localhost.crt`, `/localhost.key`, from Go's `src/crypto/tls`);
here each container makes its own, when it is first asked for.
"""

import ssl
from typing import Final

from podwire.services.node.files import normal
from podwire.services.node.images.certificates import self_signed
from podwire.services.node.network.tls import TlsFailure, server_context
from podwire.services.node.process import Process

CERTIFICATE: Final = "/localhost.crt"
KEY: Final = "/localhost.key"


class CannotServeTls(Exception):
    """The certificate or key cannot be used; the text is Go's."""


def tls_settings(process: Process, certificate: str, key: str) -> ssl.SSLContext | None:
    """The settings that two files give, None without a certificate. Raises CannotServeTls."""
    if not certificate:
        return None
    try:
        names = [normal(name, process.folder) for name in (certificate, key)]
        if names == [CERTIFICATE, KEY] and process.files.read(CERTIFICATE) is None:
            made, made_key = self_signed("Acme Co", ["127.0.0.1", "::1"], process.clock)
            process.files.write(CERTIFICATE, made)
            process.files.write(KEY, made_key)
        contents = [process.files.read(name) for name in names]
        if None in contents:
            missing = (certificate, key)[contents.index(None)]
            raise CannotServeTls(f"open {missing}: no such file or directory")
        return server_context(*(content or b"" for content in contents))
    except TlsFailure as failure:
        raise CannotServeTls(f"tls: {failure}") from None
