"""The layout as a Rust module, without any crate.

Words are constants and not enums: an enum with a number that is none of its own is undefined behaviour, and memory may hold any byte.
"""

from __future__ import annotations

from collections.abc import Iterator

from tools.inspect_segment.header import ABOUT, COUNTS, Box, Constant, Field, Here, boxes, constants, snake, structs, words

_PLACE = """\
fn up(end: u64, step: u64) -> u64 {
    end.div_ceil(step) * step
}

fn place(end: &mut u64, step: u64, count: u64, size: usize) -> Region {
    let offset = up(*end, step);
    *end = offset + count * size as u64;
    Region { offset, count, stride: 0 }
}
"""
_TYPES = {"i8": "i64", "u8": "u64", "u2": "u16", "u1": "u8", "text": "u8"}


def rust_header(here: Here | None = None) -> str:
    """The whole file."""
    return "\n".join([*_top(), *_constants(), *_words(), *_structs(), *_layout(), *(_here(here) if here else [])])


def _top() -> Iterator[str]:
    yield from (f"//! {line}".rstrip() for line in ABOUT.format(language="rust").splitlines())
    yield "//!"
    yield "//! A field that others write is loaded with `AtomicI64::from_ptr(&raw const field as *mut i64).load(…)`: a plain load may be hoisted."
    yield from ("#![allow(dead_code, unused_parens)]", "", "use std::mem::{offset_of, size_of};", "")


def _constants() -> Iterator[str]:
    yield from (_constant(constant) for constant in constants())
    yield ""


def _constant(constant: Constant) -> str:
    text = f"{constant.value:#x}" if constant.name in ("MAGIC", "LAYOUT_DIGEST") else str(constant.value)
    return f"pub const {constant.name}: i64 = {text};"


def _words() -> Iterator[str]:
    for enumeration in words():
        yield f"/// {enumeration.comment}"
        yield f"pub mod {snake(enumeration.name)} {{"
        yield from (f"    pub const {name}: u8 = {number};" for name, number in enumeration.members.items())
        yield from ("}", "")


def _structs() -> Iterator[str]:
    for struct in structs():
        name = _camel(struct.name)
        if struct.comment:
            yield f"/// {struct.comment}"
        yield from ("#[repr(C)]", "#[derive(Clone, Copy, Debug)]", f"pub struct {name} {{")
        for field in struct.fields:
            yield from _field(field)
        yield "}"
        yield f"const _: () = assert!(size_of::<{name}>() == {struct.size});"
        yield from (f"const _: () = assert!(offset_of!({name}, {field.name}) == {field.offset});" for field in struct.fields)
        yield ""


def _field(field: Field) -> Iterator[str]:
    kind = _TYPES[field.kind]
    if field.comment:
        yield f"    /// {field.comment}"
    yield f"    pub {field.name}: {f'[{kind}; {field.length}]' if field.length > 1 or field.kind == 'text' else kind},"


def _layout() -> Iterator[str]:
    """Where the arrays lie, computed from a Config."""
    yield "/// An array: `count` records from byte `offset` of the data file. A gateway's comes again every `stride` bytes, from session 1 on."
    yield from (
        "#[derive(Clone, Copy, Debug, Default)]",
        "pub struct Region {",
        "    pub offset: u64,",
        "    pub count: u64,",
        "    pub stride: u64,",
        "}",
        "",
    )
    yield from ("#[derive(Clone, Copy, Debug, Default)]", "pub struct Layout {")
    for box in boxes():
        yield from (f"    /// {_camel(array.struct)}, written by: {box.writer}\n    pub {array.name}: Region," for array in box.arrays)
    yield from ("    /// Of the data file.", "    pub size: u64,", "}", "")
    yield _PLACE
    yield "pub fn layout_of(config: &Config) -> Layout {"
    yield from (f"    let {name} = config.{field} as u64;" for name, field in COUNTS.items())
    yield "    let accounts = (ACCOUNTS_PER_SESSION as u64 * sessions).min(ACCOUNTS_MAX as u64) + 1;"
    yield from ("    let mut out = Layout::default();", "    let mut end = 0;")
    for box in boxes():
        yield from _box(box)
    yield from ("    out", "}", "")


def _box(box: Box) -> Iterator[str]:
    for array in box.arrays:
        yield f"    out.{array.name} = place(&mut end, {array.alignment}, {array.length}, size_of::<{_camel(array.struct)}>());"
    if box.per_session:
        first = f"out.{box.arrays[0].name}"
        yield f"    let stride = up(end, PAGE as u64) - {first}.offset;"
        yield from (f"    out.{array.name}.stride = stride;" for array in box.arrays)
        yield f"    out.size = {first}.offset + sessions * stride;"


def _here(here: Here) -> Iterator[str]:
    yield f"/// Where exchange {here.name} lies, until it is stopped."
    yield "pub mod here {"
    yield f'    pub const ROOT_PATH: &str = "{here.root_path}";'
    yield f'    pub const DATA_PATH: &str = "{here.data_path}";'
    yield from (f"    {_constant(constant)}" for constant in here.constants)
    yield from ("}", "")


def _camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))
