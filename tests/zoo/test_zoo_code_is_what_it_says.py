"""Does the code of each animal that needs a processor do what its source says? pefile and iced-x86 are the judges."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from animals import folder, rows

pefile = pytest.importorskip("pefile")
iced_x86 = pytest.importorskip("iced_x86")
Code, CpuidFeature, FlowControl = iced_x86.Code, iced_x86.CpuidFeature, iced_x86.FlowControl
Mnemonic, OpKind, Register = iced_x86.Mnemonic, iced_x86.OpKind, iced_x86.Register

ANIMALS = [animal for animal in rows() if animal["processor"]]
FEATURES = {value: name for name, value in vars(CpuidFeature).items() if isinstance(value, int)}
ASKS = {Mnemonic.CPUID, Mnemonic.XGETBV}
STACK = {Register.RSP, Register.RBP, Register.ESP, Register.EBP}
IP = {Register.RIP, Register.EIP}


class Function:
    """The instructions that lead to each other without a call, from the one at an RVA on."""

    def __init__(self, start: int) -> None:
        self.start = start
        self.code: dict[int, Any] = {}
        self.calls: list[int] = []
        self.jumps: list[int] = []  # out of it

    @property
    def features(self) -> set[str]:
        return {FEATURES[feature] for one in self.code.values() for feature in one.cpuid_features()}

    @property
    def has_avx(self) -> bool:
        return "AVX" in self.features

    @property
    def asks(self) -> bool:
        return any(one.mnemonic in ASKS for one in self.code.values())

    def having(self, *mnemonics: int) -> list[Any]:
        """Its instructions of these kinds, by address."""
        return [self.code[at] for at in sorted(self.code) if self.code[at].mnemonic in mnemonics]

    def follows(self, instruction: Any) -> Any:
        return self.code.get(instruction.next_ip)


class Program:
    """The code of a file, as far as the loader, exports, calls, pointers and the exception directory lead to it."""

    def __init__(self, pe: Any) -> None:
        self.pe = pe
        self.bits = 64 if pe.PE_TYPE == 0x20B else 32
        self.base: int = pe.OPTIONAL_HEADER.ImageBase
        self.text = pe.sections[0]
        self.width = self.bits // 8
        self.listed = {entry.struct.BeginAddress for entry in getattr(pe, "DIRECTORY_ENTRY_EXCEPTION", [])}
        self.exported = {symbol.address for symbol in pe.DIRECTORY_ENTRY_EXPORT.symbols}
        self.imported = {
            each.address - self.base: each.name.decode()
            for dll in getattr(pe, "DIRECTORY_ENTRY_IMPORT", [])
            for each in dll.imports
        }
        self.functions: dict[int, Function] = {}
        starts = [pe.OPTIONAL_HEADER.AddressOfEntryPoint, *self.listed, *self.exported, *self.pointers()]
        while starts:
            start = starts.pop()
            if start not in self.functions:
                self.functions[start] = self.read(start)
                starts += self.functions[start].calls + self.functions[start].jumps

    @property
    def entry(self) -> Function:
        return self.functions[self.pe.OPTIONAL_HEADER.AddressOfEntryPoint]

    def pointers(self) -> set[int]:
        """RVAs of code that relocated pointers outside of the code lead to."""
        found = set()
        for block in getattr(self.pe, "DIRECTORY_ENTRY_BASERELOC", []):
            for entry in block.entries:
                if entry.type and not self.text.contains_rva(entry.rva):
                    found.add(self.pointer(entry.rva))
        return {rva for rva in found if self.text.contains_rva(rva)}

    def pointer(self, rva: int) -> int:
        """The RVA that a pointer in the file leads to; 0 for an empty one."""
        value = int.from_bytes(self.pe.get_data(rva, self.width), "little")
        return value - self.base if value else 0

    def number(self, rva: int) -> int:
        """Four bytes as they are when the file is loaded."""
        section = next(section for section in self.pe.sections if section.contains_rva(rva))
        in_file = rva - section.VirtualAddress + 4 <= section.SizeOfRawData
        return int.from_bytes(self.pe.get_data(rva, 4), "little") if in_file else 0

    def instruction(self, at: int) -> Any:
        code = self.text.get_data()[at - self.text.VirtualAddress :][:15]
        return iced_x86.Decoder(self.bits, code.ljust(15, b"\x90"), ip=at).decode()

    def begins(self, at: int) -> bool:
        """Whether a function does: the exception directory says so, or its frame (those of the zoo all have one)."""
        first = self.instruction(at)
        return at in self.listed or (first.mnemonic == Mnemonic.PUSH and first.op0_register in STACK)

    def read(self, start: int) -> Function:
        function, pending = Function(start), [start]
        while pending:
            at = pending.pop()
            while at not in function.code:
                one = self.instruction(at)
                assert one.code != Code.INVALID, f"0x{at:X}"
                function.code[at] = one
                flow = one.flow_control
                target = one.near_branch_target
                if flow == FlowControl.CALL:
                    function.calls.append(target)
                if flow == FlowControl.UNCONDITIONAL_BRANCH and self.begins(target):
                    function.jumps.append(target)
                elif flow in (FlowControl.UNCONDITIONAL_BRANCH, FlowControl.CONDITIONAL_BRANCH):
                    pending.append(target)
                if flow in (FlowControl.RETURN, FlowControl.UNCONDITIONAL_BRANCH, FlowControl.INDIRECT_BRANCH):
                    break
                at = one.next_ip
        return function

    def leads_to(self, *functions: Function) -> list[Function]:
        """The functions to which direct calls and jumps lead, with those where they begin."""
        found: dict[int, Function] = {}
        pending = [function.start for function in functions]
        while pending:
            start = pending.pop()
            if start not in found:
                found[start] = self.functions.get(start) or self.read(start)
                pending += found[start].calls + found[start].jumps
        return list(found.values())

    def address(self, instruction: Any) -> int | None:
        """The RVA of a memory operand or an immediate, if that is one fixed address of the image."""
        kinds = [instruction.op_kind(index) for index in range(instruction.op_count)]
        if OpKind.MEMORY in kinds and instruction.memory_base in {Register.NONE, *IP}:
            at = instruction.memory_displacement
            return int(at if self.bits == 64 else at - self.base)
        if self.bits == 32 and OpKind.IMMEDIATE32 in kinds:
            value = instruction.immediate32 - self.base
            return value if 0 < value < self.pe.OPTIONAL_HEADER.SizeOfImage else None
        return None

    def asked_of_windows(self, function: Function) -> list[tuple[Any, bool]]:
        """Calls of IsProcessorFeaturePresent, and whether they go through a jump."""
        found = []
        for call in function.having(Mnemonic.CALL):
            thunk = self.read(call.near_branch_target).code if call.flow_control == FlowControl.CALL else {}
            jump = thunk.get(call.near_branch_target)
            through = jump is not None and jump.flow_control == FlowControl.INDIRECT_BRANCH
            name = self.imported.get(self.address(jump if through else call) or 0)
            if name == "IsProcessorFeaturePresent":
                found.append((call, through))
        return found

    def writes_to(self, rva: int) -> list[Function]:
        return [
            function
            for function in self.functions.values()
            for one in function.having(Mnemonic.MOV)
            if one.op_kind(0) == OpKind.MEMORY and self.address(one) == rva
        ]

    def reads(self, function: Function, rva: int) -> bool:
        return any(
            one.op_kind(0) != OpKind.MEMORY or one.mnemonic == Mnemonic.CMP
            for one in function.code.values()
            if OpKind.MEMORY in [one.op_kind(index) for index in range(one.op_count)] and self.address(one) == rva
        )

    def section(self, name: bytes) -> Any:
        return next(section for section in self.pe.sections if section.Name.rstrip(b"\0") == name)


def program(animal: dict[str, Any]) -> Program:
    (file,) = animal["files"]
    return Program(pefile.PE(data=(folder(animal) / file["out"]).read_bytes()))


def any_avx(functions: list[Function]) -> bool:
    return any(function.has_avx for function in functions)


def through_register(function: Function) -> list[Any]:
    return [one for one in function.having(Mnemonic.CALL) if one.flow_control == FlowControl.INDIRECT_CALL]


def is_conditional(instruction: Any) -> bool:
    return instruction is not None and instruction.flow_control == FlowControl.CONDITIONAL_BRANCH


def uses_eax_next(function: Function, call: Any) -> bool:
    after = function.follows(call)
    is_test = after.mnemonic == Mnemonic.TEST and after.op0_register == Register.EAX
    return is_test and is_conditional(function.follows(after))


# ---- by source


def check_init_avx(code: Program, _: list[str]) -> None:
    assert code.entry.has_avx
    assert not code.entry.asks


def check_init_instruction(code: Program, defines: list[str]) -> None:
    told = bytes(int(byte, 0) for byte in defines[0].removeprefix("BYTES=").split(","))
    found = iced_x86.Decoder(code.bits, told.ljust(15, b"\x90")).decode()
    assert found.len == len(told)
    assert [one.code for one in code.entry.code.values()].count(found.code) == 1
    assert not any(function.asks for function in code.functions.values())


def check_tls_callback_avx(code: Program, _: list[str]) -> None:
    first = code.pe.DIRECTORY_ENTRY_TLS.struct.AddressOfCallBacks - code.base
    callback = code.functions[code.pointer(first)]
    assert code.pointer(first + code.width) == 0
    assert any_avx(code.leads_to(callback))
    assert not any_avx(code.leads_to(code.entry))


def initialisers(code: Program) -> list[Function]:
    """Those of the table in the section .CRT, which begins and ends with an empty entry."""
    section = code.section(b".CRT")
    table = [code.pointer(section.VirtualAddress + at) for at in range(0, section.Misc_VirtualSize, code.width)]
    assert table[0] == table[-1] == 0
    return [code.functions[rva] for rva in table if rva]


def check_initterm(code: Program, defines: list[str]) -> None:
    harmless, uses_avx = initialisers(code)
    assert uses_avx.has_avx
    assert not any_avx(code.leads_to(code.entry, harmless))
    assert not any(function.asks for function in code.functions.values())
    calls = through_register(code.entry)
    if defines == ["IMPORTED"]:
        assert [code.imported[code.address(one) or 0] for one in calls] == ["_initterm"]
    elif defines == ["LOOP"]:
        assert [code.address(one) for one in calls] == [None]
        assert not code.entry.calls
    else:
        assert not calls
        (own,) = (code.functions[start] for start in code.entry.calls)
        assert [code.address(one) for one in through_register(own)] == [None]


def check_constructors(code: Program, _: list[str]) -> None:
    (uses_avx,) = (function for function in code.functions.values() if function.has_avx)
    reached = code.leads_to(code.entry)
    assert uses_avx not in reached
    assert sum(len(through_register(function)) for function in reached) == 1
    places = {code.address(one) for function in reached for one in function.code.values()} - {None}
    minus_one = -1 & (1 << code.bits) - 1
    (list_at,) = (at for at in places if at and code.pointer(at) == minus_one - code.base)
    entries = [code.pointer(list_at + number * code.width) for number in range(1, 5)]
    assert entries[1] == uses_avx.start
    assert entries[3] == 0
    assert code.text.contains_rva(list_at) == (not any(s.Name.startswith(b".ctors") for s in code.pe.sections))


def check_reached(code: Program, defines: list[str]) -> None:
    (uses_avx,) = (function for function in code.functions.values() if function.has_avx)
    (outer,) = (code.functions[start] for start in code.entry.calls)
    assert not any(function.asks for function in code.functions.values())
    if defines == ["CALLS"]:
        (inner,) = (code.functions[start] for start in outer.calls)
        assert inner.calls == [uses_avx.start]
        assert not outer.has_avx
        assert not outer.having(Mnemonic.JE, Mnemonic.JNE)
    elif defines == ["JUMP"]:
        assert outer.jumps == [uses_avx.start]
        assert not outer.calls
    else:
        assert outer.calls == [uses_avx.start]
        (compared,) = outer.having(Mnemonic.CMP)
        assert is_conditional(outer.follows(compared))
        is_so = code.address(compared)
        assert is_so
        assert code.number(is_so) == (0 if defines else 1)
        assert not code.writes_to(is_so)


def check_through_pointer(code: Program, _: list[str]) -> None:
    (call,) = through_register(code.entry)
    assert call.op0_kind == OpKind.REGISTER
    loads = [one for one in code.entry.having(Mnemonic.MOV) if one.op0_register == call.op0_register]
    (pointer,) = {at for at in map(code.address, loads) if at and not code.text.contains_rva(at)}
    assert code.section(b".data").contains_rva(pointer)
    assert code.functions[code.pointer(pointer)].has_avx
    assert not any_avx(code.leads_to(code.entry))


def check_static_local(code: Program, defines: list[str]) -> None:
    (first_use,) = (code.functions[start] for start in code.entry.calls)
    (greater,) = first_use.having(Mnemonic.JG)
    compared = first_use.code[max(at for at in first_use.code if at < greater.ip)]
    assert compared.mnemonic == Mnemonic.CMP
    assert compared.op1_register == Register.EAX
    segment = Register.GS if code.bits == 64 else Register.FS
    assert [one for one in first_use.code.values() if one.segment_prefix == segment]
    assert first_use.asks == (defines == ["ASKS"])
    called = [at for at, one in first_use.code.items() if one.near_branch_target in avx_starts(code)]
    (uses_avx,) = (at for at in called if first_use.code[at].flow_control == FlowControl.CALL)
    in_initialiser = uses_avx >= greater.near_branch_target
    assert in_initialiser == (defines != ["ASKS"])
    assert all(one.ip > greater.near_branch_target for one in first_use.having(Mnemonic.CPUID))


def avx_starts(code: Program) -> set[int]:
    return {function.start for function in code.functions.values() if function.has_avx}


def check_asked_unused(code: Program, _: list[str]) -> None:
    first, second = code.entry.calls
    assert code.functions[first].asks
    assert code.functions[second].has_avx
    call = next(one for one in code.entry.having(Mnemonic.CALL) if one.near_branch_target == first)
    assert code.entry.follows(call).mnemonic == Mnemonic.CALL  # nothing looks at what was returned
    (kept,) = (at for at in written_by(code, code.functions[first]) if not code.reads(code.functions[second], at))
    assert not any(code.reads(function, kept) for function in code.functions.values())


def written_by(code: Program, function: Function) -> list[int]:
    moves = [one for one in function.having(Mnemonic.MOV) if one.op_kind(0) == OpKind.MEMORY]
    return [at for at in map(code.address, moves) if at]


def check_asked_windows(code: Program, defines: list[str]) -> None:
    ((call, through),) = code.asked_of_windows(code.entry)
    feature = next(int(define.removeprefix("FEATURE=")) for define in defines if define.startswith("FEATURE="))
    before = code.entry.code[max(at for at in code.entry.code if at < call.ip)]
    assert before.immediate(before.op_count - 1) == feature
    assert through == ("THUNK" in defines)
    assert uses_eax_next(code.entry, call) == ("ANYWAY" not in defines)
    assert any_avx(code.leads_to(code.entry))
    assert not any(function.asks for function in code.functions.values())


def check_guarded(code: Program, defines: list[str]) -> None:
    reached = code.leads_to(code.entry)
    assert any_avx(reached)
    asking = [function for function in reached if function.asks]
    globals()[f"check_guarded_{defines[0].lower()}"](code, *asking)


def check_guarded_in_place(code: Program, asking: Function) -> None:
    assert asking is code.entry
    assert code.entry.calls[0] in avx_starts(code)


def check_guarded_returns(code: Program, asking: Function) -> None:
    assert asking.start == code.entry.calls[0]
    assert uses_eax_next(code.entry, code.entry.having(Mnemonic.CALL)[0])
    assert not written_by(code, asking)


def check_guarded_xgetbv(code: Program, asking: Function) -> None:
    check_guarded_returns(code, asking)
    assert asking.having(Mnemonic.CPUID)[0].ip < asking.having(Mnemonic.XGETBV)[0].ip


def check_guarded_writes_back(code: Program, asking: Function) -> None:
    assert asking.start == code.entry.calls[0]
    of_stack = [one for one in code.entry.having(Mnemonic.LEA) if one.memory_base in STACK]
    assert [one for one in of_stack if one.op0_register not in STACK]
    assert not written_by(code, asking)
    assert not uses_eax_next(code.entry, code.entry.having(Mnemonic.CALL)[0])


def check_guarded_object(code: Program, asking: Function) -> None:
    first, second = code.entry.calls
    assert asking.start == first
    assert not written_by(code, asking)  # but through the pointer that it gets
    assert code.functions[second].calls[0] in avx_starts(code)
    given = {code.address(one) for one in code.entry.having(Mnemonic.LEA, Mnemonic.PUSH)}
    (read,) = (code.address(one) for one in code.functions[second].having(Mnemonic.CMP))
    assert read
    assert read - 4 in given


def check_guarded_getter(code: Program, asking: Function) -> None:
    first, second, third = code.entry.calls
    (kept,) = written_by(code, asking)
    assert asking.start == first
    assert code.reads(code.functions[second], kept)
    assert not code.functions[second].calls
    assert third in avx_starts(code)
    assert not code.reads(code.entry, kept)


def check_guarded_initialisers(code: Program, _: list[str]) -> None:
    ask, use = initialisers(code)
    (kept,) = written_by(code, ask)
    assert ask.asks
    assert not use.asks
    assert code.reads(use, kept)
    assert any_avx(code.leads_to(use))
    assert not any_avx(code.leads_to(code.entry))


def check_at_detach(code: Program, defines: list[str]) -> None:
    """Walk the entry point with each reason: AVX is called for DLL_PROCESS_DETACH, 0, and for no other one."""
    assert [reason for reason in range(4) if runs_avx(code, reason)] == [0]
    assert len(code.entry.having(Mnemonic.CMP, Mnemonic.TEST)) == (1 if defines == ["IF"] else 3)


def runs_avx(code: Program, reason: int) -> bool:
    """Whether the entry point, called with a reason, calls what uses AVX. It has no other conditions than that."""
    at, compared = code.entry.start, None
    for _ in range(100):
        one = code.entry.code[at]
        at = one.next_ip
        if one.mnemonic == Mnemonic.CMP:
            compared = one.immediate(1)
        elif one.mnemonic == Mnemonic.TEST:
            compared = 0
        elif one.flow_control == FlowControl.CALL:
            return one.near_branch_target in avx_starts(code)
        elif one.flow_control == FlowControl.RETURN:
            return False
        elif one.flow_control == FlowControl.UNCONDITIONAL_BRANCH:
            at = one.near_branch_target
        elif one.flow_control == FlowControl.CONDITIONAL_BRANCH:
            taken = {Mnemonic.JE: reason == compared, Mnemonic.JNE: reason != compared}[one.mnemonic]
            at = one.near_branch_target if taken else at
    raise AssertionError("it does not end")


def check_not_called(code: Program, _: list[str]) -> None:
    (uses_avx,) = avx_starts(code)
    assert not any_avx(code.leads_to(code.entry))
    assert uses_avx in (code.exported if len(code.exported) > 1 else code.listed)


def check_chosen_by_constant(code: Program, _: list[str]) -> None:
    (fill,) = (code.functions[start] for start in code.entry.calls)
    assert {"AVX", "SSE"} <= fill.features
    (compared,) = fill.having(Mnemonic.CMP)
    constant = code.address(compared)
    assert constant
    assert code.number(constant) == 0
    assert not code.writes_to(constant)
    assert not any(function.asks for function in code.functions.values())


# ---- the herd


@pytest.mark.parametrize("animal", [pytest.param(animal, id=animal["name"]) for animal in ANIMALS])
def test_code_does_what_its_source_says(animal: dict[str, Any]) -> None:
    (file,) = animal["files"]
    code = program(animal)
    assert code.text.Name.startswith(b".text")
    globals()[f"check_{Path(file['source']).stem}"](code, file["defines"])


@pytest.mark.parametrize("animal", [pytest.param(a, id=a["name"]) for a in ANIMALS if a["processor"].get("set")])
def test_no_other_instruction_set_is_in_the_file(animal: dict[str, Any]) -> None:
    """So that a prediction is right for the right reason."""
    wanted = {animal["processor"]["set"].upper()}
    ordinary = {"INTEL8086", "INTEL386", "INTEL186", "X64", "MULTIBYTENOP", "CPUID", "XSAVE", "CMOV"}
    baseline = {"SSE", "SSE2"}
    found = {name for function in program(animal).functions.values() for name in function.features}
    assert found - ordinary - baseline == wanted
