"""One bounded repair of nearly-JSON: stray brackets, trailing commas, missing closers. Pure."""

MAX_REPAIR_CHARS = 50_000
_CLOSERS = {"{": "}", "[": "]"}


def repaired(text: str) -> str | None:
    """Return the first bracketed value of a text with its brackets put right, or None.

    Handled: a doubled opening brace, a closer that matches nothing, a comma before a closer, and
    an end that comes too early. Values and words are never changed.
    """
    start = min((at for at in map(text.find, "{[") if at >= 0), default=-1)
    if start < 0:
        return None
    return _Repair().run(text[start : start + MAX_REPAIR_CHARS])


class _Repair:
    """Copies a text letter by letter, keeping the brackets that are open."""

    def __init__(self) -> None:
        self._out: list[str] = []
        self._open: list[str] = []
        self._in_string = False
        self._escaped = False
        self._last = ""

    def run(self, text: str) -> str:
        for letter in text:
            self._take(letter)
            if not self._open:
                break
        return self._ended()

    def _take(self, letter: str) -> None:
        if self._in_string:
            self._take_inside(letter)
        elif letter in "{[":
            self._take_opener(letter)
        elif letter in "}]":
            self._take_closer(letter)
        else:
            self._in_string = letter == '"'
            self._put(letter)

    def _take_inside(self, letter: str) -> None:
        if letter == '"' and not self._escaped:
            self._in_string = False
        self._escaped = letter == "\\" and not self._escaped
        self._put(letter)

    def _take_opener(self, letter: str) -> None:
        # An object cannot be a key: the second of two braces is stray.
        if letter == "{" and self._last == "{":
            return
        self._open.append(_CLOSERS[letter])
        self._put(letter)

    def _take_closer(self, letter: str) -> None:
        if letter != self._open[-1]:
            if letter not in self._open:
                return
            while self._open[-1] != letter:
                self._close()
        self._close()

    def _close(self) -> None:
        self._drop_comma()
        self._put(self._open.pop())

    def _ended(self) -> str:
        if self._in_string:
            self._out.append("\\" if self._escaped else "")
            self._put('"')
        while self._open:
            if self._last == ":":
                self._out.append("null")
            self._close()
        return "".join(self._out)

    def _drop_comma(self) -> None:
        while self._out and (self._out[-1].isspace() or self._out[-1] == ","):
            if self._out.pop() == ",":
                break

    def _put(self, letter: str) -> None:
        self._out.append(letter)
        if not letter.isspace():
            self._last = letter
