"""Running a plan: the steady state before, while something is broken, and after. Whatever happens, it is healed."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol

from podwire.proto.kube.resources import Resource
from podwire.scripts.chaos.checks import Answer, carry_out
from podwire.scripts.chaos.plan import Check, Plan, seconds
from podwire.scripts.cluster.operator import Operator
from podwire.scripts.errors import UserError
from podwire.services.chassis.api.client import ApiError
from podwire.services.chassis.clock import SECOND

type Json = dict[str, Any]
type When = Literal["before", "during", "after"]

_POLL: Final = 0.2
_PATIENCE: Final = 30.0
"""Seconds within which an object must be injected, and be gone."""


class Breaking(Protocol):
    """What a plan breaks beside objects: processes and links of a live cluster."""

    async def begin(self) -> None:
        """Breaks it. Raises UserError."""

    async def end(self) -> None:
        """Makes it whole again. Idempotent."""


class Nothing:
    """A plan of objects alone."""

    async def begin(self) -> None:
        return

    async def end(self) -> None:
        return


@dataclass(frozen=True, slots=True)
class Row:
    """What a check came to in one phase."""

    when: When
    check: str
    passed: bool
    said: str


@dataclass(slots=True)
class Report:
    """All rows, in order."""

    plan: str
    rows: list[Row] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether nothing failed."""
        return all(row.passed for row in self.rows)


class Runner:
    """One run of one plan."""

    def __init__(self, client: Operator, plan: Plan, breaking: Breaking, say: Callable[[str], None]) -> None:
        self._client, self._plan, self._breaking, self._say = client, plan, breaking, say
        self._report = Report(plan.name)
        self._kinds: dict[str, Resource] = {}

    async def run(self) -> Report:
        """Runs it to its end. Raises UserError for objects that the cluster does not take."""
        self._say("before")
        answers = await self._round()
        self._report.rows += [
            Row("before", each.name, answer.holds, answer.said) for each, answer in self._with(answers)
        ]
        if not self._report.passed:
            self._say("the steady state does not hold: nothing is broken")
            return self._report
        try:
            self._say("during")
            await self._break()
            await self._hold()
        finally:
            await self._heal()
        self._say("after")
        await self._settle()
        return self._report

    def _with(self, answers: Sequence[Answer]) -> list[tuple[Check, Answer]]:
        return list(zip(self._plan.checks, answers, strict=True))

    async def _round(self) -> list[Answer]:
        tries = (carry_out(self._client, check, self._plan.namespace) for check in self._plan.checks)
        return list(await asyncio.gather(*tries))

    def _now(self) -> float:
        return self._client.clock.monotonic_ns() / SECOND

    # -- breaking and healing

    async def _break(self) -> None:
        await self._breaking.begin()
        for body in self._plan.objects:
            resource, namespace = await self._resource(body), self._namespace(body)
            try:
                await self._client.api.create(resource, namespace, body)
            except ApiError as error:
                raise UserError(f"objects: {body['kind']} {body['metadata']['name']}: {error}") from None
        late = [body for body in self._plan.objects if not await self._until(self._injected, body)]
        for body in late:
            name = f"{body['kind']} {body['metadata']['name']}"
            text = f"it is not injected within {_PATIENCE:g} s: kubectl describe {name} says why"
            self._report.rows.append(Row("during", name, False, text))

    async def _heal(self) -> None:
        for body in self._plan.objects:
            try:
                resource = await self._resource(body)
                await self._client.api.delete(resource, self._namespace(body), body["metadata"]["name"])
            except (ApiError, UserError):
                continue
        await self._breaking.end()
        for body in self._plan.objects:
            if not await self._until(self._gone, body):
                name = f"{body['kind']} {body['metadata']['name']}"
                self._report.rows.append(Row("after", name, False, f"it is not gone within {_PATIENCE:g} s"))

    def _namespace(self, body: Json) -> str:
        return str(body["metadata"].get("namespace") or self._plan.namespace)

    async def _resource(self, body: Json) -> Resource:
        """The resource of an object's kind, by discovery. Raises UserError."""
        version, kind = str(body.get("apiVersion", "")), str(body.get("kind", ""))
        if not self._kinds.get(f"{version}/{kind}"):
            root = f"/apis/{version}" if "/" in version else f"/api/{version}"
            try:
                listed = (await self._client.api.call("GET", root)).get("resources", [])
            except ApiError:
                listed = []
            names = [entry for entry in listed if entry["kind"] == kind and "/" not in entry["name"]]
            if not names:
                raise UserError(f'objects: no matches for kind "{kind}" in version "{version}"')
            group = version.rpartition("/")[0]
            found = Resource(group, version.rpartition("/")[2], names[0]["name"], kind, names[0]["namespaced"])
            self._kinds[f"{version}/{kind}"] = found
        return self._kinds[f"{version}/{kind}"]

    async def _until(self, holds: Callable[[Json | None], bool], body: Json) -> bool:
        end = self._now() + _PATIENCE
        while self._now() < end:
            if holds(await self._look(body)):
                return True
            await asyncio.sleep(_POLL)
        return False

    async def _look(self, body: Json) -> Json | None:
        try:
            resource = await self._resource(body)
            return await self._client.api.get(resource, self._namespace(body), body["metadata"]["name"])
        except (ApiError, UserError):
            return None

    @staticmethod
    def _injected(value: Json | None) -> bool:
        """An object without such conditions (a Schedule, a ConfigMap) is there at once."""
        conditions = ((value or {}).get("status") or {}).get("conditions")
        if value is not None and value["kind"] not in ("NetworkChaos", "PodChaos"):
            return True
        return any(entry["type"] == "AllInjected" and entry["status"] == "True" for entry in conditions or [])

    @staticmethod
    def _gone(value: Json | None) -> bool:
        return value is None

    # -- the phases

    async def _hold(self) -> None:
        """Tries again and again as long as it is broken, once at least."""
        begun = self._now()
        end, tries = begun + seconds("hold", self._plan.hold), 0
        wrong: dict[str, list[tuple[float, str]]] = {check.name: [] for check in self._plan.checks}
        right = dict.fromkeys(wrong, 0)
        while tries == 0 or self._now() < end:
            at, tries = self._now() - begun, tries + 1
            for check, answer in self._with(await self._round()):
                if answer.holds:
                    right[check.name] += 1
                else:
                    wrong[check.name].append((at, answer.said))
            await asyncio.sleep(max(0.0, min(seconds("every", self._plan.every), end - self._now())))
        for check in self._plan.checks:
            self._report.rows.append(_judged(check, tries, right[check.name], wrong[check.name]))

    async def _settle(self) -> None:
        """Tries until every check has held once, or the time is up."""
        begun = self._now()
        limit = seconds("settle", self._plan.settle)
        found: dict[str, Row] = {}
        while len(found) < len(self._plan.checks):
            late = self._now() - begun
            for check, answer in self._with(await self._round()):
                if answer.holds and check.name not in found:
                    found[check.name] = Row("after", check.name, True, f"holds after {late:.1f} s: {answer.said}")
                elif not answer.holds and late > limit and check.name not in found:
                    text = f"does not hold within {limit:g} s: {answer.said}"
                    found[check.name] = Row("after", check.name, False, text)
            await asyncio.sleep(_POLL)
        self._report.rows += [found[check.name] for check in self._plan.checks]


def _judged(check: Check, tries: int, right: int, wrong: list[tuple[float, str]]) -> Row:
    told = f"held in {right} of {tries} tries"
    if wrong:
        at, said = wrong[0]
        told += f"; not after {at:.1f} s: {said}"
    passed = {"holds": not wrong, "fails": right == 0, "either": True}[check.during]
    wanted = "" if passed else f", but it {'must hold' if check.during == 'holds' else 'must fail'}"
    return Row("during", check.name, passed, told + wanted)
