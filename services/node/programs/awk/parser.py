"""From awk's tokens to its syntax tree (POSIX.1-2017, awk, grammar). Pure."""

from typing import Final

from podwire.services.node.programs.awk import syntax as tree
from podwire.services.node.programs.awk.lexer import Token, tokens
from podwire.services.node.programs.awk.syntax import AwkSyntaxError, Expression, Statement

_DEEPEST: Final = 25
_ASSIGNMENTS: Final = ("=", "+=", "-=", "*=", "/=", "%=", "^=")
_COMPARISONS: Final = ("<", "<=", "==", "!=", ">", ">=")
_STARTS: Final = ("number", "string", "regex", "name", "builtin", "call", "$", "!", "(", "-", "+", "++", "--")
_CONCATENATED: Final = ("number", "string", "name", "builtin", "$", "!", "(", "-", "+", "++", "--")


def parse(program: str) -> list[tree.Rule]:
    """All rules. Raises AwkSyntaxError."""
    return _Parser(tokens(program)).rules()


class _Parser:
    def __init__(self, found: list[Token]) -> None:
        self._tokens, self._at, self._depth = found, 0, 0
        self._no_in = self._no_greater = False

    # -- tokens

    @property
    def _kind(self) -> str:
        return self._tokens[self._at].kind

    def _take(self, *kinds: str) -> Token | None:
        """The next token if it is one of these."""
        if self._kind not in kinds:
            return None
        self._at += 1
        return self._tokens[self._at - 1]

    def _need(self, kind: str) -> Token:
        token = self._take(kind)
        if token is None:
            shown = self._tokens[self._at].text or self._kind
            raise AwkSyntaxError(f"Unexpected token: {shown!r} (expected {kind!r})")
        return token

    def _skip(self, *kinds: str) -> None:
        while self._take(*kinds):
            pass

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise AwkSyntaxError("too deeply nested")

    # -- rules

    def rules(self) -> list[tree.Rule]:
        found = []
        self._skip("newline", ";")
        while self._kind != "end":
            found.append(self._rule())
            self._skip("newline", ";")
        return found

    def _rule(self) -> tree.Rule:
        pattern: str | Expression | tuple[Expression, Expression] | None = None
        if token := self._take("BEGIN", "END"):
            pattern = token.kind
        elif self._kind != "{":
            first = self._expression()
            pattern = first
            if self._take(","):
                self._skip("newline")
                pattern = (first, self._expression())
        if self._kind == "{":
            return tree.Rule(pattern, self._block())
        if isinstance(pattern, str):
            raise AwkSyntaxError(f"{pattern} has no action")
        return tree.Rule(pattern, None)

    def _block(self) -> tree.Block:
        self._need("{")
        self._deeper()
        found = []
        self._skip("newline", ";")
        while not self._take("}"):
            found.append(self._statement())
            self._skip("newline", ";")
        self._depth -= 1
        return tree.Block(tuple(found))

    # -- statements

    def _statement(self) -> Statement:
        self._deeper()
        try:
            return self._statement_inside()
        finally:
            self._depth -= 1

    def _statement_inside(self) -> Statement:
        if self._kind == "{":
            return self._block()
        if self._take("if"):
            return self._if()
        if self._take("while"):
            condition = self._condition()
            if self._take(";"):
                return tree.While(condition, tree.Block(()))
            self._skip("newline")
            return tree.While(condition, self._statement())
        if self._take("do"):
            return self._do()
        if self._take("for"):
            return self._for()
        if token := self._take("next", "break", "continue"):
            return self._ended(tree.Jump(token.kind))
        if self._take("exit"):
            value = self._expression() if self._kind in _STARTS else None
            return self._ended(tree.Jump("exit", value))
        return self._ended(self._simple())

    def _ended(self, statement: Statement) -> Statement:
        if self._kind != "}":
            token = self._take(";", "newline", "end")
            if token is None:
                raise AwkSyntaxError(f"Unexpected token: {self._tokens[self._at].text or self._kind!r}")
        return statement

    def _simple(self) -> Statement:
        if token := self._take("print", "printf"):
            return self._print(formatted=token.kind == "printf")
        if self._take("delete"):
            name = self._need("name").text
            return tree.Delete(name, self._subscript() if self._take("[") else None)
        return tree.Evaluate(self._expression())

    def _condition(self) -> Expression:
        self._need("(")
        condition = self._expression()
        self._need(")")
        return condition

    def _if(self) -> Statement:
        condition = self._condition()
        self._skip("newline")
        yes: Statement = tree.Block(()) if self._take(";") else self._statement()
        mark = self._at
        self._skip("newline", ";")
        if not self._take("else"):
            self._at = mark
            return tree.If(condition, yes, None)
        self._skip("newline")
        return tree.If(condition, yes, self._statement())

    def _do(self) -> Statement:
        self._skip("newline")
        body = self._statement()
        self._skip("newline", ";")
        self._need("while")
        return self._ended(tree.While(self._condition(), body, body_first=True))

    def _for(self) -> Statement:
        self._need("(")
        ahead = [token.kind for token in self._tokens[self._at : self._at + 4]]
        if ahead == ["name", "in", "name", ")"]:
            name, array = self._tokens[self._at].text, self._tokens[self._at + 2].text
            self._at += 4
            self._skip("newline")
            return tree.ForIn(name, array, self._statement())
        start = None if self._kind == ";" else self._simple()
        self._need(";")
        condition = None if self._kind == ";" else self._expression()
        self._need(";")
        step = None if self._kind == ")" else self._simple()
        self._need(")")
        if self._take(";"):
            return tree.For(start, condition, step, tree.Block(()))
        self._skip("newline")
        return tree.For(start, condition, step, self._statement())

    def _print(self, *, formatted: bool) -> Statement:
        items: tuple[Expression, ...] = ()
        self._no_greater = True
        if self._kind in _STARTS:
            items = self._list()
            if len(items) == 1 and isinstance(items[0], tree.Grouping):
                items = items[0].items
        self._no_greater = False
        if token := self._take(">", ">>", "|"):
            if token.kind == "|":
                raise AwkSyntaxError("print | COMMAND is not built")
            return tree.Print(formatted, items, token.kind, self._concatenation())
        if formatted and not items:
            raise AwkSyntaxError("printf: no format")
        return tree.Print(formatted, items)

    def _list(self) -> tuple[Expression, ...]:
        found = [self._expression()]
        while self._take(","):
            self._skip("newline")
            found.append(self._expression())
        return tuple(found)

    # -- expressions, from the loosest to the tightest

    def _expression(self) -> Expression:
        self._deeper()
        try:
            return self._assignment()
        finally:
            self._depth -= 1

    def _assignment(self) -> Expression:
        left = self._conditional()
        if self._kind in _ASSIGNMENTS and isinstance(left, tree.Variable | tree.Field | tree.Element):
            operator = self._need(self._kind).kind
            self._skip("newline")
            return tree.Assignment(operator, left, self._expression())
        return left

    def _conditional(self) -> Expression:
        condition = self._or()
        if not self._take("?"):
            return condition
        self._skip("newline")
        yes = self._expression()
        self._skip("newline")
        self._need(":")
        self._skip("newline")
        return tree.Conditional(condition, yes, self._expression())

    def _or(self) -> Expression:
        left = self._and()
        while self._take("||"):
            self._skip("newline")
            left = tree.Binary("||", left, self._and())
        return left

    def _and(self) -> Expression:
        left = self._in()
        while self._take("&&"):
            self._skip("newline")
            left = tree.Binary("&&", left, self._in())
        return left

    def _in(self) -> Expression:
        left = self._match()
        while not self._no_in and self._take("in"):
            left = tree.Binary("in", left, tree.Variable(self._need("name").text))
        return left

    def _match(self) -> Expression:
        left = self._comparison()
        while token := self._take("~", "!~"):
            left = tree.Binary(token.kind, left, self._comparison())
        return left

    def _comparison(self) -> Expression:
        left = self._concatenation()
        if self._kind in _COMPARISONS and not (self._no_greater and self._kind == ">"):
            operator = self._need(self._kind).kind
            return tree.Binary(operator, left, self._concatenation())
        if self._kind == "|":
            ahead = self._tokens[self._at + 1].kind
            if ahead == "getline" or not self._no_greater:
                raise AwkSyntaxError("COMMAND | getline is not built")
        return left

    def _concatenation(self) -> Expression:
        left = self._additive()
        while self._kind in _CONCATENATED and self._kind not in ("+", "-"):
            left = tree.Binary(" ", left, self._additive())
        return left

    def _additive(self) -> Expression:
        left = self._multiplicative()
        while token := self._take("+", "-"):
            left = tree.Binary(token.kind, left, self._multiplicative())
        return left

    def _multiplicative(self) -> Expression:
        left = self._unary()
        while token := self._take("*", "/", "%"):
            left = tree.Binary(token.kind, left, self._unary())
        return left

    def _unary(self) -> Expression:
        if token := self._take("!", "-", "+"):
            self._deeper()
            operand = self._unary()
            self._depth -= 1
            return tree.Unary(token.kind, operand)
        return self._power()

    def _power(self) -> Expression:
        left = self._suffixed()
        if self._take("^"):
            self._deeper()
            right = self._unary()
            self._depth -= 1
            return tree.Binary("^", left, right)
        return left

    def _suffixed(self) -> Expression:
        if token := self._take("++", "--"):
            return tree.Increment(1 if token.kind == "++" else -1, self._target(self._primary()), after=False)
        primary = self._primary()
        if self._kind in ("++", "--") and isinstance(primary, tree.Variable | tree.Field | tree.Element):
            step = 1 if self._need(self._kind).kind == "++" else -1
            return tree.Increment(step, primary, after=True)
        return primary

    def _target(self, expression: Expression) -> tree.Target:
        if not isinstance(expression, tree.Variable | tree.Field | tree.Element):
            raise AwkSyntaxError("Unexpected token: '++' before what cannot be assigned")
        return expression

    def _primary(self) -> Expression:
        token = self._tokens[self._at]
        self._at += 1
        match token.kind:
            case "number":
                return tree.Number(float(token.text))
            case "string":
                return tree.Text(token.text)
            case "regex":
                return tree.Regex(token.text)
            case "$":
                return self._field()
            case "(":
                return self._parenthesized()
            case "name":
                return tree.Element(token.text, self._subscript()) if self._take("[") else tree.Variable(token.text)
            case "builtin":
                return self._call(token.text)
            case "call":
                raise AwkSyntaxError(f"Call to undefined function: {token.text}")
        raise AwkSyntaxError(f"Unexpected token: {token.text or token.kind!r}")

    def _field(self) -> Expression:
        self._deeper()
        index: Expression
        if token := self._take("-", "+", "!"):
            index = tree.Unary(token.kind, self._suffixed())
        elif token := self._take("++", "--"):
            index = tree.Increment(1 if token.kind == "++" else -1, self._target(self._primary()), after=False)
        else:
            index = self._primary()
        self._depth -= 1
        return tree.Field(index)

    def _subscript(self) -> tuple[Expression, ...]:
        outer, self._no_greater = self._no_greater, False
        index = self._list()
        self._need("]")
        self._no_greater = outer
        return index

    def _parenthesized(self) -> Expression:
        outer = self._no_greater, self._no_in
        self._no_greater = self._no_in = False
        items = self._list()
        self._need(")")
        self._no_greater, self._no_in = outer
        if len(items) > 1:
            return tree.Grouping(items)
        inner = items[0]
        # a target in parentheses is none, and `(a) = 1` is refused
        return tree.Unary("(", inner) if isinstance(inner, tree.Variable | tree.Element) else inner

    def _call(self, name: str) -> Expression:
        if not self._take("("):
            if name == "length":
                return tree.Call(name, ())
            raise AwkSyntaxError(f"Unexpected token: {name} without parentheses")
        outer, self._no_greater = self._no_greater, False
        self._skip("newline")
        arguments = () if self._kind == ")" else self._list()
        self._need(")")
        self._no_greater = outer
        return tree.Call(name, arguments)
