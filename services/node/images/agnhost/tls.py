"""The certificate that an agnhost server shows: files of the container (http.ListenAndServeTLS).

The image has one for localhost that everybody knows (`/localhost.crt`, `/localhost.key`, from Go's `src/crypto/tls`);
here each container makes its own, when it is first asked for.
"""

import ssl
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from podwire.services.node.files import normal
from podwire.services.node.network.tls import TlsFailure, refuse_in_simulation, server_context
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
        refuse_in_simulation(process.clock)
        names = [normal(name, process.folder) for name in (certificate, key)]
        if names == [CERTIFICATE, KEY] and process.files.read(CERTIFICATE) is None:
            _make_own(process)
        contents = [process.files.read(name) for name in names]
        if None in contents:
            missing = (certificate, key)[contents.index(None)]
            raise CannotServeTls(f"open {missing}: no such file or directory")
        return server_context(*(content or b"" for content in contents))
    except TlsFailure as failure:
        raise CannotServeTls(f"tls: {failure}") from None


def _make_own(process: Process) -> None:
    """As Go's generate_cert.go makes it: of its own authority, for localhost, valid until January 2084."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Acme Co")])
    places = x509.SubjectAlternativeName([x509.IPAddress(ip_address(place)) for place in ("127.0.0.1", "::1")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime(1970, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2084, 1, 29, 16, tzinfo=UTC))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(places, critical=False)
        .sign(key, hashes.SHA256())
    )
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    process.files.write(CERTIFICATE, certificate.public_bytes(serialization.Encoding.PEM))
    process.files.write(KEY, key.private_bytes(serialization.Encoding.PEM, *form))
