/* What an instruction does with registers, memory and the flow of control. Not part of the public interface. */
#ifndef DEPWALK_OPERANDS_H
#define DEPWALK_OPERANDS_H

#include "isa.h"

/* An instruction in an image. */
typedef struct op_instruction {
    isa_instruction is;
    const uint8_t *code;
    uint32_t rva;
    uint32_t next;          /* RVA of what follows */
} op_instruction;

/* What an instruction does with RAX. */
typedef enum op_use {
    OP_NONE,
    OP_READ,
    OP_OVERWRITTEN
} op_use;

/* Whether it has this opcode of the one-byte map. */
static inline bool op_is(const op_instruction *i, uint8_t opcode)
{
    return i->is.map == 0 && i->is.encoding == ISA_LEGACY && i->is.opcode == opcode;
}

static inline bool op_in_0f(const op_instruction *i)
{
    return i->is.map == 1 && i->is.encoding == ISA_LEGACY;
}

static inline uint8_t op_reg(const op_instruction *i)
{
    return (uint8_t)((i->is.modrm >> 3 & 7) | (i->is.rex & ISA_R ? 8 : 0));
}

/* The byte after ModRM, of a SIB or a displacement; 0 if the instruction has none. */
static inline uint8_t op_after_modrm(const op_instruction *i)
{
    uint32_t at = i->is.modrm_at + 1u;
    return i->is.has_modrm && at < i->is.length ? i->code[at] : 0;
}

/* The immediate operand, or the first four bytes of it. */
static inline uint32_t op_immediate(const op_instruction *i)
{
    const uint8_t *operand = i->code + i->is.operand_at;
    uint32_t size = i->is.length - (uint32_t)i->is.operand_at;
    return size >= 4 ? pe_u32(operand) : size >= 2 ? pe_u16(operand) : size == 1 ? operand[0] : 0;
}

static inline bool op_has_memory(const op_instruction *i)
{
    return i->is.has_modrm && i->is.modrm < 0xC0;
}

static inline bool op_is_register(const op_instruction *i, uint8_t number)
{
    return i->is.has_modrm && i->is.modrm >= 0xC0 && ((i->is.modrm & 7) | (i->is.rex & ISA_B ? 8 : 0)) == number;
}

static inline bool op_is_call(const op_instruction *i)
{
    return op_is(i, 0xE8) || (op_is(i, 0xFF) && (i->is.modrm >> 3 & 7) == 2);
}

static inline bool op_jumps_through_pointer(const op_instruction *i)
{
    return op_is(i, 0xFF) && (i->is.modrm >> 3 & 7) == 4;
}

static inline bool op_is_conditional(const op_instruction *i)
{
    return (op_in_0f(i) && (i->is.opcode & 0xF0) == 0x80) ||
           (i->is.map == 0 && i->is.encoding == ISA_LEGACY &&
            ((i->is.opcode & 0xF0) == 0x70 || (i->is.opcode & 0xFC) == 0xE0));
}

uint32_t op_branch_target(const op_instruction *i);

/* Whether a register is the base or the index of a memory operand. */
bool op_addresses_by(const op_instruction *i, uint8_t number);

/* The RVA of a memory operand that is one fixed address of the image; 0 if it is none. */
uint32_t op_fixed_address(const dw_image *image, const op_instruction *i);

/* Bytes of a memory operand, at most. */
uint32_t op_size(const op_instruction *i);

/* Whether a memory operand is written and not read. */
bool op_only_writes(const op_instruction *i);

/* Whether a memory operand is written at all. */
bool op_writes(const op_instruction *i);

/* What an instruction does to RAX. */
op_use op_use_of_rax(const op_instruction *i);

/* Registers that an instruction may change, a bit for each; rather too many of them than too few. */
uint32_t op_changed_registers(const op_instruction *i);

#endif
