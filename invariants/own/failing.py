"""Whether the tests of a file can fail at all: what cannot is an accident, and is refused.

Only what the text proves is refused: a constant that is asserted, a comparison whose result is
left lying, an assert that is never reached or whose failure is swallowed. What depends on a value,
on another module or on the machine is taken as it is.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterable, Iterator, Sequence

from invariants.own.names import Function, Names, inside, is_generator
from invariants.own.truth import always, has_check, is_still, never

_PREDICATES = frozenset(
    {f"builtins.{name}" for name in ("all", "any", "bool", "callable", "hasattr")}
    | {"builtins.isinstance", "builtins.issubclass", "math.isclose", "os.access"}
    | {f"os.path.{name}" for name in ("exists", "lexists", "isfile", "isdir", "islink", "ismount")}
    | {f"os.path.{name}" for name in ("isabs", "samefile", "sameopenfile", "samestat")}
)
"""What only answers a question."""

_QUESTIONS = frozenset(
    {"startswith", "endswith", "isdigit", "isdecimal", "isnumeric", "isalpha", "isalnum"}
    | {"isidentifier", "isprintable", "isspace", "islower", "isupper", "istitle", "isascii"}
    | {"isdisjoint", "issubset", "issuperset"}
)
"""Methods of texts and sets that only answer a question."""

_HARMLESS = frozenset(
    {f"builtins.{name}" for name in ("print", "len", "str", "repr", "type", "id", "format")}
    | {f"builtins.{name}" for name in ("list", "dict", "set", "tuple", "frozenset", "range")}
    | {f"builtins.{name}" for name in ("zip", "enumerate", "reversed", "sorted", "abs", "object")}
    | {"os.getenv", "os.system", "subprocess.run", "subprocess.call", "subprocess.Popen"}
    | {"warnings.warn", "traceback.print_exc"}
    | {f"logging.{name}" for name in ("debug", "info", "warning", "error", "exception", "log")}
    | {"logging.getLogger", "contextlib.suppress"}
)
"""What does not fail because of something that a machine is, or is only told of."""

_ENDING = frozenset(
    {"pytest.skip", "pytest.exit", "pytest.fail", "pytest.xfail", "sys.exit", "os._exit"}
    | {"builtins.exit", "builtins.quit"}
)
_FAIL = "pytest.fail"
_ALL = frozenset({"builtins.AssertionError", "builtins.Exception", "builtins.BaseException"})
_EVEN_FAIL = frozenset({"builtins.BaseException", "pytest.fail.Exception"})
_CALLED_BY_PYTEST = ("setup", "teardown")
_LEAVING = ast.Return | ast.Break | ast.Continue


class CannotFail(Exception):
    """A test cannot fail; the text says in which line, why, and what to write instead."""

    def __init__(self, node: ast.stmt | ast.expr | Function, text: str) -> None:
        super().__init__(f"line {node.lineno}: {text}")


def refuse_what_cannot_fail(tree: ast.Module, tests: Iterable[str]) -> None:
    """Raise CannotFail for what in *tree* cannot fail: its *tests*, and what they call."""
    names = Names(tree)
    _File(tree, names).judge(frozenset(tests))


class _File:
    def __init__(self, tree: ast.Module, names: Names) -> None:
        self._tree = tree
        self._names = names
        self._flows: dict[Function, _Flow] = {}
        self._under_way: set[Function] = set()

    def judge(self, tests: frozenset[str]) -> None:
        for owner, function in _owned(self._tree.body, "the file"):
            body = self._tree.body if function is None else function.body
            for node in inside(body):
                self._refuse_sure_assert(node, owner)
            if function is not None:
                self._refuse_left_lying(function, owner)
                self.flow(function).refuse(owner)
                self._refuse_uncalled(function, owner)
        self._refuse_uncalled_helpers(tests)
        for node in self._tree.body:
            if isinstance(node, ast.FunctionDef) and node.name in tests and not self.can_fail(node):
                text = f"{node.name} has nothing that could fail: assert what must hold"
                raise CannotFail(node, text)

    def flow(self, function: Function) -> _Flow:
        """Return what is known of the ways through *function*."""
        if function not in self._flows:
            self._under_way.add(function)
            self._flows[function] = _Flow(function, self._names, self)
            self._under_way.discard(function)
        return self._flows[function]

    def can_fail(self, function: Function) -> bool:
        """Tell whether something that is reached in *function* may fail."""
        if function in self._under_way:
            return True  # it calls itself, by others perhaps: taken as it is
        return self.flow(function).can_fail

    def _refuse_sure_assert(self, node: ast.AST, owner: str) -> None:
        if isinstance(node, ast.Assert) and (sure := always(node.test, self._names)):
            what, instead = sure
            raise CannotFail(node, f"{owner} asserts {what}, which is always true: {instead}")

    def _refuse_left_lying(self, function: Function, owner: str) -> None:
        """Refuse a value that is made by a statement of *function*, and used by nothing."""
        tried: set[int] = set()
        raising: set[int] = set()
        for node in inside(function.body):
            if isinstance(node, ast.Try | ast.TryStar):
                tried |= {id(inner) for inner in inside(node.body)}
            elif isinstance(node, ast.With) and any(
                self._names.called(item.context_expr) == "pytest.raises" for item in node.items
            ):
                raising |= {id(inner) for inner in inside(node.body)}
        for node in inside(function.body):
            value = _value(node, self._names)
            if value is None or id(node) in raising:  # there, that it raises is what is asserted
                continue
            what = self._left_lying(value)
            if what and not (id(node) in tried and isinstance(value, ast.Name | ast.Attribute)):
                raise CannotFail(value, f"{owner} {what}")

    def _left_lying(self, node: ast.expr) -> str:
        """Say what is lost if nothing uses the value of *node*; nothing if that may be meant."""
        compares = "compares without an assert: it could not fail"
        asks = "asks, and nothing uses the answer: write assert in front of it"
        match node:
            case ast.Compare() | ast.UnaryOp(ast.Not()):
                return compares
            case ast.BoolOp(_, values):
                return self._left_lying(values[-1]) and compares
            case ast.IfExp(_, body, orelse):
                return self._left_lying(body) or self._left_lying(orelse)
            case ast.Tuple(elts) | ast.List(elts) | ast.Set(elts):
                return next(filter(None, map(self._left_lying, elts)), "")
            case ast.ListComp(elt) | ast.SetComp(elt):
                return compares if self._left_lying(elt) == compares else ""
            case ast.Lambda() | ast.GeneratorExp():
                return "makes a function that nothing calls: write assert all(…), or a loop"
            case ast.Name() | ast.Attribute():
                return "names a value, and nothing uses it: write assert in front, or call it"
            case ast.JoinedStr() if is_still(node):
                return "makes a value, and nothing uses it: write assert in front"
            case ast.Call(ast.Attribute(_, attr)) if attr in _QUESTIONS:
                return asks
            case ast.Call():
                return self._left_by_call(node, asks)
        return ""

    def _left_by_call(self, node: ast.Call, asks: str) -> str:
        called, function = self._names.called(node), self._names.function(node)
        if called in _PREDICATES:
            inner = [*node.args, *(word.value for word in node.keywords)]
            calls = (one for arg in inner for one in ast.walk(arg) if isinstance(one, ast.Call))
            return asks if all(map(self._only_asks, calls)) else ""
        if _is_exception(called):
            return "makes an exception and does not raise it: write raise in front"
        if called in ("pytest.raises", "pytest.warns") and len(node.args) + len(node.keywords) < 2:
            return f"calls {called} without a block: write with in front, and what must raise below"
        if function is None:
            return ""
        if is_generator(function):
            return f"calls {function.name}, which does not run by that: iterate over it, or run it"
        returns = [one.value for one in inside(function.body) if isinstance(one, ast.Return)]
        if any(value is not None for value in returns) and not self.can_fail(function):
            return f"calls {function.name}, and nothing uses what it returns: write assert in front"
        return ""

    def _only_asks(self, node: ast.Call) -> bool:
        called = self._names.called(node)
        if isinstance(node.func, ast.Attribute) and node.func.attr in _QUESTIONS:
            return True
        return called in _PREDICATES or called in _HARMLESS

    def _refuse_uncalled(self, function: Function, owner: str) -> None:
        """Refuse asserts in a function within *function* that nothing there calls."""
        for inner in inside(function.body):
            if not isinstance(inner, Function) or inner.decorator_list or not _fails(inner):
                continue
            used = any(
                isinstance(node, ast.Name)
                and node.id == inner.name
                and isinstance(node.ctx, ast.Load)
                for node in _outside(function.body, inner)
            )
            if not used and not self._names.are_looked_up:
                text = f"{inner.name} within {owner} is never called, and so its assert is never"
                raise CannotFail(inner, f"{text} reached: call it")

    def _refuse_uncalled_helpers(self, tests: frozenset[str]) -> None:
        """Refuse asserts in a function of the file that neither pytest nor anything else calls."""
        if self._names.are_looked_up:
            return
        top = {node.name: node for node in self._tree.body if isinstance(node, Function)}
        left = [node for node in self._tree.body if not isinstance(node, Function)]
        reached: list[ast.AST] = [*left]
        for name, node in top.items():
            known = name in tests or name.startswith(_CALLED_BY_PYTEST)
            reached += [node] if known or node.decorator_list else [*_defaults(node)]
        seen: set[str] = set()
        while reached:
            for name in _loaded(reached.pop()) - seen:
                seen.add(name)
                if name in top:
                    reached.append(top[name])
        for name, node in top.items():
            known = name in tests or name in seen or name.startswith(_CALLED_BY_PYTEST)
            if not known and not node.decorator_list and _fails(node):
                text = f"nothing calls {name}, and so its assert is never reached"
                raise CannotFail(node, f"{text}: name it test_{name}, or take it out")


class _Flow:
    """The ways through one function: what is never reached, and what can fail on the others."""

    def __init__(self, function: Function, names: Names, file: _File) -> None:
        self.can_fail = False
        self._names = names
        self._file = file
        self._dead: ast.AST | None = None
        self._swallowed: tuple[ast.AST, str] | None = None
        self._block(function.body, quiet=0)

    def refuse(self, owner: str) -> None:
        """Raise CannotFail for an assert that is never reached, or whose failure is swallowed."""
        if isinstance(self._dead, ast.stmt | ast.expr):
            text = f"{owner} has an assert that is never reached: take it out, or what ends the"
            raise CannotFail(self._dead, f"{text} test before it")
        if self._swallowed is not None and isinstance(self._swallowed[0], ast.stmt | ast.expr):
            raise CannotFail(self._swallowed[0], f"{owner} {self._swallowed[1]}")

    def _block(self, body: Sequence[ast.stmt], quiet: int) -> bool:
        """Follow *body*; tell whether its end is reached.

        *quiet* is what is swallowed of what fails in it, as :meth:`_takes` has it.
        """
        live = True
        for one in body:
            if live:
                live = self._statement(one, quiet)
            else:
                self._bury([one])
        return live

    def _bury(self, body: Sequence[ast.stmt]) -> None:
        """Note an assert in *body*, which is never reached.

        What would fail for sure there is meant so: it says that nobody comes there.
        """
        for one in inside(body):
            sure = isinstance(one, ast.Assert) and never(one.test, self._names)
            fails = isinstance(one, ast.Raise) or self._names.called(one) == _FAIL
            if self._dead is None and self._asserts(one) and not (sure or fails):
                self._dead = one

    def _asserts(self, node: ast.AST) -> bool:
        """Tell whether *node* is there to fail: an assert, or what an own function asserts."""
        if isinstance(node, ast.Assert | ast.Raise):
            return True
        if not isinstance(node, ast.Call):
            return False
        function = self._names.function(node)
        return self._names.called(node) == _FAIL or (function is not None and _fails(function))

    def _note(self, node: ast.AST | None, quiet: int) -> None:
        """Note what in the expressions of *node* may fail."""
        if node is not None and quiet < 2 and not self.can_fail:
            self.can_fail = any(map(self._may_fail, inside([node])))

    def _may_fail(self, node: ast.AST) -> bool:
        if isinstance(node, ast.Await):
            return True
        if not isinstance(node, ast.Call):
            return False
        called, function = self._names.called(node), self._names.function(node)
        if function is not None:
            return self._file.can_fail(function)
        if called == "subprocess.run":
            return has_check(node)
        if isinstance(node.func, ast.Attribute) and node.func.attr in _QUESTIONS:
            return False
        return not (called in _PREDICATES or called in _HARMLESS or _is_exception(called))

    def _statement(self, node: ast.stmt, quiet: int) -> bool:
        """Follow one statement; tell whether what comes behind it is reached."""
        match node:
            case ast.If():
                return self._if(node, quiet)
            case ast.While():
                return self._while(node, quiet)
            case ast.For() | ast.AsyncFor():
                return self._for(node, quiet)
            case ast.Try() | ast.TryStar():
                return self._try(node, quiet)
            case ast.With() | ast.AsyncWith():
                return self._with(node, quiet)
            case ast.Match(subject, cases):
                self._note(subject, quiet)
                lives = [self._block(case.body, quiet) for case in cases]
                every = isinstance(cases[-1].pattern, ast.MatchAs) and cases[-1].guard is None
                return any(lives) or not every
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                return True
        return self._simple(node, quiet)

    def _simple(self, node: ast.stmt, quiet: int) -> bool:
        """Follow a statement that holds no others."""
        match node:
            case ast.Raise():
                self.can_fail = self.can_fail or quiet < 2
            case ast.Assert(test):
                self.can_fail = self.can_fail or not (quiet or always(test, self._names))
            case ast.Expr(value):
                subscript = isinstance(value, ast.Subscript)  # of what may not be there
                self.can_fail = self.can_fail or (subscript and quiet < 2)
                self._note(value, quiet)
                return self._names.called(value) not in _ENDING
            case _:
                self._note(node, quiet)
        return not isinstance(node, ast.Raise | _LEAVING)

    def _for(self, node: ast.For | ast.AsyncFor, quiet: int) -> bool:
        self._note(node.iter, quiet)
        if never(node.iter, self._names):
            self._bury(node.body)
        else:
            self._block(node.body, quiet)
        return self._block(node.orelse, quiet)

    def _if(self, node: ast.If, quiet: int) -> bool:
        self._note(node.test, quiet)
        if never(node.test, self._names):
            self._bury(node.body)
            return self._block(node.orelse, quiet)
        if always(node.test, self._names):
            self._bury(node.orelse)
            return self._block(node.body, quiet)
        return bool(self._block(node.body, quiet) | self._block(node.orelse, quiet))

    def _while(self, node: ast.While, quiet: int) -> bool:
        self._note(node.test, quiet)
        if never(node.test, self._names):
            self._bury(node.body)
            return self._block(node.orelse, quiet)
        self._block(node.body, quiet)
        if always(node.test, self._names):
            return any(isinstance(one, ast.Break) for one in inside(node.body))
        self._block(node.orelse, quiet)
        return True

    def _try(self, node: ast.Try | ast.TryStar, quiet: int) -> bool:
        left = next((one for one in inside(node.finalbody) if isinstance(one, ast.Return)), None)
        if left is not None:
            takes, at, where = 2, left.lineno, "returns"
        else:
            silent = [one for one in node.handlers if self._is_silent(one.body)]
            taking = max(silent, key=lambda one: self._takes(one.type), default=None)
            takes = self._takes(taking.type) if taking is not None else 0
            at, where = getattr(taking, "lineno", 0), "takes the failure and goes on"
        failing = self._failing(node.body, takes)
        if failing is not None and not self._shows(node, failing):
            text = f"asserts what cannot fail, since line {at} {where}"
            self._swallow(failing, f"{text}: let it through, or call pytest.fail there")
        behind = quiet if left is None else 2
        live = self._block(node.body, max(quiet, takes)) and self._block(node.orelse, behind)
        for handler in node.handlers:
            live |= self._block(handler.body, behind)
        return self._block(node.finalbody, quiet) and live

    def _failing(self, body: Sequence[ast.stmt], takes: int) -> ast.AST | None:
        """Return the first thing in *body* that is there to fail, if something *takes* that."""
        for one in inside(body):
            if not takes or not self._asserts(one):
                continue
            if isinstance(one, ast.Raise):
                what = one.exc.func if isinstance(one.exc, ast.Call) else one.exc
                if what is None or self._names.dotted(what) != "builtins.AssertionError":
                    continue
            if takes < 2 and self._names.called(one) == _FAIL:
                continue
            return one
        return None

    def _takes(self, kind: ast.expr | None) -> int:
        """Tell what a handler of *kind* takes: 1 a failed assert, 2 what pytest.fail raises too."""
        if kind is None:
            return 2
        kinds = kind.elts if isinstance(kind, ast.Tuple) else [kind]
        names = {self._names.dotted(one) for one in kinds}
        return 2 if names & _EVEN_FAIL else int(bool(names & _ALL))

    def _is_silent(self, body: Sequence[ast.stmt]) -> bool:
        """Tell whether nothing is left of a failure once *body* has been gone through."""
        for one in body:
            match one:
                case ast.Pass() | ast.Continue() | ast.Break() | ast.Return(None):
                    continue
                case ast.Return(ast.Constant()) | ast.Expr(ast.Constant()):
                    continue
                case ast.Expr(ast.Call() as call) if self._is_harmless(call):
                    continue
            return False
        return True

    def _is_harmless(self, call: ast.Call) -> bool:
        return self._names.called(call) in _HARMLESS and not any(
            self._asserts(one) for one in ast.walk(call)
        )

    def _shows(
        self, node: ast.Try | ast.TryStar | ast.With | ast.AsyncWith, failing: ast.AST
    ) -> bool:
        """Tell whether something else happens in *node* if what is *failing* does not."""
        orelse = node.orelse if isinstance(node, ast.Try | ast.TryStar) else []
        if any(not isinstance(one, ast.Pass) for one in orelse):
            return True
        at = getattr(failing, "lineno", 0)
        for one in inside(node.body):
            if not isinstance(one, ast.stmt) or one.lineno < at:
                continue
            if isinstance(one, _LEAVING | ast.Assign | ast.AugAssign | ast.AnnAssign):
                return True
            match one:
                case ast.Expr(ast.Call() as call) if not (
                    self._is_harmless(call) or self._asserts(call)
                ):
                    return True
        return False

    def _with(self, node: ast.With | ast.AsyncWith, quiet: int) -> bool:
        taken = quiet
        for item in node.items:
            call = item.context_expr
            self._note(call, quiet)
            if not isinstance(call, ast.Call):
                continue
            takes = max(map(self._takes, call.args), default=0)
            called, failing = self._names.called(call), self._failing(node.body, takes)
            if called == "contextlib.suppress":
                taken = max(taken, takes)
                if failing is not None and not self._shows(node, failing):
                    text = "asserts where contextlib.suppress takes the failure: leave it out"
                    self._swallow(failing, text)
            elif called == "pytest.raises" and isinstance(failing, ast.Assert):
                text = "asserts below pytest.raises, which turns its failure into a pass: take"
                self._swallow(failing, f"{text} another exception, or move the assert out")
        live = self._block(node.body, taken)
        return live or not any(isinstance(one, _LEAVING) for one in node.body)

    def _swallow(self, node: ast.AST, text: str) -> None:
        if self._swallowed is None:
            self._swallowed = (node, text)


def _owned(
    body: Sequence[ast.stmt], owner: str, function: Function | None = None
) -> Iterator[tuple[str, Function | None]]:
    """Yield each function of *body* with its name, the file itself first."""
    yield owner, function
    for node in ast.walk(ast.Module(list(body), [])):
        if isinstance(node, Function):
            yield node.name, node


def _value(node: ast.AST, names: Names) -> ast.expr | None:
    """Return the expression whose value the statement *node* lets nothing use."""
    match node:
        case ast.Expr(ast.NamedExpr(ast.Name(name), value)) if not names.loaded[name]:
            return value
        case ast.Expr(value):
            return value
        case ast.Assign([ast.Name(name)], value) if not names.loaded[name]:
            return value if isinstance(value, ast.Compare | ast.BoolOp | ast.UnaryOp) else None
    return None


def _is_exception(dotted: str) -> bool:
    kind = getattr(builtins, dotted.removeprefix("builtins."), None)
    return (
        dotted.startswith("builtins.")
        and isinstance(kind, type)
        and issubclass(kind, BaseException)
    )


def _fails(function: Function) -> bool:
    """Tell whether *function* asserts something itself."""
    return any(isinstance(one, ast.Assert) for one in inside(function.body))


def _loaded(node: ast.AST) -> set[str]:
    return {
        one.id
        for one in ast.walk(node)
        if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Load)
    }


def _defaults(node: Function) -> list[ast.expr]:
    return [one for one in (*node.args.defaults, *node.args.kw_defaults) if one is not None]


def _outside(body: Sequence[ast.stmt], without: ast.AST) -> Iterator[ast.AST]:
    """Yield all nodes of *body* but those in *without*."""
    left: list[ast.AST] = list(body)
    while left:
        one = left.pop()
        if one is not without:
            yield one
            left += ast.iter_child_nodes(one)
