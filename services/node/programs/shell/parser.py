"""Text to syntax tree. Pure; any text either parses or raises ShellSyntaxError."""

import re
from collections.abc import Callable
from typing import Final

from podwire.services.node.programs.shell.syntax import (
    AndOr,
    Case,
    Command,
    For,
    Function,
    Group,
    If,
    Part,
    Pipeline,
    Redirected,
    Redirection,
    Sequence,
    ShellSyntaxError,
    Simple,
    Text,
    While,
    Word,
)
from podwire.services.node.programs.shell.words import Characters, joined, plain_text

_REDIRECTIONS: Final = ("<<-", "<<", ">>", "<&", ">&", "<>", "&>", ">|", "<", ">")
_OPERATORS: Final = ("&&", "||", ";;", *_REDIRECTIONS, "\n", ";", "&", "|", "(", ")")
_CLOSING: Final = ("then", "else", "elif", "fi", "do", "done", "esac", "}")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_ASSIGNMENT: Final = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=")
_UNQUOTED: Final = re.compile(r"[^\s;&|<>()'\"\\$`]+")
_FUNCTION: Final = re.compile(r"[ \t]*\([ \t]*\)")
_DESCRIPTOR: Final = re.compile(r"[0-9](?=[<>])")
_SHOWN: Final = {"\n": "newline", "": "end of file"}


def parse(text: str) -> Sequence:
    """A whole script. Raises ShellSyntaxError."""
    characters = Characters(text, _parse_nested)
    return _parse_nested(characters, "")


def _parse_nested(characters: Characters, end: str) -> Sequence:
    return _Parser(characters).script(end)


class _Parser:
    """Recursive descent over characters."""

    def __init__(self, characters: Characters) -> None:
        self._characters = characters

    def script(self, end: str) -> Sequence:
        """Everything up to `end`, which is taken."""
        items = self._sequence()
        if self._operator() != end:
            raise self._unexpected()
        self._take(end)
        return items

    # -- tokens

    def _skip_blanks(self) -> None:
        characters = self._characters
        while True:
            if characters.peek() in (" ", "\t"):
                characters.at += 1
            elif characters.peek(2) == "\\\n":
                characters.at += 2
            elif characters.peek() == "#":
                end = characters.text.find("\n", characters.at)
                characters.at = len(characters.text) if end < 0 else end
            else:
                return

    def _operator(self) -> str | None:
        """The operator that comes next, "" at the end, None if a word does."""
        self._skip_blanks()
        text, at = self._characters.text, self._characters.at
        if at >= len(text):
            return ""
        return next((each for each in _OPERATORS if text.startswith(each, at)), None)

    def _take(self, operator: str) -> None:
        characters = self._characters
        if operator == "\n":
            characters.at = characters.here_documents.pop(characters.at, characters.at + 1)
        else:
            characters.at += len(operator)

    def _reserved(self) -> str | None:
        """The next word if nothing in it is quoted or expanded, without taking it."""
        if self._operator() is not None:
            return None
        text, at = self._characters.text, self._characters.at
        match = _UNQUOTED.match(text, at)
        if match is None or text[match.end() : match.end() + 1] in ("'", '"', "\\", "$", "`"):
            return None
        return match.group()

    def _expect(self, word: str) -> None:
        if self._reserved() != word:
            raise self._unexpected(word)
        self._characters.at += len(word)

    def _expect_operator(self, operator: str) -> None:
        if self._operator() != operator:
            raise self._unexpected(operator)
        self._take(operator)

    def _unexpected(self, expected: str = "") -> ShellSyntaxError:
        found = self._operator()
        if found is None:
            found = plain_text(self._characters.word()) or "word"
        shown = _SHOWN.get(found, f'"{found}"')
        return ShellSyntaxError(f"unexpected {shown}" + (f' (expecting "{expected}")' if expected else ""))

    def _skip_newlines(self) -> None:
        while self._operator() == "\n":
            self._take("\n")

    # -- lists

    def _sequence(self, end: str = "") -> Sequence:
        """Lists up to a closing word or bracket; at least one if `end` says what has to follow."""
        self._characters.deeper()
        items: list[AndOr] = []
        self._skip_newlines()
        while self._operator() in (None, "(", *_REDIRECTIONS) and self._reserved() not in _CLOSING:
            items.append(self._and_or())
            separator = self._operator()
            if separator in (";", "&", "\n"):
                self._take(separator)
                self._skip_newlines()
            else:
                break
        if end and not items:
            raise self._unexpected()
        self._characters.depth -= 1
        return Sequence(tuple(items))

    def _and_or(self) -> AndOr:
        pipelines = [("", self._pipeline())]
        while (operator := self._operator()) in ("&&", "||"):
            self._take(operator)
            self._skip_newlines()
            pipelines.append((operator, self._pipeline()))
        return AndOr(tuple(pipelines), self._operator() == "&")

    def _pipeline(self) -> Pipeline:
        negated = False
        while self._reserved() == "!":
            self._expect("!")
            negated = not negated
        commands = [self._command()]
        while self._operator() == "|":
            self._take("|")
            self._skip_newlines()
            commands.append(self._command())
        return Pipeline(tuple(commands), negated)

    # -- commands

    def _command(self) -> Command:
        if self._operator() == "(":
            return self._redirected(self._subshell())
        word = self._reserved()
        makers: dict[str | None, Callable[[], Command]] = {
            "if": self._if,
            "while": self._while,
            "until": self._while,
            "for": self._for,
            "case": self._case,
            "{": self._group,
        }
        if word in makers:
            return self._redirected(makers[word]())
        if word in _CLOSING or (word is None and self._operator() not in (None, *_REDIRECTIONS)):
            raise self._unexpected()
        if word is not None and _NAME.match(word):
            match = _FUNCTION.match(self._characters.text, self._characters.at + len(word))
            if match is not None:
                return self._function(word, match.end())
        return self._simple()

    def _redirected(self, command: Command) -> Command:
        redirections = self._redirections()
        return Redirected(command, tuple(redirections)) if redirections else command

    def _subshell(self) -> Group:
        self._take("(")
        body = self._sequence(")")
        self._expect_operator(")")
        return Group(body, True)

    def _group(self) -> Group:
        self._expect("{")
        body = self._sequence("}")
        self._expect("}")
        return Group(body, False)

    def _if(self) -> If:
        branches, otherwise = [], Sequence(())
        self._expect("if")
        while True:
            condition = self._sequence("then")
            self._expect("then")
            branches.append((condition, self._sequence("fi")))
            if self._reserved() != "elif":
                break
            self._expect("elif")
        if self._reserved() == "else":
            self._expect("else")
            otherwise = self._sequence("fi")
        self._expect("fi")
        return If(tuple(branches), otherwise)

    def _while(self) -> While:
        word = self._reserved() or "while"
        self._expect(word)
        condition = self._sequence("do")
        return While(condition, self._do_group(), word == "until")

    def _do_group(self) -> Sequence:
        self._expect("do")
        body = self._sequence("done")
        self._expect("done")
        return body

    def _for(self) -> For:
        self._expect("for")
        name = self._reserved()
        if name is None or not _NAME.match(name):
            raise ShellSyntaxError("bad for loop variable")
        self._expect(name)
        self._skip_newlines()
        words = None
        if self._reserved() == "in":
            self._expect("in")
            words = tuple(self._words())
        if self._operator() == ";":
            self._take(";")
        self._skip_newlines()
        return For(name, words, self._do_group())

    def _words(self) -> list[Word]:
        words = []
        while self._operator() is None:
            words.append(self._characters.word())
        return words

    def _case(self) -> Case:
        self._expect("case")
        word = self._a_word()
        self._skip_newlines()
        self._expect("in")
        self._skip_newlines()
        branches = []
        while self._reserved() != "esac":
            branches.append(self._case_branch())
        self._expect("esac")
        return Case(word, tuple(branches))

    def _a_word(self) -> Word:
        if self._operator() is not None:
            raise self._unexpected()
        return self._characters.word()

    def _case_branch(self) -> tuple[tuple[Word, ...], Sequence]:
        if self._operator() == "(":
            self._take("(")
        patterns = [self._a_word()]
        while self._operator() == "|":
            self._take("|")
            patterns.append(self._a_word())
        self._expect_operator(")")
        body = self._sequence()
        if self._operator() == ";;":
            self._take(";;")
            self._skip_newlines()
        elif self._reserved() != "esac":
            raise self._unexpected(";;")
        return tuple(patterns), body

    def _function(self, name: str, body_at: int) -> Function:
        self._characters.at = body_at
        self._skip_newlines()
        self._characters.deeper()
        body = self._command()
        self._characters.depth -= 1
        return Function(name, body)

    def _simple(self) -> Simple:
        assignments: list[tuple[str, Word]] = []
        words: list[Word] = []
        redirections: list[Redirection] = []
        while True:
            if self._is_redirection():
                redirections += self._redirection()
            elif self._operator() is None:
                self._word_or_assignment(assignments, words)
            else:
                return Simple(tuple(assignments), tuple(words), tuple(redirections))

    # -- redirections

    def _is_redirection(self) -> bool:
        if self._operator() in _REDIRECTIONS:
            return True
        return _DESCRIPTOR.match(self._characters.text, self._characters.at) is not None

    def _redirections(self) -> list[Redirection]:
        found: list[Redirection] = []
        while self._is_redirection():
            found += self._redirection()
        return found

    def _redirection(self) -> list[Redirection]:
        given = self._characters.take() if self._operator() is None else ""
        kind = self._operator() or ""
        self._take(kind)
        if self._operator() is not None:
            raise self._unexpected()
        descriptor = int(given) if given else int(kind not in ("<", "<&", "<>", "<<", "<<-"))
        if kind in ("<<", "<<-"):
            return [Redirection(descriptor, "<<", self._here_document(strip=kind == "<<-"))]
        target = self._characters.word()
        if kind == "&>":
            return [Redirection(1, ">", target), Redirection(2, ">&", (Text("1", False),))]
        return [Redirection(descriptor, ">" if kind == ">|" else kind, target)]

    def _here_document(self, *, strip: bool) -> Word:
        """Reads the body, which begins on the next line or behind the here-document that is already there."""
        characters = self._characters
        delimiter = characters.word()
        end = "".join(part.text for part in delimiter if isinstance(part, Text))
        newline = characters.text.find("\n", characters.at)
        if newline < 0:
            return ()
        body, at = "", characters.here_documents.get(newline, newline + 1)
        while at < len(characters.text):
            line, found, _ = characters.text[at:].partition("\n")
            at += len(line) + len(found)
            line = line.lstrip("\t") if strip else line
            if line == end:
                break
            body += line + found
        characters.here_documents[newline] = at
        if any(isinstance(part, Text) and part.quoted for part in delimiter):
            return (Text(body, True),)
        inner = Characters(body, characters.parse_script)
        inner.depth = characters.depth
        return tuple(inner.quoted(""))

    def _word_or_assignment(self, assignments: list[tuple[str, Word]], words: list[Word]) -> None:
        word = self._characters.word()
        first = word[0]
        match = _ASSIGNMENT.match(first.text) if isinstance(first, Text) and not first.quoted else None
        if words or match is None or not isinstance(first, Text):
            words.append(word)
        else:
            rest: list[Part] = [Text(first.text[match.end() :], False)] if first.text[match.end() :] else []
            assignments.append((match.group(1), joined([*rest, *word[1:]])))
