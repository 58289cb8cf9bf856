"""The key tables as JSON Schema (draft 2020-12), for editors and for whoever checks a file without us.

It says what a file may look like. What needs several values at once (ids, cycles, variables) or the machine
(folders, programs) only ``validate`` can say.
"""
import re
from typing import TYPE_CHECKING, Dict, List

from config.kinds import DURATION_PATTERN, MAX_TEXT, Command, Key, Schema, Table
from config.schema import CHECK, FILE, JOB, TABLES
from jobs.sizes import MAX_SIZE, SIZE_PATTERN
from jobs.times import MAX_DURATION_S

if TYPE_CHECKING:
    from jobs.checks.parameters import Parameter

__all__ = ["DIALECT", "json_schema"]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
#: The end of a text in a pattern.
_END = re.compile(r"(?<!\\)\$")
#: Keys that begin with ``_`` are comments, in every object.
_COMMENTS: Dict[str, object] = {"^_": True}
#: In a text with a variable may stand whatever the variable holds.
_OPEN: Schema = {"type": "string", "pattern": "\\$\\{", "maxLength": MAX_TEXT}
_TEXT: Schema = {"type": "string", "maxLength": MAX_TEXT}
_WORDS: Schema = {"type": "string", "minLength": 1, "maxLength": MAX_TEXT}


def json_schema() -> Schema:
    """The schema of a whole configuration."""
    definitions: Dict[str, object] = {table.name: _table(table) for table in TABLES if table is not FILE}
    definitions["check"] = _check()
    definitions["condition"] = _condition()
    # A job may leave out what ``defaults`` says.
    job = definitions[JOB.name]
    assert isinstance(job, dict)
    job["required"] = ["id"]
    schema: Schema = {"$schema": DIALECT, "title": "Executioner configuration"}
    schema.update(_table(FILE))
    schema["if"] = {"properties": {"defaults": {"type": "object", "required": ["command"]}}, "required": ["defaults"]}
    schema["else"] = {"properties": {"jobs": {"items": {"if": {"type": "object"}, "then": {
        "anyOf": [{"required": ["command"]}, {"required": ["config"]}]}}}}}
    schema["$defs"] = definitions
    exact = _exact(schema)
    assert isinstance(exact, dict)
    return exact


def _exact(value: object, is_patterns: bool = False) -> object:
    """The same where ``$`` in patterns is the very end, in engines too where it may be before a last line feed."""
    def end(text: str) -> str:
        return _END.sub(r"$(?!\\n)", text)

    if isinstance(value, list):
        return [_exact(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {end(name) if is_patterns else name: end(one) if name == "pattern" and isinstance(one, str) else
            _exact(one, name == "patternProperties") for name, one in value.items()}


def _table(table: Table) -> Schema:
    schema: Schema = {
        "type": "object",
        "properties": {key.name: _key(key) for key in table},
        "patternProperties": dict(_COMMENTS),
        "additionalProperties": False,
    }
    required = [key.name for key in table if key.required]
    if required:
        schema["required"] = required
    return schema


def _key(key: Key) -> Schema:
    schema = dict(key.kind.schema())
    schema["description"] = key.help
    if key.default is not None:
        schema["default"] = key.default
    return schema


def _check() -> Schema:
    """A check, and for each name the parameters that it takes."""
    from jobs.checks.registry import BUILT_IN
    cases: List[Schema] = []
    for name in BUILT_IN.names():
        declaration = BUILT_IN.get(name)
        assert declaration is not None
        params: Schema = {
            "type": "object",
            "properties": {one.name: dict(_parameter(one), description=one.help) for one in declaration.parameters},
            "patternProperties": dict(_COMMENTS),
            "additionalProperties": False,
            "required": [one.name for one in declaration.parameters if one.required],
        }
        if declaration.one_of:
            params["oneOf"] = [{"required": [one]} for one in declaration.one_of]
        then: Schema = {"properties": {"params": params}}
        if params["required"] or declaration.one_of:
            then["required"] = ["params"]
        cases.append({"if": {"properties": {"name": {"const": name}}, "required": ["name"]}, "then": then})
    schema = _table(CHECK)
    properties = schema["properties"]
    assert isinstance(properties, dict)
    # Plugins add others.
    properties["name"] = {"anyOf": [{"enum": BUILT_IN.names()}, {"type": "string"}],
                          "description": CHECK.by_name["name"].help}
    properties["params"] = {"type": "object", "description": CHECK.by_name["params"].help}
    schema["allOf"] = cases
    return schema


def _parameter(parameter: "Parameter") -> Schema:
    """What a parameter of a check may be."""
    kind = parameter.kind
    bounds: Schema = {name: value for name, value in (("minimum", parameter.minimum), ("maximum", parameter.maximum))
                      if value is not None}
    if parameter.choices:
        return {"anyOf": [{"enum": list(parameter.choices)}, _OPEN]}
    if kind in ("path", "words", "pattern"):
        return dict(_WORDS)
    if kind == "text":
        return dict(_TEXT)
    if kind == "command":
        return {"anyOf": [{"type": "string", "pattern": "\\S", "maxLength": MAX_TEXT},
                          {"type": "array", "items": _TEXT, "minItems": 1, "prefixItems": [_WORDS]}]}
    if kind == "boolean":
        return {"anyOf": [{"type": "boolean"}, {"enum": ["true", "false"]}, _OPEN]}
    number = dict(bounds, type="integer" if kind == "integer" else "number")
    if kind in ("duration", "size", "share"):
        number.setdefault("minimum", 0)
        number.setdefault("maximum", MAX_DURATION_S if kind == "duration" else MAX_SIZE)
    from jobs.checks.parameters import PERCENT_PATTERN
    pattern = {"integer": "^-?[0-9]{1,18}$", "number": "^-?[0-9]{1,18}(\\.[0-9]{1,18})?$",
               "duration": "^" + DURATION_PATTERN, "size": SIZE_PATTERN,
               "share": "%s|%s" % (SIZE_PATTERN, PERCENT_PATTERN)}[kind]
    return {"anyOf": [number, {"type": "string", "pattern": pattern}, _OPEN]}


def _condition() -> Schema:
    """A condition: an object with exactly one of a few keys, and what goes with it."""
    from jobs.checks.conditions import CONDITIONS, DAY_NAMES
    itself: Schema = {"$ref": "#/$defs/condition"}
    text: Schema = {"type": "string", "minLength": 1, "maxLength": MAX_TEXT}
    names = ("".join("[%s%s]" % (letter, letter.upper()) for letter in name[:3]) + "(%s)?" % "".join(
        "[%s%s]" % (letter, letter.upper()) for letter in name[3:]) for name in DAY_NAMES)
    weekday: Schema = {"type": "string", "pattern": "^(%s)$" % "|".join(names)}
    day: Schema = {"type": "integer", "minimum": -31, "maximum": 31, "not": {"const": 0}}
    values: Dict[str, Schema] = {
        "env": text, "param": text, "file_exists": text, "not": itself,
        "command": {"anyOf": [{"type": "string", "pattern": "\\S", "maxLength": MAX_TEXT}, Command().schema()]},
        "weekday": {"anyOf": [weekday, {"type": "array", "items": weekday, "minItems": 1}]},
        "day_of_month": {"anyOf": [day, {"type": "array", "items": day, "minItems": 1}]},
        "all": {"type": "array", "items": itself, "minItems": 1},
        "any": {"type": "array", "items": itself, "minItems": 1},
        "equals": {"type": ["string", "number", "boolean"], "maxLength": MAX_TEXT},
        "matches": {"type": "string", "maxLength": MAX_TEXT},
    }
    cases: List[Schema] = []
    for name, more in CONDITIONS.items():
        case: Schema = {
            "properties": {one: values[one] for one in (name,) + more},
            "patternProperties": dict(_COMMENTS),
            "additionalProperties": False,
            "required": [name],
        }
        if "matches" in more:
            case["not"] = {"required": ["equals", "matches"]}
        cases.append(case)
    return {"type": "object", "anyOf": cases}
