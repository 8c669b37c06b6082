"""One request with everything that its decision may use: who asks, the state, the time, chance."""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

from podwire.proto.kube.json_objects import section
from podwire.proto.messages.api import ApiRequest
from podwire.proto.messages.events import Change, ObjectEvent
from podwire.proto.subjects import ObjectKey
from podwire.services.apiserver.core import bodies, duplicates
from podwire.services.apiserver.core.authorization import Requester
from podwire.services.apiserver.core.decisions import Append
from podwire.services.apiserver.core.errors import FieldErrors, bad_request, invalid_options
from podwire.services.apiserver.core.json_types import Json, pack
from podwire.services.apiserver.core.kinds import Kind
from podwire.services.apiserver.core.paths import Target
from podwire.services.apiserver.core.store import Store, stored_form
from podwire.services.chassis.chance import RandomBits, hexadecimal

FIELD_VALIDATION = ("", "Strict", "Warn", "Ignore")
_MANAGER_LIMIT: Final = 128


@dataclass
class Request:
    """A request on a resource path."""

    message: ApiRequest
    target: Target
    who: Requester
    store: Store
    now: int
    random: RandomBits

    @cached_property
    def query(self) -> dict[str, str]:
        """The query; of repeated names the first counts."""
        found: dict[str, str] = {}
        for name, value in self.message.query:
            found.setdefault(name, value)
        return found

    @property
    def kind(self) -> Kind:
        """The kind asked for."""
        return self.target.kind

    @cached_property
    def body(self) -> Json:
        """The body as an object; raises ApiError 400 or 415."""
        return bodies.read_object(self.message.body, self.message.content_type)

    @cached_property
    def duplicates(self) -> list[str]:
        """What is said of fields that the body names twice."""
        return duplicates.find(self.message.body, self.message.content_type)

    @cached_property
    def dry_run(self) -> bool:
        """Whether nothing is to be stored; raises ApiError 400 for an unknown value."""
        value = self.query.get("dryRun", "")
        if value not in ("", "All"):
            raise bad_request(f'Invalid value: ["{value}"]: supported values: "All"')
        return value == "All"

    @cached_property
    def field_validation(self) -> str:
        """Strict, Warn or Ignore; raises ApiError 400 for an unknown value."""
        value = self.query.get("fieldValidation", "")
        if value not in FIELD_VALIDATION:
            raise bad_request(
                f'fieldValidation: Unsupported value: "{value}": supported values: "", "Ignore", "Strict", "Warn"'
            )
        return value or "Warn"

    @cached_property
    def field_manager(self) -> str:
        """The query's fieldManager; raises ApiError 422 for one that is too long or cannot be printed."""
        name = self.query.get("fieldManager", "")
        errors = FieldErrors()
        if len(name.encode()) > _MANAGER_LIMIT:
            errors.too_long("fieldManager", _MANAGER_LIMIT)
        if not name.isprintable():
            errors.invalid("fieldManager", name, "should only contain printable characters")
        if errors.found:
            raise invalid_options(self.message.method, errors.found)
        return name

    @cached_property
    def writer(self) -> str:
        """Whose a change is: the field manager's, else the user agent's up to its `/`, else the user's.

        Source: apiserver `endpoints/handlers/create.go` (managerOrUserAgent, prefixFromUserAgent).
        """
        agent = "".join(letter for letter in self.message.agent.partition("/")[0] if letter.isprintable())
        return self.field_manager or agent.encode()[:_MANAGER_LIMIT].decode(errors="ignore") or self.who.user

    def flag(self, name: str) -> bool:
        """A boolean query parameter."""
        return self.query.get(name, "").lower() in ("1", "true")

    def number(self, name: str) -> int | None:
        """A whole number in the query, or None; raises ApiError 400."""
        text = self.query.get(name, "")
        if not text:
            return None
        if not text.isascii() or not text.lstrip("-").isdigit() or len(text) > 18:
            raise bad_request(f'unable to decode query: {name}: strconv.ParseInt: parsing "{text}": invalid syntax')
        return int(text)

    def key(self, name: str, namespace: str | None = None) -> ObjectKey:
        """The storage key of an object of the kind asked for."""
        group, resource = self.kind.storage
        return ObjectKey(group, resource, self.target.namespace if namespace is None else namespace, name)

    def existing(self) -> Json | None:
        """The object that the path names."""
        return self.store.get(self.key(self.target.name))

    def event(self, key: ObjectKey, change: Change, value: Json) -> Append:
        """The append of a change, expecting the newest revision that is known."""
        before = self.store.get(key)
        meta = section(value, "metadata")
        event = ObjectEvent(
            change=change,
            write_id=hexadecimal(self.random, 32),
            previous=self.store.last(key),
            actor=self.who.user,
            time=self.now,
            manager="" if self.writer == self.who.user else self.writer,
            node=str(section(value, "spec").get("nodeName") or value.get("nodeName") or ""),
            labels=section(meta, "labels"),
            object=pack(stored_form(value)),
            before=pack(None if before is None else stored_form(before)),
        )
        return Append(key, event, self.store.last(key))
