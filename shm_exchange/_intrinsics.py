"""Atomics, fences, prefetch, bit counts and the few system calls: the only intrinsics of the project, each with a plain Python twin.

Twins serve the interpreted mode (`NUMBA_DISABLE_JIT=1`), where one process runs one thread at a time and order is given. Every word is 8 bytes
and naturally aligned; records are numpy records, fields are named by a literal string. Loads and stores that another process
can see go through here, because LLVM hoists a plain polled load out of its loop (and then spins for ever).

    load_relaxed / store_relaxed     no order, but really performed, and never torn
    load_acquire / store_release     what stands after / before stays after / before
    fence_acquire / fence_release / fence_full
    exchange / fetch_or / fetch_and  locked read-modify-write, sequentially consistent: full fences as well
    crc32c(crc, word)                one word more into a running CRC-32C; who uses it inverts before and after
    record_at(address, DTYPE)        the record that lies at a raw address (for handles whose bundle would be too slow to pass from Python)
"""

from __future__ import annotations

import ctypes
import os
import platform
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from shm_exchange._jit import INTERPRETED, inlined

if TYPE_CHECKING or INTERPRETED:
    _libc = ctypes.CDLL(None, use_errno=True)

    def load_relaxed(record: Any, field: str) -> int:
        """Load `record.field` once."""
        return int(record[field])

    load_acquire = load_relaxed

    def store_relaxed(record: Any, field: str, value: int) -> None:
        """Store `record.field` once."""
        record[field] = value

    store_release = store_relaxed

    def fetch_or(record: Any, field: str, bits: int) -> int:
        """Set `bits` in the word and return what it was."""
        before = int(record[field])
        record[field] = before | int(bits)
        return before

    def fetch_and(record: Any, field: str, bits: int) -> int:
        """Keep only `bits` in the word and return what it was."""
        before = int(record[field])
        record[field] = before & int(bits)
        return before

    def exchange(record: Any, field: str, value: int) -> int:
        """Store `value` and return what the word was."""
        before = int(record[field])
        record[field] = value
        return before

    def fence_acquire() -> None:
        """Loads before it stay before all that follows."""

    fence_release = fence_full = fence_acquire

    def pause() -> None:
        """Tell the core that this is a spin loop."""

    def prefetch(array: Any, index: int) -> None:
        """Ask for the cache line of `array[index]`."""

    def trailing_zeros(bits: int) -> int:
        """Number of zero bits below the lowest one; 64 for zero."""
        bits = int(bits)
        return (bits & -bits).bit_length() - 1 if bits else 64

    def mix64(value: int) -> int:
        """The low 63 bits of a 64-bit finalizer (splitmix64): every input bit moves every output bit."""
        x = int(value) & 0xFFFFFFFFFFFFFFFF
        x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
        x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
        return (x ^ (x >> 31)) & 0x7FFFFFFFFFFFFFFF

    def hash31(key: int, multiplier: int) -> int:
        """31 well-mixed bits of `key`: the top of its product with an odd secret multiplier."""
        return ((int(key) * int(multiplier)) & 0xFFFFFFFFFFFFFFFF) >> 33

    def crc32c(crc: int, word: int) -> int:
        """CRC-32C (Castagnoli), not inverted, of what came before and the eight bytes of `word`, lowest first."""
        crc = int(crc) ^ (int(word) & 0xFFFFFFFFFFFFFFFF)
        for _ in range(8):
            crc = (crc >> 8) ^ _CRC_OF_BYTE[crc & 0xFF]
        return crc

    def _crc_of_byte(value: int) -> int:
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
        return value

    _CRC_OF_BYTE = [_crc_of_byte(value) for value in range(256)]

    def record_at(address: int, dtype: Any) -> Any:
        """The record of `dtype` that lies at `address`."""
        memory = (ctypes.c_char * dtype.itemsize).from_address(int(address))
        return np.frombuffer(memory, dtype).view(np.recarray)[0]

    def monotonic_ns() -> int:
        """CLOCK_MONOTONIC in nanoseconds."""
        return time.monotonic_ns()

    def realtime_ns() -> int:
        """CLOCK_REALTIME in nanoseconds since 1970."""
        return time.time_ns()

    def yield_core() -> None:
        """Let another process run on this core."""
        os.sched_yield()

    def futex_wait(address: int, expected: int, timeout_ns: int) -> int:
        """Sleep while the 32-bit word at `address` holds `expected`; 0 when woken, -1 otherwise (changed, timed out, interrupted)."""
        timeout = (ctypes.c_int64 * 2)(timeout_ns // 1_000_000_000, timeout_ns % 1_000_000_000)
        return int(_libc.syscall(FUTEX_CALL, ctypes.c_void_p(int(address)), 0, expected, timeout, None, 0))

    def futex_wake(address: int) -> int:
        """Wake who sleeps on the 32-bit word at `address`; returns how many."""
        return int(_libc.syscall(FUTEX_CALL, ctypes.c_void_p(int(address)), 1, 0x7FFFFFFF, None, None, 0))


FUTEX_CALL = {"x86_64": 202, "aarch64": 98}.get(platform.machine(), 0)

if not TYPE_CHECKING and not INTERPRETED:
    from llvmlite import binding, ir
    from numba import types
    from numba.core import cgutils
    from numba.extending import intrinsic

    _I64 = ir.IntType(64)
    _X86 = platform.machine() == "x86_64"

    def _field(record, name):
        """Offset and type of a literal field name; None lets numba report the call that does not fit."""
        if isinstance(record, types.Record) and isinstance(name, types.StringLiteral):
            kind = record.typeof(name.literal_value)
            if kind.bitwidth == 64:
                return record.offset(name.literal_value), kind
        return None

    def _pointer(builder, record, offset):
        base = builder.bitcast(record, ir.PointerType(ir.IntType(8)))
        return builder.bitcast(builder.gep(base, [ir.Constant(_I64, offset)]), ir.PointerType(_I64))

    def _loader(order):
        def load(typingctx, record, field):
            found = _field(record, field)
            if found is None:
                return None
            offset, kind = found

            def generate(context, builder, signature, arguments):
                return builder.load_atomic(_pointer(builder, arguments[0], offset), order, 8)

            return kind(record, field), generate

        return intrinsic(prefer_literal=True)(load)

    def _storer(order):
        def store(typingctx, record, field, value):
            found = _field(record, field)
            if found is None:
                return None
            offset, kind = found

            def generate(context, builder, signature, arguments):
                word = context.cast(builder, arguments[2], signature.args[2], kind)
                builder.store_atomic(word, _pointer(builder, arguments[0], offset), order, 8)
                return context.get_dummy_value()

            return types.void(record, field, value), generate

        return intrinsic(prefer_literal=True)(store)

    def _modifier(operation):
        def modify(typingctx, record, field, value):
            found = _field(record, field)
            if found is None:
                return None
            offset, kind = found

            def generate(context, builder, signature, arguments):
                word = context.cast(builder, arguments[2], signature.args[2], kind)
                return builder.atomic_rmw(operation, _pointer(builder, arguments[0], offset), word, "seq_cst")

            return kind(record, field, value), generate

        return intrinsic(prefer_literal=True)(modify)

    def _fence(order):
        def fence(typingctx):
            def generate(context, builder, signature, arguments):
                builder.fence(order)
                return context.get_dummy_value()

            return types.void(), generate

        return intrinsic(fence)

    load_relaxed, load_acquire = _loader("monotonic"), _loader("acquire")
    store_relaxed, store_release = _storer("monotonic"), _storer("release")
    fetch_or, fetch_and, exchange = _modifier("or"), _modifier("and"), _modifier("xchg")
    fence_acquire, fence_release, fence_full = _fence("acquire"), _fence("release"), _fence("seq_cst")

    @intrinsic
    def pause(typingctx):
        def generate(context, builder, signature, arguments):
            name, kinds, values = (
                ("llvm.x86.sse2.pause", [], []) if _X86 else ("llvm.aarch64.hint", [ir.IntType(32)], [ir.Constant(ir.IntType(32), 1)])
            )
            function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(ir.VoidType(), kinds), name)
            builder.call(function, values)
            return context.get_dummy_value()

        return types.void(), generate

    @intrinsic
    def prefetch(typingctx, array, index):
        if not isinstance(array, types.Array) or array.ndim != 1 or array.layout != "C":
            return None

        def generate(context, builder, signature, arguments):
            view = context.make_array(array)(context, builder, arguments[0])
            word = context.cast(builder, arguments[1], signature.args[1], types.intp)
            place = builder.bitcast(builder.gep(view.data, [word]), ir.PointerType(ir.IntType(8)))
            i32 = ir.IntType(32)
            kind = ir.FunctionType(ir.VoidType(), [ir.PointerType(ir.IntType(8)), i32, i32, i32])
            function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
            builder.call(function, [place, ir.Constant(i32, 1), ir.Constant(i32, 3), ir.Constant(i32, 1)])
            return context.get_dummy_value()

        return types.void(array, index), generate

    @intrinsic
    def trailing_zeros(typingctx, bits):
        def generate(context, builder, signature, arguments):
            return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

        return types.int64(types.uint64), generate

    _CRC_FEATURE = "sse4.2" if _X86 else "crc"

    @intrinsic
    def _crc32c_instruction(typingctx, crc, word):
        def generate(context, builder, signature, arguments):
            kind = _I64 if _X86 else ir.IntType(32)
            name = "llvm.x86.sse42.crc32.64.64" if _X86 else "llvm.aarch64.crc32cx"
            function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(kind, [kind, _I64]), name)
            before = arguments[0] if _X86 else builder.trunc(arguments[0], kind)
            after = builder.call(function, [before, arguments[1]])
            return after if _X86 else builder.zext(after, _I64)

        return types.uint64(types.uint64, types.uint64), generate

    @inlined
    def _crc32c_bitwise(crc, word):
        x = np.uint64(crc) ^ np.uint64(word)
        for _ in range(64):
            x = (x >> np.uint64(1)) ^ (np.uint64(0x82F63B78) & (np.uint64(0) - (x & np.uint64(1))))
        return x

    # NUMBA_CPU_NAME asks for code that also runs elsewhere: then only what every processor has.
    _has_crc = os.environ.get("NUMBA_CPU_NAME") is None and binding.get_host_cpu_features().get(_CRC_FEATURE, False)
    crc32c = _crc32c_instruction if _has_crc else _crc32c_bitwise

    @intrinsic
    def record_at(typingctx, address, dtype):
        record = dtype.dtype

        def generate(context, builder, signature, arguments):
            return builder.inttoptr(arguments[0], context.get_value_type(record))

        return record(types.int64, dtype), generate

    @inlined
    def mix64(value):
        x = np.uint64(value)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return np.int64((x ^ (x >> np.uint64(31))) & np.uint64(0x7FFFFFFFFFFFFFFF))

    @inlined
    def hash31(key, multiplier):
        return np.int64((np.uint64(key) * np.uint64(multiplier)) >> np.uint64(33))

    _clock_gettime = types.ExternalFunction("clock_gettime", types.int32(types.int32, types.int64))
    _sched_yield = types.ExternalFunction("sched_yield", types.int32())
    _syscall = types.ExternalFunction("syscall", types.int64(*[types.int64] * 7))

    @intrinsic
    def _two_words(typingctx):
        """Address of 16 bytes on the stack of the caller, for a timespec."""

        def generate(context, builder, signature, arguments):
            return builder.ptrtoint(cgutils.alloca_once(builder, _I64, 2), _I64)

        return types.int64(), generate

    _TIMESPEC = np.dtype([("seconds", "i8"), ("nanoseconds", "i8")])

    @inlined
    def _read_clock(clock):
        address = _two_words()
        _clock_gettime(clock, address)
        moment = record_at(address, _TIMESPEC)
        return load_relaxed(moment, "seconds") * 1_000_000_000 + load_relaxed(moment, "nanoseconds")

    @inlined
    def monotonic_ns():
        return _read_clock(1)

    @inlined
    def realtime_ns():
        return _read_clock(0)

    @inlined
    def yield_core():
        _sched_yield()

    @inlined
    def futex_wait(address, expected, timeout_ns):
        duration = _two_words()
        moment = record_at(duration, _TIMESPEC)
        store_relaxed(moment, "seconds", timeout_ns // 1_000_000_000)
        store_relaxed(moment, "nanoseconds", timeout_ns % 1_000_000_000)
        return _syscall(FUTEX_CALL, address, 0, expected, duration, 0, 0)

    @inlined
    def futex_wake(address):
        return _syscall(FUTEX_CALL, address, 1, 0x7FFFFFFF, 0, 0, 0)
