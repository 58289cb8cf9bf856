"""Asks a check that a plugin adds: in a process of its own, which may do what it likes."""
from typing import Dict

from jobs.checks.apart import run_apart
from jobs.checks.result import CheckContext, CheckResult
from jobs.models import Check

__all__ = ["ask_plugin"]


def ask_plugin(check: Check, context: CheckContext) -> CheckResult:
    """The answer of a plugin; one that raises, hangs, exits or answers nonsense says no."""
    plugin = check.plugin
    assert plugin is not None
    request: Dict[str, object] = {"path": plugin.path, "plugin": plugin.name, "check": check.name,
                                  "params": check.params}
    passed, found = run_apart("plugin", request, context.working_dir, context.environment)
    return CheckResult(check.name, passed, found if passed or plugin.name == check.name else
                       "%s (plugin %s)" % (found, plugin.name))
