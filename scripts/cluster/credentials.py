"""The cluster's certificate authority, the API server's certificate, the administrator's kubeconfig."""

import datetime
import ipaddress
from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from podwire.scripts.cluster.addressing import Addressing

_VALID: Final = datetime.timedelta(days=365)
_NAMES: Final = (
    "localhost",
    "control-plane",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
)
_CONTROL_PLANE: Final = 2


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    def certificate_pem(self) -> bytes:
        """The certificate as PEM."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def key_pem(self) -> bytes:
        """The key as PEM, not encrypted: the file is 0600."""
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )


def _name(common_name: str, organization: str = "") -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    if organization:
        attributes.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    return x509.Name(attributes)


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + _VALID)
    )


def authority() -> Pair:
    """A new certificate authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("podwire-ca")
    usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
    certificate = (
        _builder(name, name, key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Pair(certificate, key)


def _signed(ca: Pair, subject: x509.Name, usage: x509.ObjectIdentifier, names: list[x509.GeneralName]) -> Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(subject, ca.certificate.subject, key)
    builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    builder = builder.add_extension(
        x509.AuthorityKeyIdentifier.from_issuer_public_key(ca.key.public_key()), critical=False
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return Pair(builder.sign(ca.key, hashes.SHA256()), key)


def addresses(addressing: Addressing) -> list[str]:
    """Where clients reach the API server: from this host, from pods, on the control plane's machine."""
    machine = [address.partition("/")[0] for address in addressing.machine(_CONTROL_PLANE)]
    return ["127.0.0.1", *addressing.api, *machine]


def server(ca: Pair, addresses: list[str]) -> Pair:
    """The API server's certificate, for these addresses."""
    names: list[x509.GeneralName] = [x509.DNSName(name) for name in _NAMES]
    names += [x509.IPAddress(ipaddress.ip_address(address)) for address in addresses]
    return _signed(ca, _name("kube-apiserver"), ExtendedKeyUsageOID.SERVER_AUTH, names)


def administrator(ca: Pair) -> Pair:
    """The certificate of a member of system:masters."""
    return _signed(ca, _name("kubernetes-admin", "system:masters"), ExtendedKeyUsageOID.CLIENT_AUTH, [])


def token_key_pem() -> bytes:
    """A new key for service account tokens, as PEM; a continued cluster keeps its own, so that tokens stay good."""
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return ed25519.Ed25519PrivateKey.generate().private_bytes(encoding, form, serialization.NoEncryption())


def kubeconfig(ca: Pair, client: Pair, port: int) -> str:
    """A kubeconfig with everything inside."""
    name, user = "podwire", "kubernetes-admin"
    cluster = {
        "server": f"https://127.0.0.1:{port}",
        "certificate-authority-data": b64encode(ca.certificate_pem()).decode(),
    }
    credentials = {
        "client-certificate-data": b64encode(client.certificate_pem()).decode(),
        "client-key-data": b64encode(client.key_pem()).decode(),
    }
    value = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": f"{user}@{name}",
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": user, "user": credentials}],
        "contexts": [{"name": f"{user}@{name}", "context": {"cluster": name, "user": user}}],
    }
    return yaml.safe_dump(value, sort_keys=False)


def with_port(kubeconfig: str, port: int) -> str:
    """The same kubeconfig, for another port of the loopback."""
    value = yaml.safe_load(kubeconfig)
    value["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{port}"
    return yaml.safe_dump(value, sort_keys=False)


def write_private(path: Path, data: bytes) -> None:
    """Writes a file that only its owner reads."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_bytes(data)
