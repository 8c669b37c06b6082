"""Which programs an image or a machine has."""

from typing import Final

from podwire.services.node.process import Program
from podwire.services.node.programs import files, printing, system
from podwire.services.node.programs.conditions import test
from podwire.services.node.programs.sh import sh

BASICS: Final[dict[str, Program]] = {
    "sh": sh,
    "ash": sh,
    "[": test,
    "cat": files.cat,
    "clear": system.clear_screen,
    "date": system.date,
    "echo": printing.echo,
    "env": system.env,
    "false": printing.false,
    "hostname": system.hostname,
    "id": system.identity,
    "ls": files.ls,
    "nproc": system.nproc,
    "printenv": system.printenv,
    "printf": printing.printf,
    "ps": system.ps,
    "pwd": system.pwd,
    "seq": printing.seq,
    "sleep": system.sleep,
    "tee": files.tee,
    "test": test,
    "true": printing.true,
    "uname": system.uname,
    "uptime": system.uptime_seconds,
    "whoami": system.whoami,
    "xargs": system.xargs,
    "yes": printing.yes,
}
BUSYBOX: Final = BASICS
DEBIAN: Final = {**BASICS, "bash": sh, "dash": sh}
HOST: Final = {**DEBIAN, "sudo": system.sudo}
