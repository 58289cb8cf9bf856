"""Feature switches: four places, the later one wins, and each remembers where it was said."""
from typing import Dict, List, Tuple

import pytest

from config import FEATURES
from config.features import Features, resolve_features
from config.problems import Problem, Report


KNOWN = "there are: " + ", ".join(sorted(FEATURES))


def resolve(in_file: object = None, variable: str = "", *settings: str) -> Tuple[Features, List[str]]:
    """The switches, and every complaint."""
    report = Report()
    problems: List[Problem] = []
    environ: Dict[str, str] = {"EXECUTIONER_FEATURES": variable} if variable else {}
    features = resolve_features(in_file, environ, settings, report, problems)
    return features, [one.message for one in report.findings] + [str(problem) for problem in problems]


def test_the_defaults() -> None:
    assert FEATURES["strict_validation"] is FEATURES["structured_logging"] is True
    features, complaints = resolve()
    assert features.values == FEATURES and features.values is not FEATURES
    assert set(features.sources.values()) == {"default"} and not complaints


@pytest.mark.parametrize("arguments, value, source", [
    (({"strict_validation": False},), False, "file"),
    (({"new_validation": False},), False, "file"),
    (({"strict_validation": False}, "strict_validation=on"), True, "EXECUTIONER_FEATURES"),
    (({"strict_validation": False}, "structured_logging=off,new_validation=on"), True, "EXECUTIONER_FEATURES"),
    (({"strict_validation": True}, "strict_validation=on", "strict_validation=off"), False, "--feature"),
    ((None, "strict_validation = OFF , "), False, "EXECUTIONER_FEATURES"),
    ((None, "", "strict_validation=off", "strict_validation=1"), True, "--feature"),
    ((None, "", "structured_logging=on,strict_validation=no"), False, "--feature"),
    (({"_strict_validation": False, "strict_validation": "x"},), True, "default"),
    (([],), True, "default"),
])
def test_which_place_wins(arguments: Tuple[object, ...], value: bool, source: str) -> None:
    features, complaints = resolve(*arguments)  # type: ignore[arg-type]
    assert not complaints
    assert (features["strict_validation"], features.sources["strict_validation"]) == (value, source)


@pytest.mark.parametrize("arguments, expected", [
    (({"zebra": True},), 'no feature has the name "zebra"'),
    ((None, "zebra=on"), 'EXECUTIONER_FEATURES: error E143 zebra: no feature has the name "zebra"; ' + KNOWN),
    ((None, "", "strict_valdation=off"), '--feature: error E143 strict_valdation: no feature has the name '
     '"strict_valdation"; did you mean "strict_validation"? ' + KNOWN),
    ((None, "", "strict_validation"), '--feature: error E143 strict_validation: must be on or off, as in '
     'strict_validation=off, got "strict_validation"'),
    ((None, "", "strict_validation=maybe"), '--feature: error E143 strict_validation: must be on or off, as in '
     'strict_validation=off, got "strict_validation=maybe"'),
    ((None, "", "=on"), '--feature: error E143 no feature has the name ""; ' + KNOWN),
])
def test_mistakes(arguments: Tuple[object, ...], expected: str) -> None:
    features, complaints = resolve(*arguments)  # type: ignore[arg-type]
    assert complaints == [expected]
    assert features.values == FEATURES
