"""From the ``?`` of our statements to the parameter style of a driver. What stands in quotes is left alone."""
from typing import Callable, Dict, List

__all__ = ["Placeholders", "pieces"]


def pieces(sql: str) -> List[str]:
    """The statement cut at its quoted texts: outside, inside, outside … so that every second piece is in quotes."""
    found: List[str] = []
    start, quoted = 0, False
    for position, character in enumerate(sql):
        if character == "'":
            end = position + 1 if quoted else position
            found.append(sql[start:end])
            start, quoted = end, not quoted
    return found + [sql[start:]]


class Placeholders:
    """Rewrites statements, each once.

    :param name: makes the placeholder of a position, counted from 0
    :param outside: makes what stands outside of quotes fit for the driver, before
    :param inside: the same for texts in quotes, their quotes included
    """

    def __init__(self, name: Callable[[int], str], outside: Callable[[str], str] = str,
                 inside: Callable[[str], str] = str) -> None:
        self._name = name
        self._outside = outside
        self._inside = inside
        self._known: Dict[str, str] = {}

    def rewritten(self, sql: str) -> str:
        """The statement in the driver's style."""
        known = self._known.get(sql)
        if known is None:
            known = self._known[sql] = self._rewrite(sql)
        return known

    def _rewrite(self, sql: str) -> str:
        parts: List[str] = []
        count = 0
        for number, piece in enumerate(pieces(sql)):
            if number % 2:
                parts.append(self._inside(piece))
                continue
            for index, part in enumerate(self._outside(piece).split("?")):
                if index:
                    parts.append(self._name(count))
                    count += 1
                parts.append(part)
        return "".join(parts)
