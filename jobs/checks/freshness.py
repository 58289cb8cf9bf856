"""``inputs`` and ``products``: whether a job is up to date, and whether it has made what it says.

As make has it: a product is up to date where it is no older than any input. A folder counts by its own time.
"""
import os
from typing import List, Sequence, Tuple

from jobs.checks.files import files_of
from jobs.checks.result import PRODUCTS, UP_TO_DATE, CheckContext, CheckResult

__all__ = ["ask_products", "ask_up_to_date"]

_Dated = Tuple[int, str]


def ask_up_to_date(context: CheckContext, inputs: Sequence[str], products: Sequence[str]) -> CheckResult:
    """Passes where every product is there and no older than any input; the reason says so, or why not."""
    made = _look(context, products)
    used = _look(context, inputs)
    for what, found in (("its product", made), ("its input", used)):
        for text, dated in found:
            if not dated:
                return CheckResult(UP_TO_DATE, False, "there is no %s, %s" % (context.path(text), what))
    newest, oldest = max(_all(used)), min(_all(made))
    if newest[0] > oldest[0]:
        return CheckResult(UP_TO_DATE, False, "its input %s is newer than its product %s" % (newest[1], oldest[1]))
    if len(_all(made)) == 1:
        return CheckResult(UP_TO_DATE, True, "up to date: %s is no older than its %s" % (
            oldest[1], _count(len(_all(used)), "input")))
    return CheckResult(UP_TO_DATE, True, "up to date: its %s are no older than its %s" % (
        _count(len(_all(made)), "product"), _count(len(_all(used)), "input")))


def ask_products(context: CheckContext, products: Sequence[str]) -> CheckResult:
    """Passes always; the reason names the products that are not there."""
    missing = [context.path(text) for text, dated in _look(context, products) if not dated]
    return CheckResult(PRODUCTS, True, ", ".join(missing))


def _look(context: CheckContext, texts: Sequence[str]) -> List[Tuple[str, List[_Dated]]]:
    """What each path or pattern means, with the time at which it was changed, in nanoseconds."""
    found = []
    for text in texts:
        dated = []
        for path in files_of(context, text, with_folders=True):
            try:
                dated.append((os.stat(path).st_mtime_ns, path))
            except OSError:
                continue  # it has gone, or points to nothing
        found.append((text, dated))
    return found


def _all(found: List[Tuple[str, List[_Dated]]]) -> List[_Dated]:
    return [one for _, dated in found for one in dated]


def _count(number: int, noun: str) -> str:
    return "%s%s" % (noun if number == 1 else "%d %s" % (number, noun), "" if number == 1 else "s")
