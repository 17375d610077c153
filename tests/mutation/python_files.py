"""Mutants of the Python of the money core: of function bodies, and of the constants of modules."""

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.mutation.mutants import Mutant, numbered, one_line
from tests.mutation.sql_files import ROOT

FILES = (
    "ledger/posting.py",
    "ledger/posting/*.py",
    "ledger/steps.py",
    "ledger/steps/*.py",
    "ledger/services/*.py",
    "ledger/fees.py",
    "ledger/reconciliation.py",
    "wallet_project/utils/money.py",
)
_COMPARISONS: dict[type[ast.cmpop], str] = {
    ast.Eq: "!=",
    ast.NotEq: "==",
    ast.Lt: "<=",
    ast.LtE: "<",
    ast.Gt: ">=",
    ast.GtE: ">",
    ast.Is: "is not",
    ast.IsNot: "is",
    ast.In: "not in",
    ast.NotIn: "in",
}
_SIGNS: dict[type[ast.operator], str] = {
    ast.Add: "-",
    ast.Sub: "+",
    ast.Mult: "//",
    ast.FloorDiv: "*",
    ast.Div: "*",
    ast.Mod: "+",
    ast.Pow: "*",
}
_Change = tuple[ast.AST, str, str]


def mutants_of_files(root: Path = ROOT) -> list[Mutant]:
    files = sorted({path for pattern in FILES for path in root.glob(pattern)})
    return [mutant for path in files for mutant in mutants_of(path.read_text(), str(path.relative_to(root)))]


def mutants_of(source: str, file: str) -> list[Mutant]:
    return numbered(_mutants(source, file))


def _mutants(source: str, file: str) -> Iterator[Mutant]:
    places = _Places(source)
    for name, part in _functions(ast.parse(source)):
        for node, operator, text in _changes(part):
            start, end = places.span(node)
            changed = source[:start] + text + source[end:]
            if not _compiles(changed):
                continue
            first = source.rfind("\n", 0, start) + 1
            last = source.find("\n", end)
            yield Mutant(
                area="python",
                file=file,
                place=name,
                operator=operator,
                line=getattr(node, "lineno", 0),
                before=one_line(source[first:last]),
                after=one_line(source[first:start] + text + source[end:last]),
                whole=ast.get_source_segment(source, part) or "",
                source=changed,
            )


def _functions(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef]]:
    """Functions of the module and methods of its classes, by qualified name."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield node.name, node
        elif isinstance(node, ast.ClassDef):
            for method in node.body:
                if isinstance(method, ast.FunctionDef):
                    yield f"{node.name}.{method.name}", method


def _changes(function: ast.FunctionDef) -> Iterator[_Change]:
    for statement in function.body:
        if not _is_docstring(statement):
            yield from _of(statement)


def _of(node: ast.AST) -> Iterator[_Change]:
    yield from _statement(node)
    yield from _expression(node)
    for child in ast.iter_child_nodes(node):
        # Places inside of an f-string are not to be relied on, an assertion states what holds anyway, and nobody runs
        # the annotation of a local name.
        if not isinstance(child, ast.JoinedStr | ast.Assert) and child is not getattr(node, "annotation", None):
            yield from _of(child)


def _statement(node: ast.AST) -> Iterator[_Change]:
    match node:
        case ast.Expr() if not _is_docstring(node):
            yield node, "statement removed", "pass"
        case ast.Assign() | ast.AugAssign() | ast.Raise():
            yield node, "statement removed", "pass"
        case ast.Return(value=ast.expr() as value) if not (isinstance(value, ast.Constant) and value.value is None):
            yield value, "nothing returned", "None"
        case ast.Return() | ast.Continue() | ast.Break():
            yield node, "statement removed", "pass"
        case ast.If() | ast.IfExp() | ast.While():
            yield node.test, "condition dropped", "False"
            yield node.test, "condition dropped", "True"
    if isinstance(node, ast.comprehension):
        for condition in node.ifs:
            yield condition, "condition dropped", "True"


def _expression(node: ast.AST) -> Iterator[_Change]:
    match node:
        case ast.BoolOp():
            for value in node.values:
                yield value, "term dropped", "True" if isinstance(node.op, ast.And) else "False"
        case ast.Compare(ops=[operator]) if type(operator) in _COMPARISONS:
            turned = f"{ast.unparse(node.left)} {_COMPARISONS[type(operator)]} {ast.unparse(node.comparators[0])}"
            yield node, "comparison turned", f"({turned})"
        case ast.BinOp() if type(node.op) in _SIGNS:
            left, right = ast.unparse(node.left), ast.unparse(node.right)
            yield node, "sign turned", f"(({left}) {_SIGNS[type(node.op)]} ({right}))"
        case ast.UnaryOp(op=ast.Not() | ast.USub()):
            yield node, "negation dropped", f"({ast.unparse(node.operand)})"
        case ast.Call() if node.keywords:
            yield from _without_keyword(node)
        case ast.Constant(value=bool() as value):
            yield node, "constant changed", str(not value)
        case ast.Constant(value=int() as value):
            yield node, "constant changed", str(value + 1)
        case ast.Constant(value=str()):
            yield node, "constant changed", "'mutant'"


def _without_keyword(node: ast.Call) -> Iterator[_Change]:
    for keyword in node.keywords:
        if keyword.arg is not None:
            yield keyword.value, "argument dropped", "None"


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _compiles(source: str) -> bool:
    try:
        ast.parse(source)
    except SyntaxError:
        return False
    return True


class _Places:
    """Where a node lies in the text: Python counts columns in bytes of UTF-8."""

    def __init__(self, source: str) -> None:
        self._lines = source.splitlines(keepends=True)
        self._starts = [0]
        for line in self._lines:
            self._starts.append(self._starts[-1] + len(line))

    def span(self, node: ast.AST) -> tuple[int, int]:
        return (
            self._place(node.lineno, node.col_offset),  # type: ignore[attr-defined]
            self._place(node.end_lineno, node.end_col_offset),  # type: ignore[attr-defined]
        )

    def _place(self, line: int, column: int) -> int:
        return self._starts[line - 1] + len(self._lines[line - 1].encode()[:column].decode())
