"""The layout for other languages compiles, agrees with ours to the byte, and a reader written against it sees what MarketView sees."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from shm_exchange import MarketView
from shm_exchange.domain.config import FIRST_TERM, ExchangeConfig, JournalConfig
from shm_exchange.domain.instrument import Instrument
from shm_exchange.layout.digest import LAYOUT_VERSION, layout_digest
from shm_exchange.layout.headers import CONFIG
from shm_exchange.layout.regions import Layout, layout_of
from shm_exchange.shm.header import write_config
from shm_exchange.shm.root import root_path
from tests.tools.looking import look
from tools.inspect_segment.header_c import c_header
from tools.inspect_segment.header_rust import rust_header

HERE = Path(__file__).parent
CC = ["cc", "-std=c11", "-O2", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]
CONFIGS = [
    ExchangeConfig("a", (Instrument("ACME"),)),
    ExchangeConfig("b", tuple(Instrument(f"I{number}") for number in range(37)), max_sessions=1, depth=3, lane_capacity=64, log_capacity=256),
    ExchangeConfig("c", (Instrument("X"), Instrument("Y")), max_sessions=65, depth=64, report_capacity=64, event_capacity=128, lane_capacity=128),
]
needs_cc = pytest.mark.skipif(not shutil.which("cc"), reason="needs a C compiler: apt install gcc")


def _compile(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr


def _places(layout: Layout) -> list[str]:
    rows = [f"{region.name} {region.offset} {region.count} {region.stride}" for region in layout.regions.values()]
    return [*rows, f"size {layout.size} 0 0"]


def _config_files(folder: Path) -> list[Path]:
    """CONFIG records as a creator writes them."""
    paths = [folder / config.name for config in CONFIGS]
    for path, config in zip(paths, CONFIGS, strict=True):
        fd = os.open(path, os.O_RDWR | os.O_CREAT)
        write_config(fd, config, JournalConfig(), FIRST_TERM)
        os.close(fd)
    return paths


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The C reader of the top of a book, compiled against the generated header."""
    folder = tmp_path_factory.mktemp("c")
    (folder / "shm_exchange.h").write_text(c_header())
    _compile([*CC, "-I.", str(HERE / "top_of_book.c"), "-o", "top_of_book"], folder)
    return folder / "top_of_book"


def _ask(reader: Path, root: Path, symbol: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(reader), str(root), symbol], capture_output=True, text=True, check=False, timeout=60)


@needs_cc
def test_a_reader_in_c_sees_the_same_top(live: str, reader: Path) -> None:
    for symbol in ("ACME", "FINE"):
        done = _ask(reader, root_path(live, "/dev/shm"), symbol)
        assert done.returncode == 0, done.stderr
        with MarketView.attach(live, symbol) as view:
            depth = view.depth()
            bids, asks = ([(int(row["price_ticks"]), int(row["quantity"])) for row in side] for side in view.depth_array())
        assert list(map(int, done.stdout.split())) == [depth.version, *(bids or [(0, 0)])[0], *(asks or [(0, 0)])[0]]
    assert list(map(int, _ask(reader, root_path(live, "/dev/shm"), "ACME").stdout.split()))[1:] == [9950, 60, 9960, 30]


@needs_cc
def test_a_reader_in_c_reads_what_the_dead_left(dead: str, reader: Path) -> None:
    assert list(map(int, _ask(reader, root_path(dead, "/dev/shm"), "ACME").stdout.split()))[1:] == [9950, 60, 9960, 30]


@needs_cc
def test_a_reader_in_c_refuses_another_layout(live: str, reader: Path, tmp_path: Path) -> None:
    root = bytearray(root_path(live, "/dev/shm").read_bytes())
    digest = layout_digest().to_bytes(8, "little")
    at = root.index(digest)
    root[at] ^= 1
    (tmp_path / "other").write_bytes(root)
    done = _ask(reader, tmp_path / "other", "ACME")
    assert done.returncode == 1
    assert "another layout" in done.stderr


@needs_cc
def test_c_computes_the_same_places(tmp_path: Path) -> None:
    (tmp_path / "shm_exchange.h").write_text(c_header())
    rows = [
        f'printf("{name} %" PRIu64 " %" PRIu64 " %" PRIu64 "\\n", l.{name}.offset, l.{name}.count, l.{name}.stride);'
        for name in layout_of(CONFIGS[0]).regions
    ]
    lines = [
        '#include "shm_exchange.h"',
        "#include <inttypes.h>",
        "#include <stdio.h>",
        'int main(int n, char **a) { shmx_config c; FILE *f = fopen(a[n - 1], "rb"); if (!f || fread(&c, sizeof c, 1, f) != 1) return 1;',
        "shmx_layout l = shmx_layout_of(&c);",
        *rows,
        'printf("size %" PRIu64 " 0 0\\n", l.size); return 0; }',
    ]
    (tmp_path / "places.c").write_text("\n".join(lines))
    _compile([*CC, "-O0", "places.c", "-o", "places"], tmp_path)
    for path, config in zip(_config_files(tmp_path), CONFIGS, strict=True):
        said = subprocess.run([str(tmp_path / "places"), str(path)], capture_output=True, text=True, check=True, timeout=60).stdout
        assert said.splitlines() == _places(layout_of(config))


@pytest.mark.skipif(not shutil.which("rustc"), reason="needs rustc")
def test_rust_computes_the_same_places(tmp_path: Path) -> None:
    (tmp_path / "shm_exchange.rs").write_text(rust_header())
    rows = [f'println!("{name} {{}} {{}} {{}}", l.{name}.offset, l.{name}.count, l.{name}.stride);' for name in layout_of(CONFIGS[0]).regions]
    words = ", ".join(f"{field}: word({at})" for field in CONFIG.names or () if field != "_reserved" for at in [_offset(field)])
    lines = [
        "mod shm_exchange;",
        "fn main() {",
        "let raw = std::fs::read(std::env::args().nth(1).unwrap()).unwrap();",
        "let word = |at: usize| i64::from_le_bytes(raw[at..at + 8].try_into().unwrap());",
        f"let c = shm_exchange::Config {{ {words}, _reserved: [0; {CONFIG['_reserved'].itemsize}] }};",
        "let l = shm_exchange::layout_of(&c);",
        *rows,
        'println!("size {} 0 0", l.size);',
        'println!("{} {}", shm_exchange::LAYOUT_DIGEST, shm_exchange::event_kind::EXECUTED); }',
    ]
    (tmp_path / "places.rs").write_text("\n".join(lines))
    _compile(["rustc", "--edition", "2021", "-D", "warnings", "places.rs", "-o", "places"], tmp_path)
    for path, config in zip(_config_files(tmp_path), CONFIGS, strict=True):
        said = subprocess.run([str(tmp_path / "places"), str(path)], capture_output=True, text=True, check=True, timeout=60).stdout
        assert said.splitlines() == [*_places(layout_of(config)), f"{layout_digest()} 2"]


def _offset(field: str) -> int:
    fields = CONFIG.fields
    assert fields is not None
    return int(fields[field][1])


def test_the_rust_layout_is_complete_without_a_compiler() -> None:
    """Where rustc is missing, at least its structure: every record asserts its size and every field its place."""
    text = rust_header()
    for line in (
        "pub struct Command {",
        "const _: () = assert!(size_of::<Command>() == 64);",
        "const _: () = assert!(offset_of!(Report, leaves_quantity) == 48);",
        "    pub const EXECUTED: u8 = 2;",
        f"pub const LAYOUT_VERSION: i64 = {LAYOUT_VERSION};",
    ):
        assert line in text
    assert text.count("{") == text.count("}")
    assert text.count("#[repr(C)]") == text.count("size_of::<") - len(layout_of(CONFIGS[0]).regions)


def test_with_a_name_the_header_says_where_that_exchange_lies(live: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = look(capsys, live, "--header", "c")
    assert f'#define SHMX_ROOT_PATH "{root_path(live, "/dev/shm")}"' in text
    assert f"exchange {live} lies" in text
    assert "_HERE" not in look(capsys, "--header", "c")
    assert "pub mod here {" in look(capsys, live, "--header", "rust")


def test_comments_of_the_source_go_along() -> None:
    text = c_header()
    assert "int64_t number; /* per session, from 1, gapless */" in text
    assert "uint8_t kind; /* CommandKind */" in text
    assert np.dtype(CONFIG).itemsize
