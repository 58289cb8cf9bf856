"""Every public module, class and function says what it is, and the count is in the open."""
import ast
import os
from typing import Iterator, List, Tuple, Union

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FOLDERS = ("api", "config", "db", "executioner", "executioner_logging", "jobs", "monitoring", "scripts", "benchmarks")

Documented = Union[ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef]


def product_files() -> List[str]:
    """Every Python file that is not a test."""
    found = [os.path.join(ROOT, "setup.py")]
    for folder in FOLDERS:
        for place, _, names in sorted(os.walk(os.path.join(ROOT, folder))):
            found += [os.path.join(place, name) for name in sorted(names) if name.endswith(".py")]
    return found


def public(tree: ast.Module, path: str) -> Iterator[Tuple[str, Documented]]:
    """The module, and each class and function that can be reached by names without an underscore."""
    yield path, tree

    def walk(body: List[ast.stmt], inside: str) -> Iterator[Tuple[str, Documented]]:
        for node in body:
            if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                if node.name.startswith("_"):
                    continue
                yield "%s:%d %s%s" % (path, node.lineno, inside, node.name), node
                if isinstance(node, ast.ClassDef):
                    for found in walk(node.body, node.name + "."):
                        yield found
            elif isinstance(node, (ast.If, ast.Try)):
                for found in walk(node.body + node.orelse, inside):
                    yield found
                for handler in getattr(node, "handlers", ()):
                    for found in walk(handler.body, inside):
                        yield found

    for found in walk(tree.body, ""):
        yield found


def test_everything_public_is_documented() -> None:
    count, mute, crooked = 0, [], []
    for path in product_files():
        with open(path, encoding="utf-8") as source:
            tree = ast.parse(source.read(), path)
        for place, node in public(tree, os.path.relpath(path, ROOT)):
            text = ast.get_docstring(node)
            count += 1
            if not text:
                mute.append(place)
            elif not text.split("\n\n")[0].rstrip().endswith((".", ":", "?", "!")):
                crooked.append("%s: %r" % (place, text.splitlines()[0]))
    print("%d of %d public names have a docstring" % (count - len(mute), count))
    assert count > 100
    assert not mute, "without a docstring:\n" + "\n".join(mute)
    assert not crooked, "the first paragraph is no sentence:\n" + "\n".join(crooked)
