"""Puts a mutated function into the modules that are loaded already: whoever imported it has the mutant too."""

import ast
import importlib
import inspect
from types import CodeType, FunctionType
from typing import Any

from tests.mutation.mutants import Mutant


def install(mutant: Mutant) -> None:
    module = importlib.import_module(mutant.file.removesuffix(".py").removesuffix("/__init__").replace("/", "."))
    compiled = compile(ast.parse(mutant.source), str(module.__file__), "exec", dont_inherit=True)
    code: CodeType = compiled
    found: Any = module
    for part in mutant.place.split("."):
        code = next(c for c in code.co_consts if isinstance(c, CodeType) and c.co_name == part)
        found = inspect.getattr_static(found, part)
    function = _unwrapped(found)
    if function.__code__.co_freevars != code.co_freevars:
        raise ValueError(f"{mutant.place} closes over other names")
    function.__code__ = code


def _unwrapped(found: Any) -> FunctionType:
    """Below static and class methods, properties and decorators that keep `__wrapped__`."""
    while not isinstance(found, FunctionType) or hasattr(found, "__wrapped__"):
        if isinstance(found, property):
            found = found.fget
        elif isinstance(found, staticmethod | classmethod):
            found = found.__func__
        else:
            found = found.__wrapped__
    return found
