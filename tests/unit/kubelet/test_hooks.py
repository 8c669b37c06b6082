"""Hooks that ask over HTTP: an answer is enough, and HTTPS falls back to HTTP (pkg/kubelet/lifecycle)."""

import asyncio
from typing import cast

import pytest

from podwire.proto.kube.container import Container, Hook, HttpGet
from podwire.proto.messages import runtime
from podwire.services.kubelet.hooks import HookFailed, run_hook
from podwire.services.kubelet.runtime import RuntimeClient

PLAIN = runtime.ProbeResult(
    success=False, output='Get "https://10.0.0.1:80/": http: server gave HTTP response to HTTPS client'
)
REFUSED = runtime.ProbeResult(success=False, output='Get "http://10.0.0.1:80/": dial tcp: connect: connection refused')
TEAPOT = runtime.ProbeResult(success=False, output="HTTP probe failed with statuscode: 418")
FINE = runtime.ProbeResult(success=True, output="")
FALLBACK = (
    "LifecycleHTTPFallback",
    "request to HTTPS lifecycle hook 10.0.0.1:80 got HTTP response, retry with HTTP succeeded",
)


class Scripted:
    """A runtime that gives the answers in order."""

    def __init__(self, *answers: runtime.Result) -> None:
        self.answers, self.kinds = list(answers), list[str]()

    async def call(self, call: runtime.ProbePod, timeout: float) -> runtime.Result:
        """The next answer."""
        self.kinds.append(call.kind)
        return self.answers.pop(0)


@pytest.mark.parametrize(
    ("scheme", "answers", "kinds", "events"),
    [
        ("HTTP", (FINE,), ["http"], []),
        ("HTTP", (TEAPOT,), ["http"], []),
        ("HTTPS", (FINE,), ["https"], []),
        ("HTTPS", (PLAIN, FINE), ["https", "http"], [FALLBACK]),
        ("HTTPS", (PLAIN, TEAPOT), ["https", "http"], [FALLBACK]),
    ],
)
def test_a_hook_that_is_answered(
    scheme: str, answers: tuple[runtime.Result, ...], kinds: list[str], events: list[tuple[str, str]]
) -> None:
    client, seen = Scripted(*answers), list[tuple[str, str]]()
    asyncio.run(ask(client, scheme, seen))
    assert (client.kinds, seen) == (kinds, events)


@pytest.mark.parametrize(("scheme", "answers"), [("HTTP", (REFUSED,)), ("HTTPS", (PLAIN, REFUSED))])
def test_a_hook_that_nobody_answers(scheme: str, answers: tuple[runtime.Result, ...]) -> None:
    seen: list[tuple[str, str]] = []
    with pytest.raises(HookFailed, match="connection refused"):
        asyncio.run(ask(Scripted(*answers), scheme, seen))
    assert not seen


async def ask(client: Scripted, scheme: str, seen: list[tuple[str, str]]) -> None:
    """Runs one hook; Events are collected."""
    hook = Hook(http_get=HttpGet(port=80, scheme=scheme))
    spec = Container(name="main", image="web")

    def warn(reason: str, message: str) -> None:
        seen.append((reason, message))

    await run_hook(cast(RuntimeClient, client), hook, spec, "id", "10.0.0.1", warn)
