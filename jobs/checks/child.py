"""What runs in a Python of its own: the code of others (plugins), and the regular expressions of others.

It is sent as a code object by ``jobs.checks.apart``, so it imports nothing of ours. Whatever is done here — an
exception, an exit, a loop without end — ends this process and nothing else; the answer is one JSON text.
"""
import os
import sys
from typing import Any, Callable, Dict, List, Optional, Tuple

__all__ = ["main", "snake_case"]

#: Characters of a message that are told on.
_SHOWN = 1000
#: Longest part of a line that an expression is tried on, in bytes.
_LINE_BYTES = 1 << 20

_Answer = Tuple[bool, str]


class _Unusable(Exception):
    """A plugin that cannot be asked; says why."""


def main(task: str, request: Dict[str, Any], answer_fd: int) -> None:
    """Do the task and write the answer: whether it passed, and what was found."""
    import json
    passed, message = {"plugin": _ask_plugin, "search": _search}[task](request)
    os.write(answer_fd, json.dumps([passed, message[:_SHOWN]]).encode("ascii"))


def snake_case(name: str) -> str:
    """``TableIsFilled`` as ``table_is_filled``."""
    words = []
    for index, letter in enumerate(name):
        follows = index and (name[index - 1].islower() or name[index + 1:index + 2].islower())
        words.append("_" + letter if letter.isupper() and follows and name[index - 1] != "_" else letter)
    return "".join(words).lower()


# A plugin

def _ask_plugin(request: Dict[str, Any]) -> _Answer:
    path = request["path"]
    try:
        module = _load(path)
        return _judged(_call(_target(module, request["check"], request["plugin"]), request["params"]))
    except _Unusable as error:
        return False, str(error)
    except SystemExit as error:
        return False, "the plugin called sys.exit(%s) instead of answering" % (
            "" if error.code is None else error.code)
    except BaseException as error:  # noqa: BLE001 - whatever the code of others raises means "no"
        return False, "the plugin raised %s: %s%s" % (type(error).__name__, error, _line_of(error, path))


def _load(path: str) -> Any:
    import importlib.util
    sys.dont_write_bytecode = True
    sys.path.append(os.path.dirname(path))
    name = os.path.splitext(os.path.basename(path))[0]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise _Unusable("%s is no Python file" % path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _target(module: Any, check: str, plugin: str) -> Any:
    """The function or class that a check's name means."""
    resolvers = getattr(getattr(module, "DependencyResolver", None), "_resolvers", None)
    if isinstance(resolvers, dict) and check in resolvers:
        return resolvers[check]
    found = getattr(module, check, None)
    if callable(found):
        return found
    classes = [one for one in vars(module).values() if isinstance(one, type) and callable(getattr(one, "check", None))]
    for one in classes:
        snake = snake_case(one.__name__)
        if check in (getattr(one, "name", None), snake, "check_" + snake):
            return one
    if check in (plugin, "check_" + plugin):
        for name in ("check_" + plugin, "PLUGIN_CLASS", "check"):
            if callable(getattr(module, name, None)):
                return getattr(module, name)
        own = [one for one in classes if one.__module__ == module.__name__]
        if len(own) == 1:
            return own[0]
    raise _Unusable("the plugin has no class or function for it")


def _call(target: Any, params: Dict[str, Any]) -> Any:
    """Call a function, or make an object of a class and call its ``check``, with the parameters where they fit."""
    left = dict(params)
    if isinstance(target, type):
        made = _with(target, params, left)
        check = getattr(made, "check", None)
        if not callable(check):
            raise _Unusable("the class %s has no check()" % target.__name__)
        target = check
    elif not callable(target) or callable(getattr(target, "check", None)):
        target = target.check
    found = _with(target, params, left)
    if left:
        raise _Unusable("it takes no parameter %s" % ", ".join('"%s"' % name for name in sorted(left)))
    return found


def _with(target: Callable[..., Any], params: Dict[str, Any], left: Dict[str, Any]) -> Any:
    """Call with those of the parameters that are taken; they are taken out of ``left``."""
    import inspect
    try:
        signature = inspect.signature(target)
    except (TypeError, ValueError):
        return target()  # of C, or without a signature
    kinds = inspect.Parameter
    given: Dict[str, Any] = {}
    positional: List[Any] = []
    named = [one for one in signature.parameters.values() if one.kind not in (kinds.VAR_POSITIONAL, kinds.VAR_KEYWORD)]
    takes_any = any(one.kind == kinds.VAR_KEYWORD for one in signature.parameters.values())
    if takes_any:
        given = dict(params)
    else:
        given = {one.name: params[one.name] for one in named
                 if one.name in params and one.kind != kinds.POSITIONAL_ONLY}
    missing = [one for one in named if one.name not in given and one.default is kinds.empty]
    whole = [one for one in named if one.name == "params" and "params" not in params] or (
        missing if len(missing) == 1 and len(named) == 1 else [])
    if whole:
        # One that takes them all, as an object.
        positional, given = [dict(params)], {}
        if whole[0].name == "params" and whole[0].kind != kinds.POSITIONAL_ONLY:
            positional, given = [], {"params": dict(params)}
            given.update({one.name: params[one.name] for one in named if one.name in params})
        missing = [one for one in missing if one is not whole[0]]
        left.clear()
    if missing:
        raise _Unusable("it needs the parameter %s" % ", ".join('"%s"' % one.name for one in missing))
    for name in given:
        left.pop(name, None)
    return target(*positional, **given)


def _judged(found: Any) -> _Answer:
    """What a plugin gave back, as an answer."""
    message = ""
    if isinstance(found, tuple) and len(found) == 2 and isinstance(found[1], str):
        found, message = found
    if isinstance(found, bool):
        return found, message or ("it gave back %s" % found)
    shown = repr(found)
    raise _Unusable("the plugin gave back %s, which is neither true nor false nor (true or false, message)" % (
        shown if len(shown) <= 100 else shown[:100] + "..."))


def _line_of(error: BaseException, path: str) -> str:
    """The line of the plugin on which it was raised, where it was there."""
    line: Optional[int] = None
    step = error.__traceback__
    while step is not None:
        if step.tb_frame.f_code.co_filename == path:
            line = step.tb_lineno
        step = step.tb_next
    return " (%s, line %d)" % (os.path.basename(path), line) if line is not None else ""


# A regular expression

def _search(request: Dict[str, Any]) -> _Answer:
    """Whether some line of some file matches; where, and how it reads."""
    import re
    pattern = re.compile(request["pattern"])
    for label, path in request["files"]:
        with open(path, "rb") as file:
            number = 1
            while True:
                line = file.readline(_LINE_BYTES)
                if not line:
                    break
                text = line.decode("utf-8", "replace").rstrip("\r\n")
                if pattern.search(text):
                    return True, "%s:%d: %s" % (label, number, text[:200])
                number += line.endswith(b"\n")
    return False, ""
