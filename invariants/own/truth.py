"""Which expressions are always true, or never: an assert of such a one says nothing."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from typing import Any

from invariants.own.names import Names, is_generator

_METHODS = {"account": ("entry",), "inventory": ("account",)}
"""Methods of what a test is given."""

_ALWAYS = {
    "builtins.map": "put all(…) around it",
    "builtins.filter": "put any(…) around it",
    "builtins.zip": "put all(…) around it",
    "builtins.enumerate": "put all(…) around it",
    "builtins.reversed": "put all(…) around it",
    "builtins.iter": "put all(…) around it",
    "builtins.object": "write what must hold",
    "os.scandir": "put any(…) around it",
    "os.walk": "put any(…) around it",
    "glob.iglob": "put any(…) around it",
    "pathlib.Path": "write assert path.exists()",
    "pathlib.PurePath": "compare it",
    "subprocess.run": "compare its returncode, or pass check=True",
    "subprocess.Popen": "compare its returncode",
    "re.compile": "call its search",
}
"""What of the standard library makes a thing that is true whatever it is about, and the remedy."""

_FUNCTIONS = ("os.path.", "shutil.", "os.access", "os.getenv", "os.getloadavg")
_COMPARED: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Is: operator.eq,
    ast.IsNot: operator.ne,
    ast.In: lambda one, many: one in many,
    ast.NotIn: lambda one, many: one not in many,
}


class Sure(tuple[str, str]):
    """What an expression is that is always true, and what to write instead."""

    __slots__ = ()


_NOT = Sure(("not of what is never true", "call it, or write what must hold"))
_COMPARISON = Sure(("a comparison that comes out the same each time", "write what must hold"))


def always(node: ast.expr, names: Names) -> Sure | None:
    """Return what *node* is if it is true whatever the machine is like, else None."""
    match node:
        case ast.UnaryOp(ast.Not(), operand):
            return _NOT if never(operand, names) else None
        case ast.BinOp(left, op, right):
            return _made(left, op, right, names)
        case ast.NamedExpr(_, value):
            return always(value, names)
        case ast.IfExp(_, body, orelse):
            return always(body, names) and always(orelse, names)
        case ast.BoolOp(op, values):
            every = [always(one, names) for one in values]
            if isinstance(op, ast.And):
                return every[-1] if all(every) else None
            sure = next(filter(None, every), None)
            return sure and Sure((f"… or {sure[0]}", "write out each comparison"))
        case ast.Compare():
            return _COMPARISON if _compared(node, names) is True else None
        case ast.Call():
            return _result(node, names)
        case ast.Name() | ast.Attribute():
            return _named(node, names)
    return _written(node)


def _written(node: ast.expr) -> Sure | None:
    """Judge what stands in the text as it is: a constant, or what holds something for sure."""
    match node:
        case ast.Constant(value):
            return Sure(("a constant", "write what must hold")) if value else None
        case ast.Tuple(elts):
            what = 'leave out the parentheses: assert condition, "message"'
            return Sure(("a tuple", what)) if _holds(elts) else None
        case ast.List(elts) | ast.Set(elts):
            return Sure(("a list", "compare it")) if _holds(elts) else None
        case ast.Dict(keys):
            return Sure(("a dict", "compare it")) if any(keys) else None
        case ast.Lambda():
            return Sure(("a lambda", "call it"))
        case ast.GeneratorExp():
            return Sure(("a generator", "put all(…) around it"))
        case ast.JoinedStr():
            return Sure(("a text", 'write assert condition, f"…"'))
    return None


def never(node: ast.expr, names: Names) -> bool:
    """Tell whether *node* is false whatever the machine is like."""
    match node:
        case ast.Constant(value):
            return not value
        case ast.Tuple(elts) | ast.List(elts):
            return not elts
        case ast.Dict(keys):
            return not keys
        case ast.UnaryOp(ast.Not(), operand):
            return always(operand, names) is not None
        case ast.BoolOp(ast.And(), values):
            return any(never(one, names) for one in values)
        case ast.BoolOp(ast.Or(), values):
            return all(never(one, names) for one in values)
        case ast.Compare():
            return _compared(node, names) is False
        case ast.Name() | ast.Attribute():
            return names.dotted(node) == "typing.TYPE_CHECKING"
    return False


def _holds(elements: list[ast.expr]) -> bool:
    return any(not isinstance(one, ast.Starred) for one in elements)


def _made(left: ast.expr, op: ast.operator, right: ast.expr, names: Names) -> Sure | None:
    """Judge what an operator makes: a text of a text with something in it, a path of a path."""
    texts = [one for one in (left, right) if isinstance(one, ast.Constant | ast.JoinedStr)]
    words = [one for one in texts if isinstance(one, ast.JoinedStr) or isinstance(one.value, str)]
    if isinstance(op, ast.Mod) and left in words and always(left, names):
        return Sure(("a text", 'write assert condition, "…" % …'))
    if isinstance(op, ast.Add) and any(always(one, names) for one in words):
        return Sure(("a text", 'write assert condition, "…"'))
    if isinstance(op, ast.Div) and names.called(left) == "pathlib.Path":
        return Sure(("a path", _ALWAYS["pathlib.Path"]))
    return None


def _result(node: ast.Call, names: Names) -> Sure | None:
    called, function = names.called(node), names.function(node)
    if function is not None and is_generator(function):
        return Sure(
            (f"{function.name}(…), which does not run by that", "iterate over it, or run it")
        )
    match node.func:
        case ast.Attribute(ast.Constant(str(text)), "format") if text:
            return Sure(("a text", 'write assert condition, "…"'))
    if called == "subprocess.run" and has_check(node):
        return None
    if (remedy := _ALWAYS.get(called)) is not None:
        return Sure((f"what {called.removeprefix('builtins.')} returns", remedy))
    return None


def has_check(node: ast.Call) -> bool:
    """Tell whether a call may ask that an exit code other than 0 is an error."""
    return any(
        word.arg is None or (word.arg == "check" and not _is_false(word.value))
        for word in node.keywords
    )


def _is_false(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and not node.value


def _named(node: ast.Name | ast.Attribute, names: Names) -> Sure | None:
    """Judge a name: of a function, a class or a module it is true, called or not."""
    sure = Sure(("a function that is not called", "call it"))
    dotted = names.dotted(node)
    if isinstance(node, ast.Name):
        if node.id == "__debug__":
            return Sure(("a constant", "write what must hold"))
        known = node.id in names.functions or node.id in names.classes
        return sure if known or dotted.startswith(("builtins.", *_FUNCTIONS)) else None
    if dotted.startswith(_FUNCTIONS) and not dotted.rpartition(".")[2].isupper():
        return sure
    subject = node.value.id if isinstance(node.value, ast.Name) else ""
    return sure if node.attr in _METHODS.get(subject, ()) else None


def _compared(node: ast.Compare, names: Names) -> bool | None:
    """Return how a comparison comes out, None if that depends on something."""
    if len(node.ops) != 1:
        return None
    left, op, right = node.left, node.ops[0], node.comparators[0]
    try:
        one, other = ast.literal_eval(left), ast.literal_eval(right)
        return bool(_COMPARED[type(op)](one, other))
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        pass
    same = isinstance(op, ast.Eq | ast.Is | ast.LtE | ast.GtE)
    if same and ast.dump(left) == ast.dump(right) and is_still(left):
        return True
    match left, op, right:
        case ast.Call(), ast.GtE(), ast.Constant(0) if names.called(left) == "builtins.len":
            return True
        case ast.Call(), ast.Gt(), ast.UnaryOp(ast.USub(), ast.Constant()) if (
            names.called(left) == "builtins.len"
        ):
            return True
    return None


def is_still(node: ast.expr) -> bool:
    """Tell whether nothing is done by evaluating *node*: nothing is called, awaited or bound."""
    doing = ast.Call | ast.Await | ast.Yield | ast.YieldFrom | ast.NamedExpr
    return not any(isinstance(one, doing) for one in ast.walk(node))
