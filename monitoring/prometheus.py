"""The Prometheus text format (0.0.4), and the same figures as JSON. Values in, text out."""
import math
from typing import Dict, List, NamedTuple, Sequence, Tuple

__all__ = ["CONTENT_TYPE", "Family", "Labels", "Sample", "add_histogram", "counter", "gauge", "histogram",
           "json_families", "label_text", "render"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

#: Names and values of labels, in the order in which they are shown.
Labels = Tuple[Tuple[str, str], ...]


class Sample(NamedTuple):
    """One figure: its labels, and what its name has behind the family's (``_bucket``, ``_sum``, ``_count``)."""

    labels: Labels
    value: float
    suffix: str = ""


class Family(NamedTuple):
    """All figures of one name."""

    name: str
    #: ``counter``, ``gauge`` or ``histogram``.
    kind: str
    help: str
    samples: List[Sample]


def counter(name: str, help: str) -> Family:  # noqa: A002
    """A family of figures that only grow; the name ends in ``_total``."""
    return Family(name, "counter", help, [])


def gauge(name: str, help: str) -> Family:  # noqa: A002
    """A family of figures that go up and down."""
    return Family(name, "gauge", help, [])


def histogram(name: str, help: str) -> Family:  # noqa: A002
    """A family of counts by size."""
    return Family(name, "histogram", help, [])


def add_histogram(family: Family, labels: Labels, bounds: Sequence[str], counts: Dict[str, float],
                  total: float) -> None:
    """Put a histogram into its family.

    :param bounds: the upper bounds in order, the last one ``+Inf``
    :param counts: how many fell into each bucket alone
    :param total: sum of all that was counted
    """
    seen = 0.0
    for bound in bounds:
        seen += counts.get(bound, 0.0)
        family.samples.append(Sample(labels + (("le", bound),), seen, "_bucket"))
    family.samples.append(Sample(labels, total, "_sum"))
    family.samples.append(Sample(labels, seen, "_count"))


def render(families: Sequence[Family]) -> str:
    """The text that Prometheus scrapes; families without figures are left out."""
    lines: List[str] = []
    for family in families:
        if not family.samples:
            continue
        lines.append("# HELP %s %s" % (family.name, family.help.replace("\\", "\\\\").replace("\n", "\\n")))
        lines.append("# TYPE %s %s" % (family.name, family.kind))
        for sample in family.samples:
            labels = ",".join('%s="%s"' % (name, label_text(value)) for name, value in sample.labels)
            lines.append("%s%s%s %s" % (family.name, sample.suffix, "{%s}" % labels if labels else "",
                                        _number(sample.value)))
    return "\n".join(lines) + "\n" if lines else ""


def json_families(families: Sequence[Family]) -> List[Dict[str, object]]:
    """The same figures as JSON-able values."""
    return [{"name": family.name, "type": family.kind, "help": family.help, "samples": [
        {"name": family.name + sample.suffix, "labels": dict(sample.labels), "value": sample.value}
        for sample in family.samples if math.isfinite(sample.value)]} for family in families if family.samples]


def label_text(value: str) -> str:
    """A label's value as it stands between quotes."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return escaped.encode("utf-8", "backslashreplace").decode("utf-8")


def _number(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return "%d" % value if value == int(value) and abs(value) < 1e15 else repr(float(value))
