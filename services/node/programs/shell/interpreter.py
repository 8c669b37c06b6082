"""Running a syntax tree. Every command yields to the loop, and a shell that never waits is slowed down."""

import asyncio
import errno
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from podwire.services.node.files import FileError, normal
from podwire.services.node.pipes import BrokenPipe, NoInput, Pipe, Sink
from podwire.services.node.process import Process
from podwire.services.node.process_clock import clock_of_machine, executed
from podwire.services.node.processes import INTERRUPT, QUIT, TERMINATE, Running, signal_name
from podwire.services.node.programs import system
from podwire.services.node.programs.shell.builtins import BUILTINS
from podwire.services.node.programs.shell.connections import is_connection, open_connection
from podwire.services.node.programs.shell.expansion import Expander
from podwire.services.node.programs.shell.parser import parse
from podwire.services.node.programs.shell.patterns import matches
from podwire.services.node.programs.shell.redirections import redirect, redirect_to, release
from podwire.services.node.programs.shell.state import Exit, Failure, Leave, ShellState, Variables
from podwire.services.node.programs.shell.syntax import (
    AndOr,
    Case,
    Command,
    For,
    Function,
    Group,
    If,
    Pipeline,
    Redirected,
    Redirection,
    Sequence,
    ShellSyntaxError,
    Simple,
    While,
    Word,
)
from podwire.services.node.runtime.programs import find_program, is_terminable, run, run_in_place

_BURST: Final = 250
_PAUSE: Final = 0.001
"""Seconds of rest after a burst of commands: else an endless loop stops everybody, and simulated time."""
_DEEPEST_CALL: Final = 20
_RUNNING_HERE: Final = ("eval", ".", "source")
"""Builtins whose commands may redirect the shell itself."""
_MOST_CAPTURED: Final = 4 * 1024 * 1024


class Shell:
    """Runs commands; `process` says where each reads and writes."""

    def __init__(self, state: ShellState, depth: int = 0) -> None:
        self.state, self.depth = state, depth
        self.last_in_place = False
        """Whether a script that is one program becomes it (ash's EV_EXIT), as it is in `sh -c` and in subshells."""
        self.owns_process = False
        self._becomes = False

    def subshell(self) -> "Shell":
        """A copy whose changes stay its own. Raises Failure for too many inside each other."""
        if self.depth >= _DEEPEST_CALL:
            raise Failure("too many nested commands")
        return Shell(self.state.copy(), self.depth + 1)

    def fork(self, process: Process, *, background: bool = False) -> "tuple[Shell, Process, Running]":
        """A subshell in a process of its own."""
        shell = self.subshell()
        shell.last_in_place = shell.owns_process = True
        words = process.running.arguments if process.running is not None else [self.state.name]
        running = process.processes.start(
            list(words),
            process.running,
            user=process.user,
            started_at=clock_of_machine(process.clock).now_ns(),
            has_terminal=process.is_terminal,
            background=background,
        )
        return shell, replace(process, running=running), running

    async def _in_fork(self, script: Sequence, process: Process) -> int:
        shell, inner, running = self.fork(process)
        return await running.run(lambda: shell.finish(lambda: shell.sequence(script, inner), inner))

    # -- signals

    def trap(self, number: int, action: str | None, process: Process) -> None:
        """What is done on a signal: a script, nothing (""), or the default (None)."""
        name = signal_name(number) if number else "EXIT"
        self.state.traps.pop(name, None) if action is None else self.state.traps.update({name: action})
        if number and self.owns_process and process.running is not None:
            handlers = process.running.handlers
            if action is None:
                handlers.pop(number, None)
            else:
                handlers[number] = self.catch if action else None

    def ignore_on_terminal(self, process: Process) -> None:
        """An interactive shell is not ended by what is typed, nor by SIGTERM."""
        if process.running is not None:
            process.running.handlers.update({number: lambda _: None for number in (INTERRUPT, QUIT, TERMINATE)})

    def catches(self, number: int) -> bool:
        """Whether there is a trap of its own for a signal."""
        return bool(self.state.traps.get(signal_name(number)))

    def catch(self, number: int) -> None:
        """A signal whose trap runs after the present command."""
        self.state.caught.append(number)
        self.state.woken.set()

    async def trap_interrupt(self, process: Process) -> None:
        """Runs INT's trap, if there is one."""
        if self.catches(INTERRUPT):
            self.catch(INTERRUPT)
            await self._run_traps(process)

    async def _run_traps(self, process: Process) -> None:
        while self.state.caught:
            action = self.state.traps.get(signal_name(self.state.caught.pop(0)), "")
            status = self.state.status
            await self.run_text(action, process)
            self.state.status = status

    # -- whole scripts

    async def run_text(self, text: str, process: Process) -> int:
        """Runs a script; its exit code. Exit is raised through."""
        try:
            script = parse(text)
        except ShellSyntaxError as error:
            await process.complain(f"{self.state.name}: syntax error: {error}")
            self.state.status = 2
            return 2
        return await self.sequence(script, process)

    async def run_to_end(self, text: str, process: Process) -> int:
        """Runs a script as a process of its own: exit, failures and the EXIT trap included."""
        return await self.finish(lambda: self.run_text(text, process), process)

    async def finish(self, work: Callable[[], Awaitable[int]], process: Process) -> int:
        """What a process does to its end."""
        code = await _quiet(self._guarded(work(), process))
        if handler := self.state.traps.pop("EXIT", ""):
            self.state.status = code
            leaving = await self._leaving(handler, process)
            code = code if leaving is None else leaving
        return code

    async def _leaving(self, handler: str, process: Process) -> int | None:
        """Runs the EXIT trap; the code that it leaves with itself."""
        try:
            await self.run_text(handler, process)
        except Exit as leaving:
            return leaving.code
        except Leave:
            pass
        except Failure as failure:
            await process.complain(f"{self.state.name}: {failure}")
        return None

    async def _guarded(self, running: Awaitable[int], process: Process) -> int:
        try:
            return await running
        except Exit as leaving:
            return leaving.code
        except Leave:
            return self.state.status
        except Failure as failure:
            await process.complain(f"{self.state.name}: {failure}")
            return failure.code

    async def capture(self, script: Sequence, process: Process) -> str:
        """Command substitution: the output without its last newlines."""
        output = bytearray()

        def take(data: bytes) -> None:
            if len(output) + len(data) > _MOST_CAPTURED:
                raise BrokenPipe(errno.EPIPE, "Broken pipe")
            output.extend(data)

        self.state.status = await self._in_fork(script, replace(process, stdout=Sink(take)))
        return output.decode(errors="replace").replace("\0", "").rstrip("\n")

    # -- lists

    async def sequence(self, sequence: Sequence, process: Process) -> int:
        """Runs lists in order; the last one's exit code."""
        self._becomes = self.last_in_place and _is_one_program(sequence) and not any(self.state.traps.values())
        self.last_in_place = False
        for item in sequence.items:
            if item.background:
                self._start_job(item, process)
            else:
                await self._and_or(item, process)
            if self.state.caught:
                await self._run_traps(process)
        return self.state.status

    def _start_job(self, item: AndOr, process: Process) -> None:
        shell, inner, running = self.fork(process, background=True)
        inner.stdin = NoInput()
        script = Sequence((replace(item, background=False),))
        work = running.run(lambda: shell.finish(lambda: shell.sequence(script, inner), inner))
        job = asyncio.get_running_loop().create_task(work, name="background job")

        def ended(_: object) -> None:
            running.namespace.end(running)
            self.state.woken.set()

        job.add_done_callback(ended)
        running.namespace.keep(job)
        self.state.jobs[running.pid] = job
        self.state.last_job, self.state.status = running.pid, 0

    async def _and_or(self, item: AndOr, process: Process) -> int:
        last = len(item.pipelines) - 1
        for number, (operator, pipeline) in enumerate(item.pipelines):
            if (operator == "&&" and self.state.status) or (operator == "||" and not self.state.status):
                continue
            if number < last or pipeline.negated:
                with self._tolerant():
                    await self._pipeline(pipeline, process)
            else:
                await self._pipeline(pipeline, process)
                if self.state.status and "e" in self.state.options and not self.state.tolerant:
                    raise Exit(self.state.status)
        return self.state.status

    @contextmanager
    def _tolerant(self) -> Iterator[None]:
        self.state.tolerant += 1
        try:
            yield
        finally:
            self.state.tolerant -= 1

    async def _pipeline(self, pipeline: Pipeline, process: Process) -> None:
        if len(pipeline.commands) == 1:
            status = await self._command(pipeline.commands[0], process)
        else:
            status = await self._piped(pipeline.commands, process)
        self.state.status = int(not status) if pipeline.negated else status

    async def _piped(self, commands: tuple[Command, ...], process: Process) -> int:
        pipes = [Pipe() for _ in commands[1:]]
        loop = asyncio.get_running_loop()
        tasks = []
        for number, command in enumerate(commands):
            before = pipes[number - 1] if number else None
            after = pipes[number] if number < len(pipes) else None
            stage = replace(process, stdin=before or process.stdin, stdout=after or process.stdout)
            tasks.append(loop.create_task(self._stage(command, stage, before, after), name="pipeline"))
        try:
            codes = await asyncio.gather(*tasks)
            if "pipefail" in self.state.options:
                return next((code for code in reversed(codes) if code), 0)
            return codes[-1]
        finally:
            for task in tasks:
                task.cancel()

    async def _stage(self, command: Command, process: Process, before: Pipe | None, after: Pipe | None) -> int:
        shell = self.subshell()
        try:
            if isinstance(command, Simple):
                return await _quiet(shell._guarded(shell._command(command, process), process))
            return await self._in_fork(_script_of(command), process)
        finally:
            if after is not None:
                after.close()
            if before is not None:
                before.abandon()

    # -- commands

    async def _command(self, command: Command, process: Process) -> int:
        match command:
            case Simple():
                return await self._simple(command, process)
            case Redirected(command=inner, redirections=redirections):
                opened = await self._redirect(redirections, process)
                if opened is None:
                    return 1
                try:
                    return await self._command(inner, opened)
                finally:
                    release(opened, process)
            case Group(body=body, subshell=True):
                return await self._in_fork(body, process)
            case Group(body=body):
                return await self.sequence(body, process)
            case If():
                return await self._if(command, process)
            case While():
                return await self._while(command, process)
            case For():
                return await self._for(command, process)
            case Case():
                return await self._case(command, process)
            case Function(name=name, body=function):
                self.state.functions[name] = function
                return 0

    async def _if(self, command: If, process: Process) -> int:
        for condition, body in command.branches:
            with self._tolerant():
                status = await self.sequence(condition, process)
            if not status:
                return await self.sequence(body, process)
        self.state.status = 0
        return await self.sequence(command.otherwise, process)

    async def _while(self, command: While, process: Process) -> int:
        status = 0
        while True:
            await self._breathe()
            try:
                with self._tolerant():
                    condition = await self._in_loop(command.condition, process)
                if bool(condition) != command.until:
                    return status
                status = await self._in_loop(command.body, process)
            except Leave as leaving:
                if _leaves(leaving):
                    return 0

    async def _for(self, command: For, process: Process) -> int:
        if command.words is None:
            values = list(self.state.positional)
        else:
            values = await self._expand(command.words, process)
        status = 0
        for value in values:
            self.state.variables[command.name] = value
            try:
                status = await self._in_loop(command.body, process)
            except Leave as leaving:
                if _leaves(leaving):
                    return 0
        return status

    async def _in_loop(self, body: Sequence, process: Process) -> int:
        self.state.loops += 1
        try:
            return await self.sequence(body, process)
        finally:
            self.state.loops -= 1

    async def _case(self, command: Case, process: Process) -> int:
        expander = Expander(self, process)
        text = await expander.text(command.word)
        for patterns, body in command.branches:
            for pattern in patterns:
                if matches(await expander.fragments(pattern), text):
                    self.state.status = 0
                    return await self.sequence(body, process)
        return 0

    # -- simple commands

    async def _expand(self, words: tuple[Word, ...], process: Process) -> list[str]:
        expander = Expander(self, process)
        return [field for word in words for field in await expander.fields(word)]

    async def _breathe(self) -> None:
        self.state.commands += 1
        await asyncio.sleep(0 if self.state.commands % _BURST else _PAUSE)

    async def _simple(self, command: Simple, process: Process) -> int:
        await self._breathe()
        before = self.state.status
        self.state.status = 0
        assigned = {name: await Expander(self, process).text(word) for name, word in command.assignments}
        after_assignments, self.state.status = self.state.status, before
        arguments = await self._expand(command.words, process)
        if "x" in self.state.options:
            shown = [f"{name}={value}" for name, value in assigned.items()]
            await process.complain("+ " + " ".join([*shown, *arguments]))
        opened = await self._redirect(command.redirections, process)
        if opened is None:
            return 1
        if not arguments:
            release(opened, process)
            self.state.variables.assign(assigned)
            return after_assignments
        if arguments == ["exec"]:
            _keep_streams(process, opened)
            return 0
        try:
            return await self._call(arguments, assigned, opened)
        finally:
            release(opened, process)

    async def _call(self, arguments: list[str], assigned: dict[str, str], process: Process) -> int:
        name = arguments[0]
        if name in self.state.functions:
            return await self._function(self.state.functions[name], arguments, assigned, process)
        outer, process = process, replace(process, arguments=arguments, folder=self.state.folder)
        if name not in BUILTINS:
            return await self.execute(arguments, assigned, process)
        try:
            return await self._builtin(name, assigned, process)
        finally:
            if name in _RUNNING_HERE:
                _keep_streams(outer, process)

    async def _builtin(self, name: str, assigned: dict[str, str], process: Process) -> int:
        hidden = {key: self.state.variables.get(key) for key in assigned}
        self.state.variables.assign(assigned)
        try:
            return await BUILTINS[name](self, process)
        except BrokenPipe:
            raise
        except OSError as error:
            await process.complain(f"{self.state.name}: {name}: {error.strerror}")
            return 1
        finally:
            self._restore(hidden)

    def _restore(self, hidden: dict[str, str | None]) -> None:
        for name, value in hidden.items():
            if value is None:
                self.state.variables.pop(name, None)
            elif self.state.variables.get(name) != value:
                self.state.variables[name] = value

    async def _function(self, body: Command, arguments: list[str], assigned: dict[str, str], process: Process) -> int:
        if len(self.state.saved) >= _DEEPEST_CALL:
            raise Failure(f"{arguments[0]}: too many nested calls")
        outer, self.state.positional = self.state.positional, arguments[1:]
        self.state.saved.append({})
        self.state.variables.assign(assigned)
        try:
            return await self._command(body, process)
        except Leave as leaving:
            if leaving.kind != "return":
                raise
            return self.state.status
        finally:
            self.state.positional = outer
            self._restore(self.state.saved.pop())

    async def execute(self, arguments: list[str], assigned: dict[str, str], process: Process) -> int:
        """Runs a program, or a file that is a script; 127 if there is neither."""
        name = arguments[0]
        environment = {**self.state.environment(), **assigned}
        process = replace(process, arguments=arguments, environment=environment, folder=self.state.folder)
        script = process.files.read(normal(name, process.folder)) if "/" in name else None
        program = find_program(process.programs, name) if name else None
        if script is not None:
            return await self._run_file(script, arguments, process)
        if program is None and name == "time" and self.state.name.endswith("bash"):
            program = system.bash_time
        if program is None:
            await process.complain(f"{self.state.name}: {name}: not found")
            return 127
        if self._becomes and self.owns_process and process.running is not None:
            process.running.become(arguments, graceful=is_terminable(program))
            return await run_in_place(replace(process, clock=executed(process.clock)), program)
        return await run(process, program)

    def become(self) -> None:
        """`exec`: the next program takes this process."""
        self._becomes = True

    async def _run_file(self, script: bytes, arguments: list[str], process: Process) -> int:
        if self.depth >= _DEEPEST_CALL:
            raise Failure(f"{arguments[0]}: too many nested calls")
        variables, exported = Variables(process.environment), dict.fromkeys(process.environment)
        state = ShellState(arguments[0], variables, exported, arguments[1:], process.folder)
        shell = Shell(state, self.depth + 1)
        shell.owns_process = True

        async def run_script(inner: Process) -> int:
            state.pid = inner.pid
            return await shell.run_to_end(script.decode(errors="replace"), inner)

        return await run(replace(process, arguments=["/bin/sh", *arguments]), run_script)

    # -- redirections

    async def _redirect(self, redirections: tuple[Redirection, ...], process: Process) -> Process | None:
        """The process with its streams changed; None, after a complaint, if one cannot be opened."""
        if not redirections:
            return process
        opened = replace(process, folder=self.state.folder, files_open=dict(process.files_open))
        for redirection in redirections:
            target = await Expander(self, opened).text(redirection.target)
            try:
                if is_connection(self.state.name, target) and not redirection.kind.endswith("&"):
                    redirect_to(opened, redirection, await open_connection(process, target))
                else:
                    redirect(opened, redirection, target)
            except FileError as error:
                await process.complain(
                    f"{self.state.name}: {_cannot_open(self.state.name, redirection, target, error)}"
                )
                return None
        return opened


def _is_one_program(script: Sequence) -> bool:
    """Whether a script is a single simple command."""
    if len(script.items) != 1 or len(script.items[0].pipelines) != 1 or script.items[0].background:
        return False
    pipeline = script.items[0].pipelines[0][1]
    return len(pipeline.commands) == 1 and not pipeline.negated and isinstance(pipeline.commands[0], Simple)


def _script_of(command: Command) -> Sequence:
    return Sequence((AndOr((("", Pipeline((command,), False)),), False),))


def _keep_streams(process: Process, opened: Process) -> None:
    """`exec` without a command: the shell goes on with other streams."""
    process.stdin, process.stdout, process.stderr = opened.stdin, opened.stdout, opened.stderr
    process.files_open = opened.files_open


def _cannot_open(shell: str, redirection: Redirection, target: str, error: FileError) -> str:
    if redirection.kind in (">&", "<&"):
        return f"{target}: {error.strerror}"
    if is_connection(shell, target):
        return f"{target}: {error.strerror}"
    if redirection.kind == "<":
        reason = "no such file" if error.errno == errno.ENOENT else error.strerror
        return f"can't open {target}: {reason}"
    reason = "nonexistent directory" if error.errno == errno.ENOENT else error.strerror
    return f"can't create {target}: {reason}"


def _leaves(leaving: Leave) -> bool:
    """Whether a loop ends; raises on to outer loops and functions."""
    if leaving.kind == "return":
        raise leaving
    if leaving.levels > 1:
        raise Leave(leaving.kind, leaving.levels - 1)
    return leaving.kind == "break"


async def _quiet(running: Awaitable[int]) -> int:
    try:
        return await running
    except BrokenPipe:
        return 141
