"""https: curl and wget against a TLS server in another pod, with certificates of our own making."""

import asyncio
import ssl
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from scenes import RESOLV, serve_dns
from surroundings import SERVER, Machine, PlainClock, Result

from podwire.services.node.network.sockets import TcpStream
from podwire.services.node.network.tls import TlsFailure, TlsStream
from podwire.services.node.programs.filesystem import BytesReader
from podwire.services.node.programs.toolboxes import HOST

ISSUER = "unable to get local issuer certificate"


def certificate(
    name: str, issuer: tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """A certificate and its key, signed by the issuer or by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    names = x509.SubjectAlternativeName([x509.DNSName(name), x509.IPAddress(IPv4Address(SERVER))])
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2099, 1, 1, tzinfo=UTC))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(names, critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    signer = issuer[1] if issuer else key
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    return built.add_extension(identifier, critical=False).sign(signer, hashes.SHA256()), key


def pem(one: x509.Certificate) -> bytes:
    """A certificate as text."""
    return one.public_bytes(serialization.Encoding.PEM)


AUTHORITY = certificate("authority", None)
STRANGER = certificate("stranger", None)
OWN = certificate("web", AUTHORITY)


@pytest.fixture(scope="module")
def server_context(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    """A server that is `web`."""
    folder: Path = tmp_path_factory.mktemp("tls")
    key = OWN[1].private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "key").write_bytes(key)
    (folder / "certificate").write_bytes(pem(OWN[0]))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "certificate", folder / "key")
    return context


def ask(context: ssl.SSLContext, *words: str, simulated: bool = False) -> Result:
    """A command in the pod `client`; in the pod `server` TLS on 443, and on 444 something else."""

    async def attend(stream: TcpStream) -> None:
        tls = TlsStream(stream, context, server=True)
        try:
            await tls.handshake()
            request = await tls.read()
            body = request.partition(b"\r\n")[0]
            await tls.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        except (TlsFailure, OSError):
            pass
        stream.close()

    async def answer_plainly(stream: TcpStream) -> None:
        await stream.read()
        await stream.write(b"HTTP/1.0 400 no\r\n\r\n")
        stream.close()

    async def scene(machine: Machine) -> Result:
        network = machine.process([], machine.nobody, bytearray(), bytearray(), "server").network
        loop = asyncio.get_running_loop()
        tasks = [loop.create_task(serve_dns(machine))]
        network.listen(443, lambda stream: tasks.append(loop.create_task(attend(stream))))
        network.listen(444, lambda stream: tasks.append(loop.create_task(answer_plainly(stream))))
        await asyncio.sleep(0.001)
        out, err = bytearray(), bytearray()
        process = machine.process(list(words), BytesReader(b""), out, err)
        process = process if simulated else replace(process, clock=PlainClock(machine.clock))
        code = await HOST[words[0]](process)
        for task in tasks:
            task.cancel()
        return Result(code, out.decode(), err.decode())

    files = {"/ca": pem(AUTHORITY[0]), "/other": pem(STRANGER[0]), "/none": b"x", "/etc/resolv.conf": RESOLV}
    result: Result = Machine(files=files).play(scene)
    return result


@pytest.mark.parametrize(
    ("words", "code", "output", "complaint"),
    [
        (("--cacert", "/ca", "https://web/a"), 0, "GET /a HTTP/1.1", ""),
        (("--cacert", "/ca", f"https://{SERVER}/a"), 0, "GET /a HTTP/1.1", ""),
        (("-k", "https://web/a?b"), 0, "GET /a?b HTTP/1.1", ""),
        (("https://web/",), 60, "", f"curl: (60) SSL certificate problem: {ISSUER}\nMore details here: "),
        (("--cacert", "/other", "https://web/"), 60, "", f"curl: (60) SSL certificate problem: {ISSUER}\n"),
        (
            ("--cacert", "/ca", "--resolve", f"else:443:{SERVER}", "https://else/"),
            60,
            "",
            "curl: (60) SSL: no alternative certificate subject name matches target host name 'else'\n",
        ),
        (("--cacert", "/nosuch", "https://web/"), 77, "", "curl: (77) error setting certificate verify locations"),
        (("--cacert", "/none", "https://web/"), 77, "", "curl: (77) error adding trust anchors from file: /none\n"),
        (("-k", "https://web:444/"), 35, "", "curl: (35) TLS connect error: error:0A000000:SSL routines::"),
    ],
)
def test_curl(server_context: ssl.SSLContext, words: tuple[str, ...], code: int, output: str, complaint: str) -> None:
    result = ask(server_context, "curl", "-sS", *words)
    assert (result.code, result.out) == (code, output)
    assert result.err.startswith(complaint) and bool(result.err) == bool(complaint)


def test_wget_believes_everybody_and_says_so(server_context: ssl.SSLContext) -> None:
    result = ask(server_context, "wget", "-O-", "https://web/a")
    assert (result.code, result.out) == (0, "GET /a HTTP/1.1")
    assert "wget: note: TLS certificate validation not implemented\n" in result.err


def test_a_simulation_refuses(server_context: ssl.SSLContext) -> None:
    result = ask(server_context, "curl", "-k", "-sS", "https://web/", simulated=True)
    assert (result.code, result.out) == (1, "")
    assert result.err == ("curl: (1) TLS is not built for simulations: its random bytes would differ in every run\n")
