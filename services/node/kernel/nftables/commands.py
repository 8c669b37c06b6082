"""An nft text: commands and blocks, applied as one transaction (nftables src/parser_bison.y, src/rule.c)."""

from collections.abc import Callable, Sequence
from typing import Final

from podwire.services.node.kernel.netfilter.tables import Netfilter
from podwire.services.node.kernel.nftables.datatypes import NAMED, Datatype
from podwire.services.node.kernel.nftables.errors import NftError
from podwire.services.node.kernel.nftables.lexer import Token, tokens
from podwire.services.node.kernel.nftables.reader import Reader
from podwire.services.node.kernel.nftables.rule_parser import RuleParser
from podwire.services.node.kernel.nftables.set_parser import SetParser, seconds
from podwire.services.node.kernel.nftables.sets import NftSet
from podwire.services.node.kernel.nftables.tables import (
    FAMILIES,
    HOOKS,
    NAT_HOOKS,
    PRIORITIES,
    Base,
    Nftables,
    NftChain,
    NftTable,
)
from podwire.services.node.kernel.printing.nftables import anonymous_text

_NOT_THERE: Final = "Could not process rule: No such file or directory"
_THERE: Final = "Could not process rule: File exists"
_BUSY: Final = "Could not process rule: Device or resource busy"


def apply(
    netfilters: Sequence[Netfilter], nftables: Nftables, text: str, now: int, *, only_check: bool = False
) -> None:
    """Apply a whole text; NftError with its place, and nothing applied, if any of it is wrong."""
    try:
        _Transaction(nftables, Reader(tokens(text)), now).run()
        _check(nftables, text)
    except Exception:
        nftables.undo()
        raise
    if only_check:
        return nftables.undo()
    nftables.keep()
    for netfilter in netfilters:
        netfilter.install({})
    return None


def _check(nftables: Nftables, text: str) -> None:
    try:
        nftables.check()
    except NftError as error:
        raise NftError(error.message, 1, 1, len(text.partition("\n")[0]) + 1) from None


class _Transaction:
    """One text, done to the tables."""

    def __init__(self, nftables: Nftables, reader: Reader, now: int) -> None:
        self.nftables = nftables
        self.reader = reader
        self.now = now

    def run(self) -> None:
        self.reader.skip_ends()
        while not self.reader.is_done():
            self._command()
            self.reader.skip_ends()

    def _command(self) -> None:
        try:
            verb = self.reader.next().text
            if verb in ("table", "chain", "set", "map", "rule", "element"):
                return _OBJECTS[verb](self, "add")
            if verb in ("add", "insert", "create", "delete", "destroy", "flush", "replace"):
                return self._verb(verb)
        except NftError as error:
            if error.line:
                raise
            at = self.reader.last()
            raise NftError(error.message, at.line, at.column, max(len(at.text), 1)) from None
        raise self.reader.unexpected(back=1)

    def _verb(self, verb: str) -> None:
        what = self.reader.next().text
        if what == "ruleset" and verb == "flush":
            family = self.reader.take_of(FAMILIES)
            for key in [key for key in self.nftables.tables if not family or key[0] == family]:
                self.nftables.remove(*key)
            return None
        handler = _OBJECTS.get(what)
        if handler is None:
            raise self.reader.unexpected(back=1)
        return handler(self, verb)

    # Names

    def _family(self) -> str:
        token = self.reader.peek()
        if token.text in ("arp", "bridge", "netdev"):
            raise NftError(
                f"family {token.text} is not built: ip, ip6 and inet are", token.line, token.column, len(token.text)
            )
        return self.reader.take_of(FAMILIES) or "ip"

    def _table(self) -> NftTable:
        family = self._family()
        return self.nftables.edit(family, self.reader.text())

    # Tables

    def table(self, verb: str) -> None:
        """`table [family] name [{ … }]`, and delete, flush, destroy."""
        family, name = self._family(), self.reader.text()
        found = self.nftables.tables.get((family, name))
        if verb in ("delete", "destroy"):
            if found is None and verb == "delete":
                raise NftError(_NOT_THERE)
            self.nftables.remove(family, name)
            return
        if verb == "flush":
            table = self.nftables.edit(family, name)
            for chain in list(table.chains):
                table.edit_chain(chain).rules.clear()
            return
        if found is not None and verb == "create":
            raise NftError(_THERE)
        found = self.nftables.create(family, name) if found is None else self.nftables.edit(family, name)
        if self.reader.take_if("{"):
            self._table_block(found)

    def _table_block(self, table: NftTable) -> None:
        """The sets and chains of a block are known before any rule of it is read."""
        waiting: list[tuple[NftChain, Reader]] = []
        reader = self.reader
        reader.skip_ends()
        while not reader.take_if("}"):
            word = reader.next().text
            if word in ("set", "map"):
                self._set_block(table, word, "add")
            elif word == "chain":
                waiting.append(self._chain_block(table))
            elif word == "comment":
                table.comment = reader.text()
            elif word == "flags":
                table.flags = tuple(self._words())
            else:
                raise reader.unexpected(back=1)
            reader.skip_ends()
        for chain, rules in waiting:
            self._rules(table, chain, rules)

    def _words(self) -> list[str]:
        words = [self.reader.text()]
        while self.reader.take_if(","):
            words.append(self.reader.text())
        return words

    # Chains

    def chain(self, verb: str) -> None:
        """`chain [family] table name [{ … }]`, and delete, flush, destroy."""
        table = self._table()
        if verb in ("delete", "destroy"):
            return self._delete_chain(table, self.reader.text(), must=verb == "delete")
        if verb == "flush":
            table.edit_chain(self.reader.text()).rules.clear()
            return None
        if verb == "create" and self.reader.peek().text in table.chains:
            raise NftError(_THERE)
        chain, rules = self._chain_block(table)
        return self._rules(table, chain, rules)

    def _delete_chain(self, table: NftTable, name: str, *, must: bool) -> None:
        if name not in table.chains:
            if must:
                raise NftError(_NOT_THERE)
            return
        if table.chains[name].rules and must:
            raise NftError(_BUSY)
        table.remove_chain(name)

    def _chain_block(self, table: NftTable) -> tuple[NftChain, Reader]:
        """A chain's head; its rules stay unread: they may name sets that follow."""
        name = self.reader.text()
        if name in table.chains:
            chain = table.edit_chain(name)
        else:
            chain = table.put_chain(NftChain(name, handle=self.nftables.next_handle()))
        body = []
        if self.reader.take_if("{"):
            body = self._until_closed()
        reader = Reader(body or [self.reader.peek()])
        self._head(chain, reader)
        return chain, reader

    def _until_closed(self) -> list[Token]:
        depth, found = 1, []
        while depth:
            token = self.reader.next()
            if self.reader.is_done() and token.text != "}":
                raise self.reader.unexpected()
            depth += {"{": 1, "}": -1}.get(token.text, 0) if token.kind == "mark" else 0
            found.append(token)
        last = found.pop()
        return [*found, Token("end", "\n", last.line, last.column), Token("end", "", last.line, last.column)]

    def _head(self, chain: NftChain, reader: Reader) -> None:
        reader.skip_ends()
        while reader.peek().text in ("type", "policy", "comment") and reader.peek().kind == "word":
            word = reader.next().text
            if word == "comment":
                chain.comment = reader.text()
            elif word == "policy":
                self._policy(chain, reader)
            else:
                chain.base = self._base(reader)
            reader.skip_ends()

    def _policy(self, chain: NftChain, reader: Reader) -> None:
        policy = reader.next().text
        if chain.base is None or policy not in ("accept", "drop"):
            raise reader.unexpected(back=1)
        base = chain.base
        chain.base = Base(base.kind, base.hook, base.priority, policy)

    def _base(self, reader: Reader) -> Base:
        kind = reader.next().text
        if kind not in ("filter", "nat", "route"):
            raise reader.unexpected(back=1)
        reader.expect("hook")
        hook = reader.next().text
        if hook not in HOOKS or (kind == "nat" and hook not in NAT_HOOKS) or (kind == "route" and hook != "output"):
            raise NftError("Could not process rule: Operation not supported", reader.peek().line, reader.peek().column)
        reader.expect("priority")
        return Base(kind, hook, self._priority(reader, hook))

    def _priority(self, reader: Reader, hook: str) -> int:
        token = reader.next()
        if token.text == "-":
            return -reader.number()
        if token.text in PRIORITIES:
            wanted = {"dstnat": "prerouting", "srcnat": "postrouting"}.get(token.text, hook)
            if wanted != hook:
                raise NftError(
                    "invalid priority expression value in this context.", token.line, token.column, len(token.text)
                )
            sign = reader.take_of(("+", "-"))
            rest = reader.number() if sign else 0
            return PRIORITIES[token.text] + (-rest if sign == "-" else rest)
        try:
            return int(token.text)
        except ValueError:
            raise reader.unexpected(back=1) from None

    # Rules

    def _rule_parser(self, table: NftTable, reader: Reader) -> RuleParser:
        nftables, family, name = self.nftables, table.family, table.name

        def find(wanted: str) -> NftSet | None:
            held = nftables.tables.get((family, name))
            return None if held is None else held.sets.get(wanted)

        return RuleParser(reader, family, find, anonymous_text)

    def _rules(self, table: NftTable, chain: NftChain, reader: Reader) -> None:
        parser = self._rule_parser(table, reader)
        reader.skip_ends()
        while not reader.is_done():
            rule = parser.rule()
            rule.handle = self.nftables.next_handle()
            chain.rules.append(rule)
            reader.skip_ends()

    def rule(self, verb: str) -> None:
        """`rule [family] table chain [handle N | index N] …`."""
        table = self._table()
        chain = table.edit_chain(self.reader.text())
        at = self._place(chain, verb)
        if verb in ("delete", "destroy"):
            del chain.rules[at]
            return
        rule = self._rule_parser(table, self.reader).rule()
        rule.handle = self.nftables.next_handle()
        if verb == "replace":
            rule.handle = chain.rules[at].handle
            chain.rules[at] = rule
        else:
            chain.rules.insert(at, rule)

    def _place(self, chain: NftChain, verb: str) -> int:
        how = self.reader.take_of(("handle", "position", "index"))
        if not how:
            if verb in ("delete", "destroy", "replace"):
                raise self.reader.unexpected()
            return 0 if verb == "insert" else len(chain.rules)
        number = self.reader.number()
        indices = [at for at, rule in enumerate(chain.rules) if how != "index" and rule.handle == number]
        at = indices[0] if indices else number if how == "index" and number < len(chain.rules) else -1
        if at < 0:
            raise NftError(_NOT_THERE)
        return at + 1 if verb == "add" else at

    # Sets

    def set(self, verb: str) -> None:
        """`set [family] table name { … }`, and delete, flush, destroy."""
        self._set(verb, "set")

    def map(self, verb: str) -> None:
        """`map [family] table name { … }`, and delete, flush, destroy."""
        self._set(verb, "map")

    def _set(self, verb: str, word: str) -> None:
        table = self._table()
        name = self.reader.peek().text
        if verb in ("delete", "destroy", "flush"):
            self.reader.next()
            if name not in table.sets:
                if verb != "destroy":
                    raise NftError(_NOT_THERE)
            elif verb == "flush":
                table.edit_set(name).clear()
            elif _is_used(table, name):
                raise NftError(_BUSY)
            else:
                table.remove_set(name)
            return
        if verb == "create" and name in table.sets:
            raise NftError(_THERE)
        self._set_block(table, word, verb)

    def _set_block(self, table: NftTable, word: str, verb: str) -> None:
        reader, name = self.reader, self.reader.text()
        made = NftSet(name, ())
        reader.expect("{")
        reader.skip_ends()
        elements: Reader | None = None
        while not reader.take_if("}"):
            option = reader.next().text
            if option == "elements":
                reader.expect("=")
                reader.expect("{")
                elements = Reader([Token("mark", "{", 0, 0), *self._until_closed_keeping()])
            else:
                self._set_option(made, word, option)
            reader.skip_ends()
        if not made.fields:
            raise NftError("set definition does not specify key")
        found = table.sets.get(name)
        if found is not None and ([each.name for each in found.fields], found.data) != (
            [each.name for each in made.fields],
            made.data,
        ):
            raise NftError(_THERE)
        if found is None:
            made.handle = self.nftables.next_handle()
            found = table.put_set(made)
        if elements is not None:
            found = table.edit_set(name)
            self._add_elements(table, found, elements, exclusive=False)

    def _until_closed_keeping(self) -> list[Token]:
        found = self._until_closed()
        last = found[-1]
        return [*found[:-2], Token("mark", "}", last.line, last.column), last]

    def _set_option(self, made: NftSet, word: str, option: str) -> None:
        reader = self.reader
        match option:
            case "type":
                made.fields = self._types()
                if reader.take_if(":"):
                    made.data = self._types()
                if bool(made.data) != (word == "map"):
                    raise reader.unexpected()
            case "flags":
                made.flags = tuple(self._words())
            case "size":
                made.size = reader.number()
            case "timeout":
                made.timeout = seconds(reader.text())
            case "comment":
                made.comment = reader.text()
            case "auto-merge":
                made.auto_merge = True
            case "gc-interval" | "policy":
                reader.text()
            case _:
                raise reader.unexpected(back=1)

    def _types(self) -> tuple[Datatype, ...]:
        found = []
        while True:
            token = self.reader.next()
            if token.text not in NAMED:
                raise NftError(f"unknown datatype {token.text}", token.line, token.column, len(token.text))
            found.append(NAMED[token.text])
            if not self.reader.take_if("."):
                return tuple(found)

    def element(self, verb: str) -> None:
        """`element [family] table set { … }`."""
        table = self._table()
        name = self.reader.text()
        if name not in table.sets:
            raise NftError("No such file or directory")
        found = table.edit_set(name)
        if verb in ("add", "create"):
            return self._add_elements(table, found, self.reader, exclusive=verb == "create")
        data = found.data if self._has_data() else ()
        for element in SetParser(self.reader, found.fields, data, self._rule_parser(table, self.reader)).elements():
            if not found.remove(element.ranges) and verb == "delete":
                raise NftError(_NOT_THERE)
        return None

    def _has_data(self) -> bool:
        """Whether the elements to delete are written with what they map to."""
        ahead = 0
        while self.reader.peek(ahead).text not in ("}", ""):
            if self.reader.peek(ahead).text == ":":
                return True
            ahead += 1
        return False

    def _add_elements(self, table: NftTable, found: NftSet, reader: Reader, *, exclusive: bool) -> None:
        for element in SetParser(reader, found.fields, found.data, self._rule_parser(table, reader)).elements():
            lasts = element.timeout or found.timeout
            element.expires = self.now + lasts if lasts else 0
            found.add(element, self.now, exclusive=exclusive)


def _is_used(table: NftTable, name: str) -> bool:
    if table.links is not None:
        return table.links.set_is_used(table, name)
    return any(
        getattr(getattr(statement, "members", None), "name", "") == name
        for chain in table.chains.values()
        for rule in chain.rules
        for statement in rule.statements
    )


_OBJECTS: Final[dict[str, Callable[[_Transaction, str], None]]] = {
    "table": _Transaction.table,
    "chain": _Transaction.chain,
    "rule": _Transaction.rule,
    "set": _Transaction.set,
    "map": _Transaction.map,
    "element": _Transaction.element,
}
