"""Which values of a configuration are secret, and the text of a configuration without them.

A variable is secret by its name (``jobs.masking.is_secret_name``) or since ``secrets`` lists it; so is
``smtp_password``. Values are replaced in strings, never in serialised JSON, where an escape would hide them; so a text
that holds one is written anew.
"""
from typing import Dict, FrozenSet, Mapping, Set, Tuple

from config.environment import Environment, expand, value_text
from config.job_environment import env_files_of, job_variables
from config.loader import Document
from config.made_jobs import made_variables
from jobs.digests import sha256_hex
from jobs.exceptions import ConfigurationError
from jobs.masking import MASK, MINIMUM_LENGTH, Masker, is_secret_name

__all__ = ["masked_text", "secret_names", "secret_values"]

#: Parts of which at least one is in every name that ``is_secret_name`` knows, for a quick look at a whole text.
_PARTS = ("PASSWORD", "PASSWD", "SECRET", "TOKEN", "CREDENTIAL", "KEY")


def secret_names(top: Mapping[str, object]) -> FrozenSet[str]:
    """The names that ``secrets`` of a file adds; of a parameter, that of its variable too."""
    listed = top.get("secrets")
    names = [name for name in listed if isinstance(name, str)] if isinstance(listed, list) else []
    return frozenset(names + ["EXECUTIONER_PARAM_" + name for name in names]) if names else frozenset()


def secret_values(top: Mapping[str, object], environment: Environment, environ: Mapping[str, str],
                  working_dir: str) -> Tuple[str, ...]:
    """The values (of six characters or more) that are kept out of everything that we write ourselves.

    :param top: the keys of the file
    :param environ: the caller's environment, where ``smtp_password`` may come from
    :param working_dir: of the file, absolute
    """
    found: Set[str] = set()
    names = secret_names(top)

    def collect(variables: Mapping[str, str]) -> None:
        for name, value in variables.items():
            if len(value) >= MINIMUM_LENGTH and (name in names or is_secret_name(name)):
                found.add(value)

    def collect_written(written: Mapping[str, object]) -> None:
        # What the file says counts as well where --env wins over it; a reference is no value.
        collect({name: text for name, text in ((name, value_text(value)) for name, value in written.items())
                 if "${" not in text})

    collect(environment.variables)
    collect({name: environ[name] for name in names if name in environ})
    collect_written(environment.in_file)
    defaults, jobs = top.get("defaults"), top.get("jobs")
    defaults = defaults if isinstance(defaults, dict) else {}
    own = defaults.get("env_variables")
    collect_written(own if isinstance(own, dict) else {})
    is_plain = "env_variables" not in defaults and "env_file" not in defaults
    for job in jobs if isinstance(jobs, list) else ():
        if is_plain and type(job) is dict and "env_variables" not in job and "env_file" not in job:
            continue  # as most of ten thousand
        if isinstance(job, dict):
            own = job.get("env_variables")
            if own and isinstance(own, dict):
                collect_written(own)
            collect(made_variables(job))
            collect(job_variables(environment, job, defaults, working_dir)[0])
            for file in env_files_of(environment, job, defaults, working_dir):
                collect_written(file.expanded)
                collect(file.literal)
    password = top.get("smtp_password")
    if isinstance(password, str):
        variables = dict(environ)
        variables.update(environment.variables)
        collect({"smtp_password": expand(password, variables)[0]})
    found.update(value for value in [environ.get(_password_variable(top.get("database")), "")]
                 if len(value) >= MINIMUM_LENGTH)
    if top.get("notifications"):
        from config.upkeep import upkeep_secrets
        variables = dict(environ)
        variables.update(environment.variables)
        found.update(value for value in upkeep_secrets(top, variables) if len(value) >= MINIMUM_LENGTH)
    return tuple(sorted(found))


def _password_variable(database: object) -> str:
    """The variable that holds the password of the server that runs are copied to; "" where there is none."""
    if isinstance(database, dict):
        return str(database.get("password_env", ""))
    if isinstance(database, str) and not database.startswith("sqlite"):
        from jobs.server_place import parse_place
        try:
            return parse_place(database).password_env
        except ConfigurationError:
            return ""  # which the check of the file tells
    return ""


def masked_text(document: Document, secrets: Tuple[str, ...], more: FrozenSet[str]) -> Tuple[str, str]:
    """The text of a configuration without secret values, and its SHA-256.

    :param more: names of secrets besides those that are by their names

    The text is as it was read where it holds none. Else it is written anew from the values: what stands under the
    name of a secret is replaced as a whole, and secret values wherever a string holds them.
    """
    text = document.text
    masker = Masker(secrets)
    is_found = bool(masker.find(text))
    if is_found or more or _may_hold(text, masker):
        masked = _masked(document.value, masker, dict.fromkeys(more, True))
        if is_found or masked != document.value:
            import json
            text = json.dumps(masked, indent=1, ensure_ascii=False)
    digest = sha256_hex(text.encode("utf-8", "surrogatepass"))
    return text, digest


def _may_hold(text: str, masker: Masker) -> bool:
    """Whether a text without a secret value in plain sight may still hold one."""
    if "\\u" in text or (masker and "\\" in text):
        return True
    upper = text.upper()
    return any(part in upper for part in _PARTS)


def _masked(value: object, masker: Masker, names: Dict[str, bool]) -> object:
    """A copy with secret values replaced. Keys stay: they are the file's own words."""
    if isinstance(value, str):
        return masker.mask_text(value)
    if isinstance(value, list):
        return [_masked(item, masker, names) for item in value]
    if not isinstance(value, dict):
        return value
    copy: Dict[str, object] = {}
    for name, item in value.items():
        if name not in names:
            names[name] = is_secret_name(name)
        if names[name] and not _is_harmless(item):
            copy[name] = MASK
        else:
            copy[name] = _masked(item, masker, names)
    return copy


def _is_harmless(value: object) -> bool:
    """Whether a value tells nothing by itself: no text or number, empty, or only a reference to a variable."""
    if isinstance(value, str):
        return not value or (value.startswith("${") and value.find("}") == len(value) - 1)
    return isinstance(value, (bool, dict, list)) or value is None
