"""The layout as a header for C11 and C++17, gcc and clang."""

from __future__ import annotations

from collections.abc import Iterator

from tools.inspect_segment.header import ABOUT, COUNTS, Box, Constant, Field, Here, Struct, boxes, constants, snake, structs, words

_TYPES = {"i8": "int64_t", "u8": "uint64_t", "u2": "uint16_t", "u1": "uint8_t", "text": "char"}
_PLACE = """\
static inline uint64_t shmx_up(uint64_t end, uint64_t step) { return (end + step - 1) / step * step; }

static inline uint64_t shmx_place(shmx_region *region, uint64_t end, uint64_t step, uint64_t count, uint64_t size)
{
    region->offset = shmx_up(end, step);
    region->count = count;
    region->stride = 0;
    return region->offset + count * size;
}
"""


def c_header(here: Here | None = None) -> str:
    """The whole file."""
    return "\n".join([*_top(), *_constants(), *_words(), *_structs(), *_layout(), *(_here(here) if here else []), "#endif", ""])


def _top() -> Iterator[str]:
    yield "/*"
    yield from (f" * {line}".rstrip() for line in ABOUT.format(language="c").splitlines())
    yield " */"
    yield from ("#ifndef SHM_EXCHANGE_H", "#define SHM_EXCHANGE_H", "", "#include <assert.h>", "#include <stddef.h>", "#include <stdint.h>", "")


def _constants() -> Iterator[str]:
    yield from (_define(constant) for constant in constants())
    yield ""


def _define(constant: Constant) -> str:
    suffix = "" if constant.value < 1 << 31 else "LL"
    text = f"{constant.value:#x}" if constant.name in ("MAGIC", "LAYOUT_DIGEST") else str(constant.value)
    return f"#define SHMX_{constant.name} {text}{suffix}"


def _words() -> Iterator[str]:
    for enumeration in words():
        prefix = f"SHMX_{snake(enumeration.name).upper()}"
        yield f"/* {enumeration.comment} */"
        yield f"enum shmx_{snake(enumeration.name)} {{"
        yield from (f"    {prefix}_{name} = {number}," for name, number in enumeration.members.items())
        yield from ("};", "")


def _structs() -> Iterator[str]:
    for struct in structs():
        name = f"shmx_{struct.name.lower()}"
        if struct.comment:
            yield f"/* {struct.comment} */"
        yield "typedef struct {"
        yield from (f"    {_field(field)}" for field in struct.fields)
        yield f"}} {name};"
        yield from _asserts(name, struct)
        yield ""


def _field(field: Field) -> str:
    array = f"[{field.length}]" if field.length > 1 or field.kind == "text" else ""
    comment = f" /* {field.comment} */" if field.comment else ""
    return f"{_TYPES[field.kind]} {field.name}{array};{comment}"


def _asserts(name: str, struct: Struct) -> Iterator[str]:
    yield f'static_assert(sizeof({name}) == {struct.size}, "{name} has {struct.size} bytes");'
    for field in struct.fields:
        yield f'static_assert(offsetof({name}, {field.name}) == {field.offset}, "{name}.{field.name} begins at byte {field.offset}");'


def _layout() -> Iterator[str]:
    """Where the arrays lie, computed from a CONFIG."""
    yield "/* An array: `count` records from byte `offset` of the data file. A gateway's comes again every `stride` bytes, from session 1 on. */"
    yield "typedef struct { uint64_t offset, count, stride; } shmx_region;"
    yield "typedef struct {"
    for box in boxes():
        yield f"    /* written by: {box.writer} */"
        yield from (f"    shmx_region {array.name}; /* shmx_{array.struct.lower()} */" for array in box.arrays)
    yield from ("    uint64_t size; /* of the data file */", "} shmx_layout;", "")
    yield _PLACE
    yield "static inline shmx_layout shmx_layout_of(const shmx_config *config)"
    yield "{"
    yield from (f"    const uint64_t {line};" for line in _counts())
    yield from ("    shmx_layout out;", "    uint64_t end = 0;")
    for box in boxes():
        yield from _box(box)
    yield from ("    return out;", "}", "")


def _counts() -> Iterator[str]:
    """The names that the formulas use."""
    yield from (f"{name} = (uint64_t)config->{field}" for name, field in COUNTS.items())
    yield "all_accounts = SHMX_ACCOUNTS_PER_SESSION * sessions"
    yield "accounts = (all_accounts < SHMX_ACCOUNTS_MAX ? all_accounts : SHMX_ACCOUNTS_MAX) + 1"


def _box(box: Box) -> Iterator[str]:
    for array in box.arrays:
        size = f"sizeof(shmx_{array.struct.lower()})"
        yield f"    end = shmx_place(&out.{array.name}, end, {array.alignment}, {array.length}, {size});"
    if box.per_session:
        first = f"out.{box.arrays[0].name}"
        strides = " = ".join(f"out.{array.name}.stride" for array in box.arrays)
        yield f"    {strides} = shmx_up(end, SHMX_PAGE) - {first}.offset;"
        yield f"    out.size = {first}.offset + sessions * {first}.stride;"


def _here(here: Here) -> Iterator[str]:
    yield f"/* Where exchange {here.name} lies, until it is stopped. */"
    yield f'#define SHMX_ROOT_PATH "{here.root_path}"'
    yield f'#define SHMX_DATA_PATH "{here.data_path}"'
    yield from (_define(constant) for constant in here.constants)
    yield ""
