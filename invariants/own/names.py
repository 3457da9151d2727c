"""What the names in a file of own invariants stand for, as far as its text tells."""

from __future__ import annotations

import ast
import builtins
from collections import Counter
from collections.abc import Iterator, Sequence

Function = ast.FunctionDef | ast.AsyncFunctionDef
SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
_NAMED = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
_NAMING = ast.ExceptHandler | ast.MatchAs | ast.MatchStar
_INDIRECT = frozenset({"globals", "locals", "vars", "eval", "exec", "getattr"})


class Names:
    """The names of one file: only what is bound once, and so cannot be something else, is known."""

    def __init__(self, tree: ast.Module) -> None:
        nodes = list(ast.walk(tree))
        bound = Counter(name for node in nodes for name in bindings(node))
        self._bound = frozenset(bound)
        imports = Counter(
            name for node in nodes if isinstance(node, ast.alias) for name in bindings(node)
        )
        self.loaded = Counter(
            node.id
            for node in nodes
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
        )
        """How often each name is read."""
        self.functions: dict[str, Function] = {}
        """The functions by their names, but for methods and what a decorator may have replaced."""
        self.classes: frozenset[str] = frozenset()
        self._imported: dict[str, str] = {}
        self._all_are_known = bound["*"] == 0  # else a module's names, whichever they are, are here
        methods = {id(one) for node in nodes if isinstance(node, ast.ClassDef) for one in node.body}
        for node in nodes:
            if isinstance(node, Function) and bound[node.name] == 1:
                if not node.decorator_list and id(node) not in methods:
                    self.functions[node.name] = node
            elif isinstance(node, ast.ClassDef) and bound[node.name] == 1:
                self.classes |= {node.name}
            elif isinstance(node, ast.Import | ast.ImportFrom):
                self._imported |= {
                    name: whole for name, whole in _imported(node) if bound[name] == imports[name]
                }

    @property
    def are_looked_up(self) -> bool:
        """Tell whether something in the file may be called by a name that is made up as it runs."""
        return not _INDIRECT.isdisjoint(self.loaded)

    def dotted(self, node: ast.expr) -> str:
        """Return the full name of what *node* names, say ``os.path.exists``; empty if not known."""
        if isinstance(node, ast.Attribute):
            above = self.dotted(node.value)
            return f"{above}.{node.attr}" if above else ""
        if not isinstance(node, ast.Name):
            return ""
        if node.id in self._imported:
            return self._imported[node.id]
        if node.id in self._bound or not self._all_are_known:
            return ""
        return f"builtins.{node.id}" if hasattr(builtins, node.id) else ""

    def called(self, node: ast.AST) -> str:
        """Return the full name of what the call *node* calls; empty if it is none, or not known."""
        return self.dotted(node.func) if isinstance(node, ast.Call) else ""

    def function(self, node: ast.AST) -> Function | None:
        """Return the file's own function that the call *node* calls, if it is known."""
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            return self.functions.get(node.func.id)
        return None


def _imported(node: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, str]]:
    """Yield the names that an import binds, each with the full name of what it is."""
    for alias in node.names:
        name = alias.asname or alias.name.partition(".")[0]
        if isinstance(node, ast.ImportFrom):
            yield name, f"{node.module}.{alias.name}"
        else:
            yield name, alias.name if alias.asname else name


def bindings(node: ast.AST) -> Iterator[str]:
    """Yield the names that a node binds or deletes, of functions and classes too."""
    if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
        yield node.id
    elif isinstance(node, ast.alias):
        yield node.asname or node.name.partition(".")[0]
    elif isinstance(node, ast.arg):
        yield node.arg
    elif isinstance(node, _NAMED):
        yield node.name
    elif isinstance(node, _NAMING):
        yield from () if node.name is None else (node.name,)
    elif isinstance(node, ast.MatchMapping) and node.rest:
        yield node.rest


def inside(nodes: Sequence[ast.AST]) -> Iterator[ast.AST]:
    """Yield *nodes* and what is in them, in the order of the text.

    What is in the functions and classes among them is left out.
    """
    left = list(reversed(nodes))
    while left:
        one = left.pop()
        yield one
        if not isinstance(one, SCOPES):
            left += reversed(list(ast.iter_child_nodes(one)))


def is_generator(node: Function) -> bool:
    """Tell whether a call of *node* runs nothing of it before it is iterated over, or awaited."""
    yields = any(isinstance(one, ast.Yield | ast.YieldFrom) for one in inside(node.body))
    return yields or isinstance(node, ast.AsyncFunctionDef)
