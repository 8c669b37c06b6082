"""`podwire history`: the event log, the cluster as it was, and what came of it from any point on."""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from podwire.proto.kube.times import rfc3339
from podwire.scripts.cluster.start import MANIFESTS
from podwire.scripts.commands.options import DEFAULT_DATA_DIR, DataDir
from podwire.scripts.errors import UserError
from podwire.scripts.history.changes import Change, change
from podwire.scripts.history.choosing import Filter
from podwire.scripts.history.difference import differences, unified
from podwire.scripts.history.file import save
from podwire.scripts.history.following import follow
from podwire.scripts.history.fork import fork
from podwire.scripts.history.listing import asked, listing
from podwire.scripts.history.log import Log
from podwire.scripts.history.moments import moment, revision
from podwire.scripts.history.past import Past, resolve
from podwire.scripts.history.reading import Source, read
from podwire.scripts.reach.expectation import read_rules
from podwire.scripts.trace.cause import cause
from podwire.scripts.trace.flights import by_trace, flights
from podwire.scripts.trace.render import for_people, tree
from podwire.services.apiserver.core.kinds import Kind
from podwire.services.apiserver.core.presentation import to_yaml
from podwire.services.chassis.eventlog.compaction import LAST_STATE_ONLY

if TYPE_CHECKING:
    from podwire.scripts.history.bisect import Found

app = typer.Typer(help="The event log; the cluster as it was.", invoke_without_command=True)

Machines = Annotated[str, typer.Option("--output", "-o", help="text or json.")]
At = Annotated[str, typer.Option("--at", metavar="RV|TIME", help="A revision, a time, or how long ago (5m).")]
LogFile = Annotated[str, typer.Option("--log", metavar="FILE", help="An exported log, instead of a cluster's.")]
_OUTPUTS: Final = ("text", "json", "yaml")


@dataclass(frozen=True, slots=True)
class _Before:
    """What was said before the subcommand's name: its options count if the subcommand has not got them itself."""

    source: Source
    at: str


def _source(context: typer.Context, data_dir: str, file: str, parameter: str = "data_dir") -> Source:
    before: _Before | None = context.obj
    said = context.get_parameter_source(parameter)
    if before is None or file or (said is not None and said.name == "COMMANDLINE"):
        return Source(data_dir, file)
    return before.source


@app.callback()
def history(
    context: typer.Context,
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="Only changes in it.")] = "",
    kind: Annotated[str, typer.Option(help="Only of these kinds, as in pods,svc.")] = "",
    name: Annotated[str, typer.Option(help="Only of objects with such a name (a glob).")] = "",
    since: Annotated[str, typer.Option(metavar="TIME", help="Only after it: a time, or how long ago (5m).")] = "",
    by: Annotated[str, typer.Option(metavar="WHO", help="Only by such a user or field manager (a glob).")] = "",
    follow_: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what happens.")] = False,
    at: At = "",
    file: LogFile = "",
    output: Annotated[str, typer.Option("--output", "-o", help="text, json or yaml.")] = "text",
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """List the changes of the event log: revision, time, who, verb, object, what changed.

    Leases and Events, of which the log keeps only the last state, are listed with --kind leases or --kind events.
    """
    source = Source(data_dir, file)
    if context.invoked_subcommand is not None:
        if any((namespace, kind, name, since, by, follow_)):
            raise UserError(f"{context.invoked_subcommand}: only --at, --log and --data-dir may stand before it")
        context.obj = _Before(source, at)
        return
    if output not in _OUTPUTS:
        raise UserError(f"--output {output}: {', '.join(_OUTPUTS)}: one of them is needed")
    if follow_ and file:
        raise UserError(f"--follow: nothing is added to --log {file}; leave one of them out")
    started = moment(since, "--since", time.time_ns()) if since else 0
    storages = tuple(each.storage for each in resolve(kind)) if kind else ()
    wanted = Filter(namespace, storages, name, by, started)
    if follow_:
        follow(data_dir, wanted, lambda each: typer.echo(_line(each, output)))
        return
    log = read(source)
    events = log.until(revision(log, at, "--at", time.time_ns()))
    found = [each for event in events if wanted.may_take(event) and wanted.takes(each := change(event))]
    _print(found, output)


def _print(found: list[Change], output: str) -> None:
    if output == "json":
        _print_json([each.as_json() for each in found])
    elif output == "yaml":
        typer.echo(to_yaml([each.as_json() for each in found]), nl=False)
    else:
        for each in found:
            typer.echo(_line(each, output))


def _line(each: Change, output: str) -> str:
    """One change by itself: with json a line, with yaml a document."""
    if output == "json":
        return json.dumps(each.as_json(), ensure_ascii=False)
    if output == "yaml":
        return "---\n" + to_yaml(each.as_json()).decode().rstrip("\n")
    return f"{each.revision:>6}  {each.clock}  {each.by}  {each.verb}  {each.target}  {each.summary()}".rstrip()


@app.command()
def get(
    context: typer.Context,
    arguments: Annotated[list[str], typer.Argument(metavar="TYPE [NAME]… | TYPE/NAME…", help="As kubectl get's.")],
    at: At = "",
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="As kubectl's.")] = "default",
    everywhere: Annotated[bool, typer.Option("--all-namespaces", "-A", help="As kubectl's.")] = False,
    selector: Annotated[str, typer.Option("--selector", "-l", help="As kubectl's.")] = "",
    output: Annotated[str, typer.Option("--output", "-o", help="wide, name, yaml or json.")] = "",
    file: LogFile = "",
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Show objects as they were, as kubectl get showed them."""
    log = read(_source(context, data_dir, file))
    past = _past(context, log, at)
    wanted = asked(arguments, "" if everywhere else namespace, selector, output, past.kinds)
    text = listing(past, wanted)
    _warn_of_last_states(wanted.kinds)
    if text:
        typer.echo(text)
    else:
        place = f" in {namespace} namespace" if not everywhere and wanted.kinds[0].namespaced else ""
        typer.echo(f"No resources found{place}.", err=True)


def _at(context: typer.Context, at: str) -> str:
    before: _Before | None = context.obj
    return at or (before.at if before is not None else "")


def _past(context: typer.Context, log: Log, at: str) -> Past:
    text, now = _at(context, at), time.time_ns()
    found = revision(log, text, "--at", now)
    is_time = text and not text.isdigit()
    return Past(log, found, moment(text, "--at", now) if is_time else 0)


def _warn_of_last_states(kinds: tuple[Kind, ...]) -> None:
    for kind in kinds:
        if kind.storage in LAST_STATE_ONLY:
            text = "the log keeps only the last state of each: those that changed since are not shown"
            typer.echo(f"{kind.resource}: {text}", err=True)


@app.command()
def diff(
    context: typer.Context,
    old: Annotated[str, typer.Argument(metavar="A", help="A revision, a time, or how long ago.")],
    new: Annotated[str, typer.Argument(metavar="B", help="The same; the last revision if left out.")] = "",
    brief: Annotated[bool, typer.Option("--brief", "-q", help="Only which objects differ.")] = False,
    output: Machines = "text",
    file: LogFile = "",
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Show what is not the same at two revisions, as kubectl diff does; ends with 1 if anything is not."""
    _check_output(output)
    log, now = read(_source(context, data_dir, file)), time.time_ns()
    left, right = revision(log, old, "A", now), revision(log, new, "B", now)
    found = differences(log, left, right)
    if output == "json":
        _print_json([each.as_json() for each in found])
    else:
        for each in found:
            typer.echo(f"{each.what}  {each.file}" if brief else unified(each, log, left, right), nl=brief)
    counts = {what: sum(each.what == what for each in found) for what in ("created", "deleted", "changed")}
    typer.echo(f"{left} to {right}: " + ", ".join(f"{count} {what}" for what, count in counts.items()), err=True)
    raise typer.Exit(1 if found else 0)


def _check_output(output: str) -> None:
    if output not in ("text", "json"):
        raise UserError(f"--output {output}: text or json is needed")


def _print_json(value: object) -> None:
    typer.echo(json.dumps(value, indent=1, ensure_ascii=False))


@app.command()
def export(
    context: typer.Context,
    target: Annotated[str, typer.Argument(metavar="FILE", help="What to write.")],
    file: LogFile = "",
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Write the log to a file that every history command opens elsewhere (--log); keys and certificates stay here."""
    log = read(_source(context, data_dir, file))
    size = save(Path(target), log)
    packets = len({hop.trace for hop in log.hops})
    typer.echo(f"{target}: revisions {log.first} to {log.last}, {packets} traced packets, {size:,} bytes")


@app.command()
def packets(
    context: typer.Context,
    rules: Annotated[bool, typer.Option("--rules", help="Every rule on the way, not only those that decided.")] = False,
    file: LogFile = "",
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Show the traced packets that the recorder still knew when the log was read."""
    log, console = read(_source(context, data_dir, file)), for_people()
    for trace, hops in by_trace(log.hops).items():
        for flight in flights(hops):
            console.print(tree(flight, f"{trace}  {flight.title}", rules))
    if not log.hops:
        typer.echo("No packets: the recorder keeps those of the last 512 traces, while its cluster runs.", err=True)


@app.command(name="fork")
def fork_(
    context: typer.Context,
    data_dir: Annotated[str, typer.Option("--data-dir", metavar="NEW", help="The new cluster's folder.")],
    at: At = "",
    origin: Annotated[str, typer.Option("--from", envvar="PODWIRE_DATA_DIR", help="The first cluster's folder.")] = (
        DEFAULT_DATA_DIR
    ),
    file: LogFile = "",
    api_port: Annotated[int, typer.Option(help="The API's port on 127.0.0.1 (0: any free one).")] = 0,
) -> None:
    """Start a second cluster from the log at some point, in the background; podwire up continues it later."""
    from podwire.scripts.cluster.start import Options
    from podwire.scripts.commands.up import run_up

    log = read(_source(context, origin, file, "origin"))
    found = revision(log, _at(context, at), "--at", time.time_ns())
    fork(log.cut(found), data_dir)
    typer.echo(f"forked at revision {found}: {rfc3339(log.time_of(found))}")
    run_up(Options(log.shape.workers, data_dir, api_port, detach=True, ip_family=log.shape.ip_family))


@app.command()
def bisect(
    context: typer.Context,
    expect: Annotated[str, typer.Option("--expect", metavar="FILE", help="Rules, as podwire reach --expect has them.")],
    good: Annotated[str, typer.Option(metavar="RV|TIME", help="When the rules held; else it is looked for.")] = "",
    bad: Annotated[str, typer.Option(metavar="RV|TIME", help="When they did not; else the last revision.")] = "",
    via: Annotated[str, typer.Option(metavar="NODE", help="The node that a host outside routes through.")] = "",
    output: Machines = "text",
    file: LogFile = "",
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Find the change that broke reachability: the log is cut at candidates, each is started on virtual time, left to
    settle and probed."""
    from podwire.scripts.history.bisect import Bisection  # a whole simulated cluster: half a second to import

    _check_output(output)
    rules = read_rules(expect)
    log, now, began = read(_source(context, data_dir, file)), time.time_ns(), time.monotonic()
    known_good = revision(log, good, "--good", now) if good else None
    search = Bisection(log, rules, MANIFESTS / "static", via, lambda line: typer.echo(line, err=True))
    found = search.run(known_good, revision(log, bad, "--bad", now))
    spent = time.monotonic() - began
    if output == "json":
        _print_json(found.as_json(log))
    else:
        _tell(log, found)
    typer.echo(f"{len(log.events)} events, {found.steps} revisions tried, {spent:.1f} s", err=True)


def _tell(log: Log, found: "Found") -> None:
    typer.echo(_line(change(log.at(found.bad)), "text").strip())
    for each in differences(log, found.good, found.bad):
        typer.echo(unified(each, log, found.good, found.bad), nl=False)
    for line in found.broken.verdict.lines():
        typer.echo(f"since then  {line}")
    if found.broken.packets:
        typer.echo(f"because     {cause(found.broken.packets)}")
        request = found.broken.packets[0]
        for_people().print(tree(request, request.title))
