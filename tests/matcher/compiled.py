"""What the compiler made of a kernel: its optimized LLVM functions, without numba's wrappers for calls from Python."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from llvmlite import binding

_WRAPPERS = ("_ZN7cpython", "cfunc.")
_ORDER = re.compile(r"\b(monotonic|acquire|release|acq_rel|seq_cst)\b")


def bodies(dispatcher: Any) -> list[binding.ValueRef]:
    """The functions of every compiled variant of a kernel, and of the kernels that it calls."""
    found = []
    for overload in dispatcher.overloads.values():
        module = overload.library._get_module_for_linking()
        found += [function for function in module.functions if not function.is_declaration and not function.name.startswith(_WRAPPERS)]
    return found


def instructions(functions: list[binding.ValueRef]) -> Iterator[binding.ValueRef]:
    """Every instruction."""
    for function in functions:
        for block in function.blocks:
            yield from block.instructions


def callees(functions: list[binding.ValueRef]) -> set[str]:
    """What is called, apart from these functions themselves. A call through a pointer has no name."""
    own = {function.name for function in functions}
    return {list(call.operands)[-1].name for call in instructions(functions) if call.opcode in ("call", "invoke")} - own


def orders_of_memory(functions: list[binding.ValueRef]) -> list[str]:
    """Fences, atomic loads, stores and exchanges, each as "what order"."""
    found = []
    for instruction in instructions(functions):
        text = str(instruction)
        if order := _ORDER.findall(text):
            what = text.partition("atomicrmw")[2].split(maxsplit=1)[0] if instruction.opcode == "atomicrmw" else instruction.opcode
            found.append(f"{what} {order[-1]}")
    return found


def assembly(dispatcher: Any) -> str:
    """The machine code of all variants, as text."""
    libraries = [overload.library for overload in dispatcher.overloads.values()]
    return "\n".join(library._codegen._tm.emit_assembly(library._get_module_for_linking()) for library in libraries)
