"""curl, wget, ping, nslookup, nc, ip and iptables between two pods in virtual time, with servers of our own."""

from typing import Any

import pytest
from scenes import serve_bytes, serve_dns, serve_image, talk
from surroundings import SERVER, Machine, run_on_machine

from podwire.services.node.programs import netcat, nslookup, ping, traceroute, wget


async def nginx(machine: Machine) -> None:
    await serve_image(machine, "nginx:1.27")


async def generic(machine: Machine) -> None:
    await serve_image(machine, "example.com/team/my-api:1")


# -- curl

TIMED_OUT = "curl: (28) Connection timed out after"
SLOW = "curl: (28) Operation timed out after"
REFUSED = "Could not connect to server"


def test_curl_fetches_by_name_through_the_search_list() -> None:
    result = talk(["curl", "-s", "http://web:8080/health"], serve_dns, generic)
    assert (result.out, result.err, result.code) == ('{"status":"ok"}\n', "", 0)


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (["http://nosuch/"], 6, "curl: (6) Could not resolve host: nosuch\n"),
        (["http://web:81/"], 7, f"curl: (7) Failed to connect to web port 81 after 0 ms: {REFUSED}\n"),
        (["-m", "3", "http://10.244.1.9/"], 28, f"{TIMED_OUT} 3000 milliseconds\n"),
        (
            ["--connect-timeout", "2", "http://10.244.1.9/"],
            28,
            f"{TIMED_OUT} 2000 milliseconds\n",
        ),
        (
            ["http://10.244.1.9/"],
            7,
            f"curl: (7) Failed to connect to 10.244.1.9 port 80 after 3000 ms: {REFUSED}\n",
        ),
        (
            ["-m", "2", "http://web:9/"],
            28,
            f"{SLOW} 2000 milliseconds with 0 bytes received\n",
        ),
        (["http://web:7/"], 52, "curl: (52) Empty reply from server\n"),
        (["http://web:6/"], 18, "curl: (18) end of response with 7 bytes missing\n"),
        (["-f", "http://web/nope"], 22, "curl: (22) The requested URL returned error: 404\n"),
        (["https://web:8080/"], 7, f"curl: (7) Failed to connect to web port 8080 after 0 ms: {REFUSED}\n"),
        (["ftp://web/"], 1, 'curl: (1) Protocol "ftp" not supported\n'),
        (["http://:x/"], 3, "curl: (3) URL rejected: Port number was not a decimal number between 0 and 65535\n"),
    ],
)
def test_curl_fails_with_its_numbers(arguments: list[str], code: int, complaint: str) -> None:
    result = talk(
        ["curl", "-sS", *arguments],
        serve_dns,
        nginx,
        lambda machine: serve_bytes(machine, 9, b"", silent=True),
        lambda machine: serve_bytes(machine, 7, b""),
        lambda machine: serve_bytes(machine, 6, b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"),
    )
    assert (result.code, result.err) == (code, complaint)


def test_curl_says_nothing_with_s_alone() -> None:
    assert talk(["curl", "-s", "http://nosuch/"], serve_dns).err == ""


def test_curl_shows_the_conversation() -> None:
    result = talk(["curl", "-sv", "-H", "X-A: b", "-o", "/dev/null", "http://web/"], serve_dns, nginx)
    lines = result.err.splitlines()
    assert lines[:6] == [
        "* Host web:80 was resolved.",
        "* IPv6: (none)",
        "* IPv4: 10.244.1.3",
        "*   Trying 10.244.1.3:80...",
        "* Connected to web (10.244.1.3) port 80",
        "> GET / HTTP/1.1",
    ]
    assert "> X-A: b" in lines and "< HTTP/1.1 200 OK" in lines and "< Server: nginx/1.27.5" in lines
    assert lines[-1] == "* Connection #0 to host web left intact"
    assert result.out == ""


def test_curl_writes_out_and_heads_and_includes() -> None:
    written = talk(
        ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code} %{remote_ip} %{size_download}\\n", "http://web/"],
        serve_dns,
        nginx,
    )
    assert written.out == "200 10.244.1.3 615\n"
    head = talk(["curl", "-sI", "http://web/"], serve_dns, nginx)
    assert head.out.startswith("HTTP/1.1 200 OK\r\nServer: nginx/1.27.5\r\nDate: Tue, 14 Nov 2023 22:13:20 GMT\r\n")
    assert head.out.endswith("Accept-Ranges: bytes\r\n\r\n")
    included = talk(["curl", "-si", "http://web:8080/"], serve_dns, generic)
    assert included.out.endswith("\r\n\r\nHello from example.com/team/my-api:1 on server\n")


def test_curl_follows_posts_and_resolves_as_told() -> None:
    moved = b"HTTP/1.1 302 Found\r\nLocation: http://web:8080/health\r\nContent-Length: 0\r\n\r\n"
    followed = talk(
        ["curl", "-sL", "http://web:5/"], serve_dns, generic, lambda machine: serve_bytes(machine, 5, moved)
    )
    assert followed.out == '{"status":"ok"}\n'

    async def echo(machine: Machine) -> None:
        await serve_image(machine, "ealen/echo-server")

    posted = talk(
        ["curl", "-s", "--resolve", "x.test:80:10.244.1.3", "-d", "a=1", "-d", "b=2", "http://x.test/p"], echo
    )
    assert '"method":"POST"' in posted.out and '"body":"a=1&b=2"' in posted.out and '"host":"x.test"' in posted.out


def test_curl_refuses_what_it_does_not_know() -> None:
    result = talk(["curl", "--nosuch"])
    assert result.code == 2
    assert result.err.startswith("curl: option --nosuch: is unknown\n")


# -- wget


def test_wget_prints_a_page() -> None:
    result = talk(["wget", "-q", "-O", "-", "http://web:8080/"], serve_dns, generic, program=wget.wget)
    assert (result.out, result.err, result.code) == ("Hello from example.com/team/my-api:1 on server\n", "", 0)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["http://nosuch"], "wget: bad address 'nosuch'\n"),
        (["http://web:81"], "wget: can't connect to remote host (10.244.1.3): Connection refused\n"),
        (["-T", "2", "http://10.244.1.9"], "wget: download timed out\n"),
        (["http://web/nope"], "wget: server returned error: HTTP/1.1 404 Not Found\n"),
    ],
)
def test_wget_fails_in_busyboxes_words(arguments: list[str], complaint: str) -> None:
    result = talk(["wget", "-q", "-O-", *arguments], serve_dns, nginx, program=wget.wget)
    assert (result.code, result.err) == (1, complaint)


def test_wget_saves_and_spiders() -> None:
    saved = talk(["sh", "-c", "cd /tmp; wget http://web/; wc -c < index.html; wget -q http://web/"], serve_dns, nginx)
    assert saved.out == "615\n"
    assert "Connecting to web (10.244.1.3:80)\nsaving to 'index.html'\n" in saved.err
    assert saved.err.endswith("'index.html' saved\nwget: can't open 'index.html': File exists\n")
    assert talk(["wget", "--spider", "http://web/"], serve_dns, nginx).err.endswith("remote file exists\n")


# -- ping


def test_ping_in_two_dialects() -> None:
    busybox = talk(["ping", "-c", "2", SERVER], program=ping.busybox_ping)
    assert busybox.out == (
        "PING 10.244.1.3 (10.244.1.3): 56 data bytes\n"
        "64 bytes from 10.244.1.3: seq=0 ttl=64 time=0.000 ms\n"
        "64 bytes from 10.244.1.3: seq=1 ttl=64 time=0.000 ms\n"
        "\n--- 10.244.1.3 ping statistics ---\n2 packets transmitted, 2 packets received, 0% packet loss\n"
        "round-trip min/avg/max = 0.000/0.000/0.000 ms\n"
    )
    iputils = talk(["ping", "-c", "2", "web"], serve_dns)
    assert iputils.out == (
        "PING web.default.svc.cluster.local (10.244.1.3) 56(84) bytes of data.\n"
        "64 bytes from 10.244.1.3: icmp_seq=1 ttl=64 time=0.000 ms\n"
        "64 bytes from 10.244.1.3: icmp_seq=2 ttl=64 time=0.000 ms\n"
        "\n--- web.default.svc.cluster.local ping statistics ---\n"
        "2 packets transmitted, 2 received, 0% packet loss, time 1000ms\n"
        "rtt min/avg/max/mdev = 0.000/0.000/0.000/0.000 ms\n"
    )


def test_ping_without_answers() -> None:
    lost = talk(["ping", "-c1", "-W1", "10.244.1.9"])
    assert lost.code == 1
    assert lost.out.endswith("1 packets transmitted, 0 received, 100% packet loss, time 1000ms\n\n")
    assert talk(["ping", "nosuch"], serve_dns).err == "ping: nosuch: Name or service not known\n"
    assert talk(["ping", "nosuch"]).err == "ping: nosuch: Temporary failure in name resolution\n"
    bad = talk(["ping", "nosuch"], serve_dns, program=ping.busybox_ping)
    assert (bad.code, bad.err) == (1, "ping: bad address 'nosuch'\n")


def test_traceroute_ends_at_its_goal() -> None:
    result = talk(["traceroute", "-n", "-q1", SERVER], program=traceroute.traceroute)
    assert result.out == (
        "traceroute to 10.244.1.3 (10.244.1.3), 30 hops max, 60 byte packets\n 1  10.244.1.3  0.000 ms\n"
    )


# -- nslookup, getent


def test_nslookup_of_three_makes() -> None:
    modern = talk(["nslookup", "my-api.default.svc.cluster.local"], serve_dns, program=nslookup.busybox_nslookup)
    head = "Server:\t\t10.244.1.3\nAddress:\t10.244.1.3:53\n\n"
    assert modern.out == f"{head}Name:\tmy-api.default.svc.cluster.local\nAddress: 10.96.0.7\n\n\n"
    short = talk(["nslookup", "-type=a", "my-api"], serve_dns, program=nslookup.busybox_nslookup)
    assert short.out == (
        f"{head}Name:\tmy-api.default.svc.cluster.local\nAddress: 10.96.0.7\n\n"
        "** server can't find my-api.svc.cluster.local: NXDOMAIN\n\n"
    )
    assert short.code == 1
    bind = talk(["nslookup", "my-api"], serve_dns, program=nslookup.bind_nslookup)
    assert bind.out == (
        "Server:\t\t10.244.1.3\nAddress:\t10.244.1.3#53\n\n"
        "Name:\tmy-api.default.svc.cluster.local\nAddress: 10.96.0.7\n\n"
    )
    old = talk(["nslookup", "my-api"], serve_dns, program=nslookup.old_busybox_nslookup)
    assert old.out == ("Server:    10.244.1.3\nAddress 1: 10.244.1.3\n\nName:      my-api\nAddress 1: 10.96.0.7\n")


@pytest.mark.parametrize("program", [nslookup.busybox_nslookup, nslookup.bind_nslookup])
def test_nslookup_without_a_server(program: Any) -> None:
    result = talk(["nslookup", "a.b", "10.244.1.9"], program=program)
    assert (result.code, result.out) == (1, ";; connection timed out; no servers could be reached\n\n")


def test_getent_hosts() -> None:
    assert talk(["getent", "hosts", "web"], serve_dns).out == "10.244.1.3      web.default.svc.cluster.local\n"
    assert talk(["getent", "hosts", "nosuch"], serve_dns).code == 2


# -- nc


def test_nc_scans_talks_and_listens() -> None:
    opened = talk(["nc", "-zv", "web", "80"], serve_dns, nginx)
    assert (opened.code, opened.err) == (0, "Connection to web (10.244.1.3) 80 port [tcp/http] succeeded!\n")
    closed = talk(["nc", "-zv", SERVER, "81"])
    assert (closed.code, closed.err) == (1, "nc: connect to 10.244.1.3 port 81 (tcp) failed: Connection refused\n")
    silent = talk(["nc", "-z", "-w1", "10.244.1.9", "81"], program=netcat.busybox_nc)
    assert (silent.code, silent.err) == (1, "")
    script = "nc -l -p 5000 > /tmp/got & sleep 1; echo hello | nc 10.244.1.2 5000; wait; cat /tmp/got"
    assert talk(["sh", "-c", script]).out == "hello\n"


# -- ip, iptables

VERSION = "v1.8.10 (nf_tables)"
COLUMNS = "target     prot opt source               destination         "


@pytest.mark.parametrize(
    ("script", "output"),
    [
        (
            "ip -br link show type bridge",
            "cni0             UP             02:00:00:00:02:01 <BROADCAST,MULTICAST,UP,LOWER_UP> \n",
        ),
        ("ip route show dev cni0", "10.244.1.0/24 proto kernel scope link src 10.244.1.1 \n"),
        ("ip r s default", ""),
        ("ip route get 10.244.1.3 | head -1", "10.244.1.3 dev cni0 src 10.244.1.1 uid 0 \n"),
        ("ip netns", "server (id: 1)\nclient (id: 0)\n"),
        ("ip -6 rule", "0:\tfrom all lookup local\n32766:\tfrom all lookup main\n"),
        (
            "ip rule add fwmark 0x1/0xf lookup 100; ip rule add from 10.0.0.0/8 prohibit prio 7; ip rule",
            "0:\tfrom all lookup local\n7:\tfrom 10.0.0.0/8 prohibit\n32765:\tfrom all fwmark 0x1/0xf lookup 100\n"
            "32766:\tfrom all lookup main\n32767:\tfrom all lookup default\n",
        ),
        (
            "ip r add 10.9.0.0/16 dev cni0 table 100; ip rule add fwmark 1 table 100; ip r s table 100; "
            "ip r get 10.9.1.1 mark 1 | head -1",
            "10.9.0.0/16 dev cni0 scope link \n10.9.1.1 dev cni0 table 100 src 10.244.1.1 mark 1 uid 0 \n",
        ),
        (
            "ip -6 addr add fd00::1/64 dev cni0; ip -6 r add default via fd00::9; ip -6 r s dev cni0; "
            "ip -6 r get fd01::1",
            "fd00::/64 proto kernel metric 256 pref medium\n"
            "fe80::/64 proto kernel metric 256 pref medium\n"
            "default via fd00::9 metric 1024 pref medium\n"
            "fd01::1 from :: via fd00::9 dev cni0 src fd00::1 metric 1024 pref medium\n",
        ),
        (
            "ip6tables -A INPUT -s fd00::/64 -p icmpv6 --icmpv6-type ping -j REJECT; ip6tables -S INPUT",
            "-P INPUT ACCEPT\n-A INPUT -s fd00::/64 -p ipv6-icmp -m icmp6 --icmpv6-type 128 "
            "-j REJECT --reject-with icmp6-port-unreachable\n",
        ),
        ("ip neigh add proxy 10.244.1.77 dev cni0; ip neigh show proxy", "10.244.1.77 dev cni0 proxy \n"),
        ("ip netns exec client ip -4 -br addr show eth0", "eth0@if3         UP             10.244.1.2/24 \n"),
        ("ip -n client route show default", "default via 10.244.1.1 dev eth0 \n"),
        (
            "ip addr add 10.9.0.1/24 dev cni0; ip -br a s cni0",
            "cni0             UP             10.244.1.1/24 10.9.0.1/24 fe80::ff:fe00:201/64 \n",
        ),
        (
            "ip r add 10.8.0.0/16 via 10.244.1.9; ip r s 10.8.0.0/16",
            "10.8.0.0/16 via 10.244.1.9 dev cni0 \n",
        ),
        (
            "ip link add d0 type dummy; ip link set d0 up; ip -br l s d0 | cut -c1-24",
            "d0               UNKNOWN\n",
        ),
        ("sysctl -n net.ipv4.ip_forward; sysctl -w net.ipv4.ip_forward=0", "1\nnet.ipv4.ip_forward = 0\n"),
        (
            "iptables -t nat -N X; iptables -t nat -A X -p tcp -m tcp --dport 80 -j RETURN; iptables -t nat -S X",
            "-N X\n-A X -p tcp -m tcp --dport 80 -j RETURN\n",
        ),
        ("iptables -N X; sudo iptables -nL X | grep -c Chain", "1\n"),
        (
            "iptables -L INPUT",
            f"Chain INPUT (policy ACCEPT)\n{COLUMNS}\n",
        ),
        ("iptables -N X; iptables-save -t filter | grep -v '^#' | iptables-restore && iptables -S X", "-N X\n"),
        ("iptables -N X; printf '*filter\\nCOMMIT\\n' | iptables-restore --test; iptables -S X", "-N X\n"),
    ],
)
def test_the_machine_shows_and_changes_its_kernel(script: str, output: str) -> None:
    result = run_on_machine(script)
    assert (result.out, result.err) == (output, "")


@pytest.mark.parametrize(
    ("script", "code", "complaint"),
    [
        ("ip link show nope", 1, 'Device "nope" does not exist.\n'),
        ("ip foo", 1, 'Object "foo" is unknown, try "ip help".\n'),
        ("ip link foo", 255, 'Command "foo" is unknown, try "ip link help".\n'),
        ("ip link set nope up", 1, 'Cannot find device "nope"\n'),
        ("ip route add 10.244.1.0/24 dev cni0 proto kernel scope link; true", 0, ""),
        ("ip route get 8.8.8.8", 2, "RTNETLINK answers: Network is unreachable\n"),
        ("iptables -L NOPE -n", 1, "iptables: No chain/target/match by that name.\n"),
        (
            "iptables -t nope -L",
            2,
            f"iptables {VERSION}: can't initialize iptables table `nope': Table does not exist\n"
            "Try `iptables -h' or 'iptables --help' for more information.\n",
        ),
        (
            "echo bad | iptables-restore",
            2,
            "iptables-restore v1.8.10 (nf_tables): failed\nError occurred at line: 1\n"
            "Try `iptables-restore -h' or 'iptables-restore --help' for more information.\n",
        ),
    ],
)
def test_the_machine_refuses_in_the_tools_words(script: str, code: int, complaint: str) -> None:
    result = run_on_machine(script)
    if complaint:
        assert (result.code, result.err) == (code, complaint)
    assert result.code == code


def test_a_pod_may_look_but_not_touch() -> None:
    assert talk(["ip", "link", "set", "eth0", "down"]).err == "RTNETLINK answers: Operation not permitted\n"
    assert talk(["iptables", "-L"]).code == 4
    assert talk(["conntrack", "-L"]).code == 1
    assert talk(["ip", "netns", "exec", "server", "ip", "a"]).code == 255
