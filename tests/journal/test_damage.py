"""Whatever happens to the files: the reader gives back an exact beginning of the log that holds all that was durable, or it refuses in words."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from shm_exchange.domain.config import TermStart
from shm_exchange.domain.errors import ExchangeError, JournalDamaged, JournalError
from shm_exchange.journal.folder import DURABLE, segment_path, segment_paths
from shm_exchange.journal.reading import Journal
from tests.journal.logs import CONFIG, append, contents, history, open_writer, write_journal

RECORD, HEADER = 72, 4096
COUNT, DURABLE_COUNT, SEGMENT = 21, 13, 8
"""Segments 0, 8 and 16; the durable number lies inside the second one."""


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    write_journal(tmp_path, COUNT, durable=DURABLE_COUNT, segment_records=SEGMENT)
    return tmp_path


def look(directory: Path, durable: int = DURABLE_COUNT) -> str:
    """What the reader makes of it: "" for everything, "cut", or the text of its refusal. It never gives back anything else."""
    try:
        journal = Journal(directory)
        found = contents(journal)
    except (JournalDamaged, JournalError) as error:
        return str(error)
    assert found == history(journal.first, journal.end)
    assert durable <= journal.end <= COUNT
    assert journal.first == 0
    return "cut" if journal.end < COUNT else ""


def flip(path: Path, byte: int, bit: int) -> None:
    with path.open("r+b") as file:
        file.seek(byte)
        (value,) = file.read(1)
        file.seek(byte)
        file.write(bytes([value ^ (1 << bit)]))


def offset(number: int) -> int:
    return HEADER + (number - number // SEGMENT * SEGMENT) * RECORD


def file_of(directory: Path, number: int) -> Path:
    return segment_path(directory, number // SEGMENT * SEGMENT)


@pytest.mark.parametrize("durable", [0, 18, 21])
@pytest.mark.parametrize("zeroed", [False, True])
def test_cut_at_every_byte_of_the_last_three_records(tmp_path: Path, durable: int, *, zeroed: bool) -> None:
    """A file that ends there, and one whose preallocated rest is still blank."""
    write_journal(tmp_path, COUNT, durable=durable, segment_records=SEGMENT)
    path = file_of(tmp_path, 20)
    whole = path.read_bytes()
    for byte in range(offset(18), offset(20) + RECORD):
        path.write_bytes(whole[:byte] + bytes((len(whole) - byte) * zeroed))
        left = (byte - HEADER) // RECORD + 16
        said = look(tmp_path, durable)
        if left < durable:
            assert f"record {left - 16} at byte {offset(left)} (number {left}) is damaged" in said or "ends too early" in said
        else:
            assert said == "cut"
            assert Journal(tmp_path).end == left
            partly = any(whole[offset(left) : byte])
            assert Journal(tmp_path).cut == (f"{path.name} from byte {offset(left)} on (number {left})" if partly else "")


def test_after_a_cut_the_writer_goes_on_and_nothing_of_the_old_comes_back(kept: Path) -> None:
    path = file_of(kept, 20)
    os.truncate(path, offset(19) + 5)
    append(writer := open_writer(kept, 19), 9, salt=1)
    writer.close(clean=False)
    assert contents(Journal(kept)) == history(0, 19) + history(19, 28, salt=1)
    assert path.stat().st_size == offset(19)


def bits(path: Path, begin: int, end: int, *, every: bool) -> Iterator[tuple[int, int]]:
    """All bits of a stretch, or one of each byte."""
    draw = random.Random(path.name)
    for byte in range(begin, end):
        yield from ((byte, bit) for bit in (range(8) if every else (draw.randrange(8),)))


def _expect_flips(kept: Path, *, every: bool) -> None:
    """Flip one bit after the other, everywhere but in the blank rest of the header pages, of which a part is enough."""
    header = 128 + 700
    places = [(path, place) for _, path in segment_paths(kept) for place in bits(path, 0, header, every=every)]
    places += [(path, place) for _, path in segment_paths(kept) for place in bits(path, HEADER - 8, path.stat().st_size, every=every)]
    places += [(kept / DURABLE, place) for begin in (0, 4096) for place in bits(kept / DURABLE, begin, begin + 64, every=every)]
    for path, (byte, bit) in places:
        flip(path, byte, bit)
        said = look(kept)
        where = f"{path.name} byte {byte} bit {bit}: {said!r}"
        if path.name == DURABLE:
            assert said == "", where
        elif byte < HEADER:
            assert "damaged" in said or "version" in said, where
        elif byte >= offset(20) and path == file_of(kept, 20):
            assert said in ("", "cut"), where
        else:
            assert "is damaged" in said and path.name in said, where
        flip(path, byte, bit)
    assert look(kept) == ""


def test_one_bit_of_every_byte(kept: Path) -> None:
    _expect_flips(kept, every=False)


@pytest.mark.long
def test_every_bit(kept: Path) -> None:
    _expect_flips(kept, every=True)


def _wound(folder: Path, draw: random.Random) -> None:
    """Do something bad to one segment."""
    path, other = (draw.choice(segment_paths(folder))[1] for _ in range(2))
    data = bytearray(path.read_bytes())
    what = draw.choice(["shorten", "flip", "blank", "lengthen", "remove", "replace"])
    if what == "shorten":
        del data[draw.randrange(len(data) + 1) :]
    elif what == "flip" and data:
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    elif what == "blank":
        begin = draw.randrange(HEADER, HEADER + 600)
        data[begin:] = bytes(max(0, len(data) - begin))
    elif what == "lengthen":
        data += draw.randbytes(draw.randrange(1, 100))
    elif what == "replace":
        data = bytearray(other.read_bytes())
    if what == "remove" and path != other:
        path.unlink()
    else:
        path.write_bytes(data)


def test_random_wounds(kept: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Several at once, of every kind: what is read is right, or nothing is. The mark is left alone, or nobody would know what was durable."""
    draw = random.Random(5)
    folder = tmp_path_factory.mktemp("wounded") / "journal"
    read = 0
    for _ in range(400):
        shutil.copytree(kept, folder)
        for _ in range(draw.randint(1, 3)):
            _wound(folder, draw)
        try:
            journal = Journal(folder)
            found = contents(journal)
        except ExchangeError:
            pass
        else:
            read += 1
            assert found == history(journal.first, journal.end)
            assert DURABLE_COUNT <= journal.end <= COUNT
        shutil.rmtree(folder)
    assert 50 < read < 350


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (12, "is not what was written there"),
        (13, "number 14 behind it is whole, so this is no write that was cut short"),
        (15, "number 16 behind it is whole"),
        (19, "number 20 behind it is whole"),
        (20, ""),
    ],
)
def test_a_bad_record_is_damage_unless_it_is_the_last(kept: Path, number: int, words: str) -> None:
    flip(file_of(kept, number), offset(number) + 33, 2)
    said = look(kept)
    if not words:
        assert said == "cut"
        return
    index = number % SEGMENT
    assert f"{file_of(kept, number)}, record {index} at byte {offset(number)} (number {number}) is damaged: {said.split('damaged: ')[1]}" == said
    assert words in said


def test_records_at_another_s_place_are_bad(kept: Path) -> None:
    path = file_of(kept, 16)
    data = bytearray(path.read_bytes())
    one, other = (slice(offset(number), offset(number) + RECORD) for number in (18, 19))
    data[one], data[other] = data[other], data[one]
    path.write_bytes(data)
    assert "(number 18) is damaged: number 20 behind it is whole" in look(kept)


def test_a_missing_segment_is_said(kept: Path) -> None:
    file_of(kept, 8).unlink()
    assert look(kept).startswith(f"numbers 8 to 15 are missing between {file_of(kept, 0)} and {file_of(kept, 16)}; restore")


def test_a_missing_newest_segment_below_the_durable_number_is_said(kept: Path) -> None:
    file_of(kept, 16).unlink()
    file_of(kept, 8).unlink()
    assert "the file ends too early, since all below number 13 were on disk" in look(kept)


def test_a_file_under_another_s_name_is_damage(kept: Path) -> None:
    file_of(kept, 16).rename(segment_path(kept, 17))
    assert "begins at number 16: the file has the name of another one" in look(kept)


@pytest.mark.parametrize("size", [0, 1, 127, 4095, 4096])
def test_a_start_that_was_cut_short_is_cut(kept: Path, size: int) -> None:
    """The pages of a header that never came to the disk, in a file that may be preallocated."""
    path = segment_path(kept, 21)
    writer = open_writer(kept, 21)
    writer.close(clean=False)
    header = path.read_bytes()
    for rest in (b"", bytes(SEGMENT * RECORD)):
        path.write_bytes((header[: size // 8] + bytes(size - size // 8)) + rest)
        assert Journal(kept).cut == f"{path.name}, whose start was cut short"
        assert look(kept) == ""
    path.write_bytes(bytes(4096) + bytes(100) + b"\1" + bytes(400))
    assert "is damaged at byte 0 (number 21)" in look(kept)
    path.write_bytes(bytes(size))
    append(writer := open_writer(kept, 21), 3)
    writer.close(clean=True)
    assert contents(Journal(kept)) == history(0, 24)


@pytest.mark.parametrize("newest", [False, True])
def test_a_blank_segment_below_the_durable_number_or_before_another_is_damage(kept: Path, *, newest: bool) -> None:
    file_of(kept, 8).write_bytes(bytes(4096))
    (file_of(kept, 16) if newest else kept / DURABLE).unlink()
    assert look(kept).startswith(f"{file_of(kept, 8)} is damaged at byte 0 (number 8): the header does not begin as one of a segment")


def test_a_first_start_that_was_cut_short_is_begun_again(tmp_path: Path) -> None:
    writer = open_writer(tmp_path)
    writer.close(clean=False)
    segment_path(tmp_path, 0).write_bytes(bytes(5000))
    with pytest.raises(JournalError, match=r"there is no journal in .*: segment-0000000000000000.log, whose start was cut short"):
        Journal(tmp_path)
    append(writer := open_writer(tmp_path), 10)
    writer.close(clean=True)
    assert contents(Journal(tmp_path)) == history(0, 10)


def test_blank_segments_behind_the_end_are_cut_and_named(kept: Path) -> None:
    """Power went before the second segment's last records came to the disk; the third has its header and nothing else."""
    for number, begin in ((14, offset(14)), (16, HEADER)):
        path = file_of(kept, number)
        path.write_bytes(path.read_bytes()[:begin].ljust(HEADER + SEGMENT * RECORD, b"\0"))
    journal = Journal(kept)
    assert (journal.end, journal.cut) == (14, f"{file_of(kept, 16).name}, which holds nothing")
    assert [(segment.first, behind) for segment, behind in journal.spans()] == [(0, 8), (8, 14)]
    assert look(kept) == "cut"
    writer = open_writer(kept, 14)
    writer.close(clean=True)
    assert contents(Journal(kept)) == history(0, 14)


def test_without_a_mark_nothing_is_durable(kept: Path) -> None:
    (kept / DURABLE).unlink()
    assert look(kept) == ""
    os.truncate(file_of(kept, 20), offset(19) + 1)
    assert Journal(kept).end == 19
    assert Journal(kept).durable == 0


@pytest.mark.parametrize("data", [b"", bytes(100), bytes(8192), b"\xff" * 8192])
def test_without_a_whole_mark_nobody_knows(kept: Path, data: bytes) -> None:
    (kept / DURABLE).write_bytes(data)
    assert look(kept).startswith(f"{kept / DURABLE} is damaged: neither of its two marks is whole; restore it from a copy, or remove it")


def test_one_whole_mark_is_enough(tmp_path: Path) -> None:
    """The other may be torn: they are written in turn."""
    writer = open_writer(tmp_path)
    for count in (5, 4):
        append(writer, count)
        writer.sync()
    writer.close(clean=False)
    marks = (tmp_path / DURABLE).read_bytes()
    found = set()
    for half in (slice(0, 4096), slice(4096, 8192)):
        torn = bytearray(marks)
        torn[half] = bytes(4096)
        (tmp_path / DURABLE).write_bytes(torn)
        found.add(Journal(tmp_path).durable)
    assert found == {5, 9}


@pytest.mark.parametrize("size", [0, 4095, 4096 + 72 * 4 + 71])
def test_a_file_that_ends_below_the_durable_number_is_refused_at_once(kept: Path, size: int) -> None:
    """Also where nothing is read of it: whoever goes on writing would hide it."""
    for number in (8, 0):
        os.truncate(file_of(kept, number), size)
        with pytest.raises(JournalDamaged, match=str(file_of(kept, number))):
            Journal(kept)


def test_another_version_and_other_rules_are_named(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, words in (
        ("RULES_VERSION", "was written under version 1 of the rules, and this release has 2: use the release that wrote it"),
        ("FILE_VERSION", "is of version 1 and this release reads 2: use the release that wrote it"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(f"shm_exchange.journal.header.{name}", 2)
            with pytest.raises(JournalError, match=words):
                Journal(kept)


@pytest.mark.parametrize(
    ("name", "term"),
    [
        ("other", TermStart(1, 0, 1)),
        ("kept", TermStart(1, 0, 2)),
        ("kept", TermStart(1, 4, 1)),
        ("kept", TermStart(2, 15, 1)),
        ("kept", TermStart(2, 16, 1)),
    ],
)
def test_segments_of_another_exchange_or_life_are_no_part_of_it(
    kept: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, name: str, term: TermStart
) -> None:
    other = tmp_path_factory.mktemp("other")
    monkeypatch.setattr("tests.journal.logs.CONFIG", type(CONFIG)(name, CONFIG.instruments, max_sessions=CONFIG.max_sessions))
    writer = open_writer(other, 16, term)
    append(writer, 5)
    writer.close(clean=True)
    shutil.copy(segment_path(other, 16), segment_path(kept, 16))
    said = look(kept)
    assert ("does not go on with" in said) != (term.sequence == 16), said
