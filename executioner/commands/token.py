"""``token``: who may ask the HTTP API, and for what."""
from executioner.console import Console
from executioner.home import locate
from executioner.options import Arguments, CommandSpec, Option, did_you_mean, usage_error
from jobs.exceptions import EXIT_OK

__all__ = ["SPEC", "execute"]

SPEC = CommandSpec(
    "create|list|revoke [NAME]", 1, 2,
    (Option("--role", "with create: read (where not given) or operate: start, cancel, resume, hold, mark", "ROLE"),
     Option("--json", "one JSON document on standard output")),
    "Makes, lists and revokes the tokens of the HTTP API. A token is shown once, when it is made; what is kept is\n"
    "its hash, in a file of the home that only its owner may read. What somebody does with a token is recorded by its\n"
    "name.",
    (("executioner token create grafana", "may read"),
     ("executioner token create alice --role operate", "may start, cancel, resume, hold and mark, too"),
     ("executioner token revoke grafana", "from now on it opens nothing")))

_VERBS = ("create", "list", "revoke")


def execute(arguments: Arguments, console: Console) -> int:
    """Make, list or revoke."""
    from api.tokens import READ, TokenStore
    from executioner.render import json_text, table

    verb = arguments.operands[0]
    name = arguments.operands[1] if len(arguments.operands) > 1 else None
    if verb not in _VERBS:
        raise usage_error("token: expected create, list or revoke, found %s%s" % (verb, did_you_mean(verb, _VERBS)))
    if (name is None) != (verb == "list"):
        raise usage_error("token %s: %s" % (verb, "NAME is missing" if name is None else "unexpected argument " + name),
                          "usage: executioner token create NAME [--role read|operate], list, revoke NAME")
    if verb != "create" and arguments.flag("role"):
        raise usage_error("--role goes with create")
    home = locate(arguments.one("home"), console.environ)
    if verb == "create":
        home.create()
    elif home.exists():
        home.check()
    store = TokenStore(home.tokens)
    if verb == "list":
        tokens = store.all()
        if arguments.flag("json"):
            console.out.line(json_text([{"name": token.name, "role": token.role, "created": token.created}
                                        for token in tokens]))
        elif not tokens:
            console.err.line("no tokens in %s" % home.path)
        else:
            for line in table(("NAME", "ROLE", "CREATED"), [(one.name, one.role, one.created) for one in tokens]):
                console.out.line(line)
        return EXIT_OK
    assert name is not None
    if verb == "revoke":
        store.revoke(name)
        if arguments.flag("json"):
            console.out.line(json_text({"name": name, "revoked": True}))
        else:
            console.out.line("token %s opens nothing any more" % name)
        return EXIT_OK
    from jobs.system import SystemClock
    role = arguments.one("role") or READ
    secret = store.create(name, role, SystemClock().wall())
    if arguments.flag("json"):
        console.out.line(json_text({"name": name, "role": role, "token": secret}))
    else:
        console.out.line(secret)
        console.err.line("shown only this once; send it as: Authorization: Bearer TOKEN")
    return EXIT_OK
