"""Which programs an image or a machine has."""

from typing import Final

from podwire.services.node.images.busybox_httpd import httpd
from podwire.services.node.process import Program
from podwire.services.node.programs import (
    characters,
    columns,
    comparing,
    digests,
    dumps,
    file_changes,
    files,
    head_tail,
    iptables,
    lookups,
    netcat,
    nft,
    nslookup,
    paths,
    ping,
    printing,
    process_tools,
    ps,
    routes,
    socket_lists,
    sorting,
    stat,
    stty,
    system,
    traceroute,
)
from podwire.services.node.programs.awk.command import awk
from podwire.services.node.programs.conditions import test
from podwire.services.node.programs.conntrack import conntrack, sysctl
from podwire.services.node.programs.crictl import crictl
from podwire.services.node.programs.curl import curl
from podwire.services.node.programs.dd import dd
from podwire.services.node.programs.dig import dig, host
from podwire.services.node.programs.ethtool import ethtool
from podwire.services.node.programs.expr import expr
from podwire.services.node.programs.find import find
from podwire.services.node.programs.grep import grep
from podwire.services.node.programs.ip.bridge import bridge
from podwire.services.node.programs.ip.command import ip
from podwire.services.node.programs.ipset import ipset
from podwire.services.node.programs.ipvsadm import ipvsadm
from podwire.services.node.programs.sed import sed
from podwire.services.node.programs.sh import sh
from podwire.services.node.programs.tar import tar
from podwire.services.node.programs.tc import tc
from podwire.services.node.programs.tcpdump.command import tcpdump
from podwire.services.node.programs.tracepath import tracepath
from podwire.services.node.programs.watching import watch
from podwire.services.node.programs.wc import wc
from podwire.services.node.programs.wget import wget

BASICS: Final[dict[str, Program]] = {
    "[": test,
    "awk": awk,
    "base64": digests.base64,
    "basename": paths.basename,
    "cat": files.cat,
    "chmod": file_changes.chmod,
    "clear": system.clear_screen,
    "cmp": comparing.cmp,
    "cp": file_changes.cp,
    "cut": characters.cut,
    "date": system.date,
    "dd": dd,
    "df": stat.df,
    "diff": comparing.diff,
    "dirname": paths.dirname,
    "du": stat.du,
    "echo": printing.echo,
    "egrep": grep,
    "env": system.env,
    "expr": expr,
    "false": printing.false,
    "fgrep": grep,
    "find": find,
    "grep": grep,
    "head": head_tail.head,
    "hexdump": dumps.hexdump,
    "hostname": system.hostname,
    "id": system.identity,
    "ln": file_changes.ln,
    "ls": files.ls,
    "md5sum": digests.digest_program("md5"),
    "mkdir": files.mkdir,
    "mktemp": paths.mktemp,
    "mv": file_changes.mv,
    "nl": columns.nl,
    "nproc": system.nproc,
    "od": dumps.od,
    "paste": columns.paste,
    "printenv": system.printenv,
    "printf": printing.printf,
    "pwd": system.pwd,
    "readlink": paths.readlink,
    "realpath": paths.realpath,
    "rev": characters.rev,
    "rm": files.rm,
    "rmdir": file_changes.rmdir,
    "sed": sed,
    "seq": printing.seq,
    "sh": sh,
    "sha1sum": digests.digest_program("sha1"),
    "sha256sum": digests.digest_program("sha256"),
    "sha512sum": digests.digest_program("sha512"),
    "sleep": system.sleep,
    "sort": sorting.sort,
    "stat": stat.stat,
    "stty": stty.stty,
    "tac": columns.tac,
    "tail": head_tail.tail,
    "tar": tar,
    "tee": files.tee,
    "test": test,
    "timeout": system.timeout,
    "touch": files.touch,
    "tr": characters.tr,
    "true": printing.true,
    "tty": stty.tty,
    "truncate": file_changes.truncate,
    "uname": system.uname,
    "uniq": sorting.uniq,
    "uptime": system.uptime_seconds,
    "wc": wc,
    "which": paths.which,
    "whoami": system.whoami,
    "xargs": system.xargs,
    "xxd": dumps.xxd,
    "yes": printing.yes,
}
BUSYBOX: Final[dict[str, Program]] = {
    **BASICS,
    "arp": routes.arp,
    "ash": sh,
    "cut": characters.busybox_cut,
    "httpd": httpd,
    "ifconfig": routes.ifconfig,
    "ip": ip,
    "kill": process_tools.kill,
    "killall": process_tools.killall,
    "nc": netcat.busybox_nc,
    "netstat": socket_lists.netstat,
    "nslookup": nslookup.busybox_nslookup,
    "paste": columns.busybox_paste,
    "pgrep": process_tools.pgrep,
    "pidof": process_tools.pidof,
    "ping": ping.busybox_ping,
    "pkill": process_tools.pkill,
    "ps": ps.busybox_ps,
    "route": routes.route,
    "sysctl": sysctl,
    "time": system.time_command,
    "tc": tc,
    "traceroute": traceroute.busybox_traceroute,
    "watch": watch,
    "wget": wget,
}
OLD_BUSYBOX: Final[dict[str, Program]] = {**BUSYBOX, "nslookup": nslookup.old_busybox_nslookup}

ALPINE: Final[dict[str, Program]] = {**BUSYBOX, "getent": lookups.getent}
CURL_ALPINE: Final[dict[str, Program]] = {**ALPINE, "curl": curl}
DEBIAN: Final[dict[str, Program]] = {**BASICS, "bash": sh, "dash": sh, "getent": lookups.getent}
PROCPS: Final[dict[str, Program]] = {
    "kill": process_tools.kill,
    "pgrep": process_tools.pgrep,
    "pidof": process_tools.pidof,
    "pkill": process_tools.pkill,
    "ps": ps.procps_ps,
    "watch": watch,
}
"""Of the distributions' own images only some have it: Debian's, and what is built on it, have not."""
CURL_DEBIAN: Final[dict[str, Program]] = {**DEBIAN, "curl": curl}
NETWORK_TOOLS: Final[dict[str, Program]] = {
    **CURL_DEBIAN,
    **PROCPS,
    "arp": routes.arp,
    "bridge": bridge,
    "conntrack": conntrack,
    "dig": dig,
    "ethtool": ethtool,
    "host": host,
    "ifconfig": routes.ifconfig,
    "ip": ip,
    "ipset": ipset,
    "ip6tables": iptables.iptables,
    "ip6tables-restore": iptables.restore_tables,
    "ip6tables-save": iptables.save,
    "iptables": iptables.iptables,
    "ipvsadm": ipvsadm,
    "iptables-restore": iptables.restore_tables,
    "iptables-save": iptables.save,
    "nft": nft.nft,
    "nc": netcat.openbsd_nc,
    "netcat": netcat.openbsd_nc,
    "netstat": socket_lists.netstat,
    "nslookup": nslookup.bind_nslookup,
    "ping": ping.iputils_ping,
    "ping6": ping.iputils_ping6,
    "route": routes.route,
    "ss": socket_lists.ss,
    "sysctl": sysctl,
    "tcpdump": tcpdump,
    "tracepath": tracepath,
    "tc": tc,
    "traceroute": traceroute.traceroute,
    "wget": wget,
}
HOST: Final[dict[str, Program]] = {**NETWORK_TOOLS, "crictl": crictl, "sudo": system.sudo}
