"""Which programs an image or a machine has."""

from typing import Final

from podwire.services.node.process import Program
from podwire.services.node.programs import (
    characters,
    files,
    head_tail,
    iptables,
    lookups,
    netcat,
    nslookup,
    ping,
    printing,
    routes,
    socket_lists,
    sorting,
    system,
)
from podwire.services.node.programs.awk.command import awk
from podwire.services.node.programs.conditions import test
from podwire.services.node.programs.conntrack import conntrack, ipset, sysctl
from podwire.services.node.programs.curl import curl
from podwire.services.node.programs.dig import dig, host
from podwire.services.node.programs.grep import grep
from podwire.services.node.programs.ip import bridge, ip
from podwire.services.node.programs.sed import sed
from podwire.services.node.programs.sh import sh
from podwire.services.node.programs.tar import tar
from podwire.services.node.programs.wc import wc
from podwire.services.node.programs.wget import wget

BASICS: Final[dict[str, Program]] = {
    "[": test,
    "awk": awk,
    "cat": files.cat,
    "clear": system.clear_screen,
    "cut": characters.cut,
    "date": system.date,
    "echo": printing.echo,
    "egrep": grep,
    "env": system.env,
    "false": printing.false,
    "fgrep": grep,
    "grep": grep,
    "head": head_tail.head,
    "hostname": system.hostname,
    "id": system.identity,
    "ls": files.ls,
    "mkdir": files.mkdir,
    "nproc": system.nproc,
    "printenv": system.printenv,
    "printf": printing.printf,
    "ps": system.ps,
    "pwd": system.pwd,
    "rev": characters.rev,
    "rm": files.rm,
    "sed": sed,
    "seq": printing.seq,
    "sh": sh,
    "sleep": system.sleep,
    "sort": sorting.sort,
    "tail": head_tail.tail,
    "tar": tar,
    "tee": files.tee,
    "test": test,
    "timeout": system.timeout,
    "touch": files.touch,
    "tr": characters.tr,
    "true": printing.true,
    "uname": system.uname,
    "uniq": sorting.uniq,
    "uptime": system.uptime_seconds,
    "wc": wc,
    "whoami": system.whoami,
    "xargs": system.xargs,
    "yes": printing.yes,
}
BUSYBOX: Final[dict[str, Program]] = {
    **BASICS,
    "arp": routes.arp,
    "ash": sh,
    "ifconfig": routes.ifconfig,
    "ip": ip,
    "nc": netcat.busybox_nc,
    "netstat": socket_lists.netstat,
    "nslookup": nslookup.busybox_nslookup,
    "ping": ping.busybox_ping,
    "route": routes.route,
    "sysctl": sysctl,
    "traceroute": lookups.traceroute,
    "wget": wget,
}
OLD_BUSYBOX: Final[dict[str, Program]] = {**BUSYBOX, "nslookup": nslookup.old_busybox_nslookup}
ALPINE: Final[dict[str, Program]] = {**BUSYBOX, "getent": lookups.getent}
CURL_ALPINE: Final[dict[str, Program]] = {**ALPINE, "curl": curl}
DEBIAN: Final[dict[str, Program]] = {**BASICS, "bash": sh, "dash": sh, "getent": lookups.getent}
CURL_DEBIAN: Final[dict[str, Program]] = {**DEBIAN, "curl": curl}
NETWORK_TOOLS: Final[dict[str, Program]] = {
    **CURL_DEBIAN,
    "arp": routes.arp,
    "bridge": bridge,
    "conntrack": conntrack,
    "dig": dig,
    "host": host,
    "ifconfig": routes.ifconfig,
    "ip": ip,
    "ipset": ipset,
    "iptables": iptables.iptables,
    "iptables-restore": iptables.restore_tables,
    "iptables-save": iptables.save,
    "nc": netcat.openbsd_nc,
    "netcat": netcat.openbsd_nc,
    "netstat": socket_lists.netstat,
    "nslookup": nslookup.bind_nslookup,
    "ping": ping.iputils_ping,
    "route": routes.route,
    "ss": socket_lists.ss,
    "sysctl": sysctl,
    "traceroute": lookups.traceroute,
    "wget": wget,
}
HOST: Final[dict[str, Program]] = {**NETWORK_TOOLS, "sudo": system.sudo}
