"""Feature switches: each module that has one can be switched off by itself.

They come from four places, and the later one wins: the defaults here, ``features`` in the file,
``EXECUTIONER_FEATURES=name=on,name=off``, and ``--feature name=off``. What keeps results right has no switch.
"""
from typing import Dict, List, Mapping, Sequence

from config.problems import ERROR, Problem, Report, quoted

__all__ = ["ALIASES", "FEATURES", "Features", "VARIABLE", "resolve_features"]

#: The switches and their defaults. One is listed here from the day its module is there.
FEATURES: Dict[str, bool] = {
    "api_server": False,
    "history_retention": True,
    "metrics": True,
    "notifications": True,
    "strict_validation": True,
    "structured_logging": True,
}

#: Older names that are still accepted.
ALIASES: Dict[str, str] = {"new_validation": "strict_validation"}

#: The environment variable that switches.
VARIABLE = "EXECUTIONER_FEATURES"
_OPTION = "--feature"
_WORDS = {"on": True, "true": True, "yes": True, "1": True, "off": False, "false": False, "no": False, "0": False}


class Features:
    """What is on, and where that was said (``default``, ``file``, ``EXECUTIONER_FEATURES`` or ``--feature``)."""

    __slots__ = ("values", "sources")

    def __init__(self) -> None:
        self.values: Dict[str, bool] = dict(FEATURES)
        self.sources: Dict[str, str] = dict.fromkeys(FEATURES, "default")

    def __getitem__(self, name: str) -> bool:
        return self.values[name]

    def say(self, name: str, value: bool, source: str) -> bool:
        """Set a switch, by its name or an older one; whether there is one of that name."""
        name = ALIASES.get(name, name)
        if name not in self.values:
            return False
        self.values[name] = value
        self.sources[name] = source
        return True


def resolve_features(in_file: object, environ: Mapping[str, str], settings: Sequence[str], report: Report,
                     problems: List[Problem]) -> Features:
    """The switches as the four places set them.

    :param in_file: the value of ``features`` in the file, right or wrong; its kind is checked elsewhere
    :param environ: the caller's environment
    :param settings: the values of ``--feature``: ``name=on`` or ``name=off``, or several with commas
    :param report: gets unknown names of the file
    :param problems: gets mistakes of the environment and of the command line
    """
    features = Features()
    if isinstance(in_file, dict):
        for name, value in in_file.items():
            if isinstance(name, str) and not name.startswith("_") and isinstance(value, bool):
                if not features.say(name, value, "file"):
                    report.error(("features", name), "E143", _unknown(name), _known(name, report), at_key=True)
    variable = environ.get(VARIABLE, "")
    if variable:
        _apply(features, variable, VARIABLE, report, problems)
    for setting in settings:
        _apply(features, setting, _OPTION, report, problems)
    return features


def _apply(features: Features, text: str, source: str, report: Report, problems: List[Problem]) -> None:
    for item in text.split(","):
        name, _, word = (part.strip() for part in item.partition("="))
        if not name and not word:
            continue
        value = _WORDS.get(word.lower())
        if value is None:
            problems.append(Problem(source, 0, 0, "E143", name, ERROR,
                                    "must be on or off, as in %s=off, got %s" % (name or "NAME", quoted(item.strip()))))
        elif not features.say(name, value, source):
            problems.append(Problem(source, 0, 0, "E143", name, ERROR, _unknown(name), _known(name, report)))


def _unknown(name: str) -> str:
    return "no feature has the name %s" % quoted(name)


def _known(name: str, report: Report) -> str:
    return (report.suggestions.hint(name, sorted(set(FEATURES) | set(ALIASES))) + " "
            + "there are: " + ", ".join(sorted(FEATURES))).strip()
