"""dig, host, ss, netstat, route, arp and ifconfig: their output line by line."""

import asyncio

import pytest
from scenes import serve_dns, serve_image, talk
from surroundings import SERVER, Machine

from podwire.services.node.network import sctp

NAME = "web.default.svc.cluster.local"
ANSWER = """
; <<>> DiG 9.18.28 <<>> +noedns {name}
;; global options: +cmd
;; Got answer:
;; ->>HEADER<<- opcode: QUERY, status: NOERROR, id: {id}
;; flags: qr aa rd; QUERY: 1, ANSWER: 1, AUTHORITY: 0, ADDITIONAL: 0
;; WARNING: recursion requested but not available

;; QUESTION SECTION:
;{name}.\tIN\tA

;; ANSWER SECTION:
{name}. 30 IN\tA\t10.244.1.3

;; Query time: 0 msec
;; SERVER: 10.244.1.3#53(10.244.1.3) (UDP)
;; WHEN: Tue Nov 14 22:13:20 UTC 2023
;; MSG SIZE  rcvd: 63

"""


async def nginx(machine: Machine) -> None:
    await serve_image(machine, "nginx:1.27")


def test_dig_prints_the_whole_message() -> None:
    output = talk(["dig", "+noedns", NAME], serve_dns).out
    number = output.partition("id: ")[2].partition("\n")[0]
    assert output == ANSWER.format(name=NAME, id=number)


@pytest.mark.parametrize(
    ("command", "code", "output"),
    [
        ("dig +short web", 0, ""),
        ("dig +short +search web", 0, "10.244.1.3\n"),
        (f"dig +noall +answer {NAME}", 0, f"{NAME}. 30 IN\tA\t10.244.1.3\n"),
        (f"dig @{SERVER} -p 53 -t A {NAME} +short", 0, "10.244.1.3\n"),
        (f"dig +short {NAME} A {NAME}", 0, "10.244.1.3\n10.244.1.3\n"),
        ("dig +noall +question -x 10.96.0.7", 0, ";7.0.96.10.in-addr.arpa.\tIN\tPTR\n"),
        ("dig +short +tcp +tries=1 a", 9, f";; communications error to {SERVER}#53: connection refused\n{'%'}"),
        ("dig +trace a", 1, ""),
        ("dig +nosuch a", 1, ""),
        ("host web", 0, f"{NAME} has address 10.244.1.3\n"),
        ("host nope", 1, "Host nope not found: 3(NXDOMAIN)\n"),
        ("host -t SRV web", 0, f"{NAME} has no SRV record\n"),
        (
            f"host nope {SERVER}",
            1,
            f"Using domain server:\nName: {SERVER}\nAddress: {SERVER}#53\nAliases: \n\nHost nope",
        ),
        ("host", 1, ""),
    ],
)
def test_names(command: str, code: int, output: str) -> None:
    output = output.replace("%", ";; no servers could be reached\n")
    result = talk(command.split(), serve_dns)
    assert result.code == code
    assert result.out.startswith(output) and bool(result.out) == bool(output)


TABLE = """Kernel IP routing table
Destination     Gateway         Genmask         Flags Metric Ref    Use Iface
0.0.0.0         10.244.1.1      0.0.0.0         UG    0      0        0 eth0
10.244.1.0      0.0.0.0         255.255.255.0   U     0      0        0 eth0
"""
NETSTAT_TABLE = """Kernel IP routing table
Destination     Gateway         Genmask         Flags   MSS Window  irtt Iface
0.0.0.0         10.244.1.1      0.0.0.0         UG        0 0          0 eth0
10.244.1.0      0.0.0.0         255.255.255.0   U         0 0          0 eth0
"""
LISTENING = (
    "Active Internet connections (only servers)\n"
    "Proto Recv-Q Send-Q Local Address           Foreign Address         State       PID/Program name    \n"
    "tcp        0      0 0.0.0.0:8080            0.0.0.0:*               LISTEN      -                   \n"
)
LISTEN = "nc -l -p 8080 & sleep 1; "
TALKING = f"(sleep 5 | nc {SERVER} 80) & sleep 1; "


@pytest.mark.parametrize(
    ("script", "code", "output"),
    [
        ("route -n", 0, TABLE),
        ("netstat -rn", 0, NETSTAT_TABLE),
        (f"{LISTEN}netstat -tlnp", 0, LISTENING),
        (f"{LISTEN}ss -Htln", 0, "LISTEN 0 128 0.0.0.0:8080 0.0.0.0:* \n"),
        (f"{LISTEN}ss -Htln sport = :80", 0, ""),
        ("nc -6 -l -p 8080 & sleep 1; ss -H6tln", 0, "LISTEN 0 128 *:8080 *:* \n"),
        ("nc -6 -l -p 8080 & sleep 1; ss -H4tln", 0, ""),
        (
            "nc -6 -l -p 8080 & sleep 1; netstat -tln | tail -1",
            0,
            "tcp        0      0 :::8080                 :::*                    LISTEN      \n",
        ),
        (f"{LISTEN}ss -Hln", 0, "tcp LISTEN 0 128 0.0.0.0:8080 0.0.0.0:* \n"),
        (f"{TALKING}ss -Htn | wc -l", 0, "1\n"),
        (f"{TALKING}ss -Htn | awk '{{print $1, $5}}'", 0, f"ESTAB {SERVER}:80\n"),
        (f"{TALKING}ss -Htan state established '( dport = :80 )' | wc -l", 0, "1\n"),
        (f"{TALKING}ss -Htan state time-wait | wc -l", 0, "0\n"),
        ("ss -tln", 0, "State Recv-Q Send-Q Local Address:Port Peer Address:Port Process \n"),
        ("ss -f inet", 1, ""),
        ("ss nonsense", 1, ""),
        (f"curl -s {SERVER} > /dev/null; arp -a | cut -d' ' -f1-3", 0, f"? ({SERVER}) at\n"),
        ("arp -d 10.244.1.3", 1, ""),
        ("route add default gw 10.244.1.1", 1, ""),
        ("ifconfig lo", 0, "lo        Link encap:Local Loopback  \n          inet addr:127.0.0.1  Mask:255.0.0.0\n"),
        ("ifconfig nosuch", 1, ""),
        ("ifconfig eth0 down", 1, ""),
    ],
)
def test_sockets_and_routes(script: str, code: int, output: str) -> None:
    result = talk(["sh", "-c", script], nginx)
    assert (result.code, result.out[: len(output) or None]) == (code, output)
    assert bool(result.err) == bool(code)


def test_sctp_sockets() -> None:
    """A listener, and a one-to-one socket with its association beneath it."""

    async def server(machine: Machine) -> None:
        await serve_image(machine, "agnhost", "netexec", "--sctp-port=9999", "--http-port=80")

    async def scene(machine: Machine) -> list[str]:
        task = asyncio.get_running_loop().create_task(server(machine))
        await asyncio.sleep(0.001)
        network = machine.process([], machine.nobody, bytearray(), bytearray()).network
        channel = await sctp.connect(network, (SERVER, 9999))
        port = str(channel.socket.local[1])
        await asyncio.sleep(0.001)
        lines = ["ss -SanO", "ss -SlnH", "netstat -Sn"]
        outs = [(await machine.run(line.split(), where="server")).out.replace(port, "PORT") for line in lines]
        channel.close()
        task.cancel()
        return outs

    assert Machine().play(scene) == [
        "State    Recv-Q Send-Q   Local Address:Port Peer Address:Port  Process \n"
        "LISTEN   0      128                  *:9999            *:* \n"
        "ESTAB    0      0           10.244.1.3:9999   10.244.1.2:PORT \n"
        "`- ESTAB 0      0      10.244.1.3%eth0:9999   10.244.1.2:PORT \n",
        "LISTEN 0 128 *:9999 *:* \n",
        "Active Internet connections (w/o servers)\n"
        "Proto Recv-Q Send-Q Local Address           Foreign Address         State       \n"
        "sctp       0      0 10.244.1.3:9999         10.244.1.2:PORT        ESTABLISHED \n",
    ]
