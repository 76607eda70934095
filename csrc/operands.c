/* What an instruction does with registers, memory and the flow of control. */
#include "operands.h"

uint32_t op_branch_target(const op_instruction *i)
{
    bool is_short = i->is.map == 0 && i->is.opcode != 0xE8 && i->is.opcode != 0xE9;
    return i->next + (is_short ? (op_immediate(i) ^ 0x80u) - 0x80u : op_immediate(i));
}

bool op_addresses_by(const op_instruction *i, uint8_t number)
{
    if (!op_has_memory(i)) {
        return false;
    }
    uint8_t rm = i->is.modrm & 7, mod = i->is.modrm >> 6, sib = op_after_modrm(i);
    uint8_t high = i->is.rex & ISA_B ? 8 : 0;
    if (rm != 4) {
        return !(mod == 0 && rm == 5) && (rm | high) == number;
    }
    bool has_base = mod != 0 || (sib & 7) != 5;
    uint8_t index = (uint8_t)((sib >> 3 & 7) | (i->is.rex & ISA_X ? 8 : 0));
    return (has_base && ((sib & 7) | high) == number) || (index != 4 && index == number);
}

uint32_t op_fixed_address(const dw_image *image, const op_instruction *i)
{
    bool wide = image->magic == 0x20B;
    if (i->is.prefixes & (ISA_SEGMENT | ISA_ADDRESS_SIZE)) {
        return 0;
    }
    const uint8_t *modrm = i->code + i->is.modrm_at;
    if (op_has_memory(i) && (modrm[0] & 0xC7) == 5) {
        uint32_t displacement = pe_u32(modrm + 1);
        return wide ? i->next + displacement : displacement - (uint32_t)image->image_base;
    }
    bool indexed = !wide && op_has_memory(i) && (modrm[0] & 0xC7) == 4 && (modrm[1] & 7) == 5; /* an array of globals */
    if (indexed) {
        return pe_u32(modrm + 2) - (uint32_t)image->image_base;
    }
    bool direct = !wide && i->is.map == 0 && i->is.opcode >= 0xA0 && i->is.opcode <= 0xA3;
    return direct ? pe_u32(i->code + i->is.operand_at) - (uint32_t)image->image_base : 0;
}

uint32_t op_size(const op_instruction *i)
{
    bool vector = i->is.set != 0 && i->is.map != 0;
    return vector ? 16 : i->is.rex & ISA_W ? 8 : 4;
}

bool op_only_writes(const op_instruction *i)
{
    uint8_t opcode = i->is.opcode;
    if (i->is.encoding == ISA_LEGACY && i->is.map == 0) {
        return opcode == 0x88 || opcode == 0x89 || opcode == 0xC6 || opcode == 0xC7 || opcode == 0xA2 || opcode == 0xA3;
    }
    bool is_set = op_in_0f(i) && (opcode & 0xF0) == 0x90;
    bool is_store = opcode == 0x11 || opcode == 0x13 || opcode == 0x17 || opcode == 0x29 || opcode == 0x2B ||
                    opcode == 0x7F || opcode == 0xD6 || opcode == 0xE7 || opcode == 0x7E;
    return is_set || (is_store && !op_is(i, opcode) && i->is.map != 0);
}

bool op_writes(const op_instruction *i)
{
    uint8_t opcode = i->is.opcode, extension = i->is.modrm >> 3 & 7;
    if (op_only_writes(i)) {
        return true;
    }
    if (i->is.encoding != ISA_LEGACY) {
        return false;
    }
    if (i->is.map == 0) {
        bool arithmetic = opcode < 0x38 && (opcode & 7) < 2;
        bool immediate = (opcode == 0x80 || opcode == 0x81 || opcode == 0x83) && extension != 7;
        bool counts = (opcode & 0xFE) == 0xFE && extension < 2;
        return arithmetic || immediate || counts || opcode == 0x86 || opcode == 0x87;
    }
    bool exchanges = (opcode & 0xFE) == 0xB0 || (opcode & 0xFE) == 0xC0;
    bool changes_bit = opcode == 0xAB || opcode == 0xB3 || opcode == 0xBB || (opcode == 0xBA && extension > 4);
    return op_in_0f(i) && (exchanges || changes_bit);
}

/* What an instruction with ModRM that loads `reg` from `rm` does to RAX. */
static op_use use_by_load(const op_instruction *i)
{
    if (op_addresses_by(i, 0) || op_is_register(i, 0)) {
        return OP_READ;
    }
    return op_reg(i) == 0 ? OP_OVERWRITTEN : OP_NONE;
}

static op_use use_in_0f(const op_instruction *i)
{
    uint8_t opcode = i->is.opcode;
    bool extends = (opcode & 0xF6) == 0xB6, moves_mask = opcode == 0x50 || opcode == 0xD7 || (opcode & 0xFE) == 0x2C;
    if (extends || moves_mask) {
        return use_by_load(i);
    }
    if (op_addresses_by(i, 0)) {
        return OP_READ;
    }
    bool general = (opcode & 0xF0) == 0x40 || opcode == 0xAF || (opcode >= 0xA3 && opcode <= 0xA5) ||
                   (opcode >= 0xAB && opcode <= 0xAD) || (opcode >= 0xB0 && opcode <= 0xC1 && opcode != 0xB2);
    if (general && (op_reg(i) == 0 || op_is_register(i, 0))) {
        return OP_READ;
    }
    bool sets = (opcode & 0xF0) == 0x90 || opcode == 0x7E;
    if (sets && op_is_register(i, 0)) {
        return OP_OVERWRITTEN;
    }
    bool from_general = opcode == 0x6E || opcode == 0x2A;
    return from_general && op_is_register(i, 0) ? OP_READ : OP_NONE;
}

/* One-byte opcodes whose register is in the opcode, or that always mean RAX. */
static op_use use_without_modrm(const op_instruction *i)
{
    uint8_t opcode = i->is.opcode;
    bool own = (opcode & 7) == 0 && !(i->is.rex & ISA_B);
    if ((opcode & 0xF8) == 0x58 || (opcode & 0xF8) == 0xB8 || (opcode & 0xF8) == 0xB0) {
        return own ? OP_OVERWRITTEN : OP_NONE;
    }
    if ((opcode & 0xF8) == 0x50) {
        return own ? OP_READ : OP_NONE;
    }
    if ((opcode & 0xFE) == 0xA0) {
        return OP_OVERWRITTEN;
    }
    bool implied = (opcode < 0x40 && (opcode & 6) == 4) || (opcode > 0x90 && opcode <= 0x99) || (opcode & 0xFE) == 0xA2 ||
                   (opcode & 0xFE) == 0xA8 || (opcode & 0xFE) == 0xAA;
    return implied ? OP_READ : OP_NONE;
}

op_use op_use_of_rax(const op_instruction *i)
{
    uint8_t opcode = i->is.opcode, extension = i->is.modrm >> 3 & 7;
    if (op_is_call(i)) {
        bool through = op_is(i, 0xFF) && (op_addresses_by(i, 0) || op_is_register(i, 0));
        return through ? OP_READ : OP_OVERWRITTEN;
    }
    if (i->is.encoding != ISA_LEGACY || i->is.map > 1) {
        return op_addresses_by(i, 0) ? OP_READ : OP_NONE;
    }
    if (i->is.map == 1) {
        return use_in_0f(i);
    }
    if (!i->is.has_modrm) {
        return use_without_modrm(i);
    }
    bool clears = (opcode == 0x31 || opcode == 0x33 || opcode == 0x29 || opcode == 0x2B) && i->is.modrm == 0xC0;
    if (clears && !(i->is.rex & (ISA_R | ISA_B))) {
        return OP_OVERWRITTEN;
    }
    if (opcode == 0x8A || opcode == 0x8B || opcode == 0x63 || opcode == 0x8D || opcode == 0x69 || opcode == 0x6B) {
        return use_by_load(i);
    }
    if (op_addresses_by(i, 0)) {
        return OP_READ;
    }
    bool stores = opcode == 0x88 || opcode == 0x89;
    bool has_reg = opcode < 0x40 || (opcode & 0xFC) == 0x84 || stores;
    if (has_reg && op_reg(i) == 0) {
        return OP_READ;
    }
    if (op_is_register(i, 0)) {
        return stores || opcode == 0xC6 || opcode == 0xC7 ? OP_OVERWRITTEN : OP_READ;
    }
    bool multiplies = (opcode & 0xFE) == 0xF6 && extension >= 4;
    return multiplies ? OP_READ : OP_NONE;
}

uint32_t op_changed_registers(const op_instruction *i)
{
    enum { ALL = 0xFFFF, RAX = 1, RDX = 4 };
    uint8_t opcode = i->is.opcode, extension = i->is.modrm >> 3 & 7;
    if (op_is_conditional(i)) {
        return 0;
    }
    bool exchanges = op_in_0f(i) && ((opcode & 0xFE) == 0xB0 || opcode == 0xC7); /* ... with RAX and RDX */
    if (i->is.encoding != ISA_LEGACY || exchanges || (!i->is.has_modrm && i->is.map != 0)) {
        return ALL;
    }
    if (!i->is.has_modrm) {
        bool takes = (opcode & 0xF8) == 0x58 || (opcode & 0xF8) == 0xB8 || (opcode & 0xF0) == 0x40; /* POP, MOV, INC */
        bool keeps = (opcode & 0xF8) == 0x50 || (opcode & 0xFD) == 0x68 || opcode == 0x90 || (opcode & 0xFE) == 0xA8 ||
                     (opcode & 0xFE) == 0x3C || opcode == 0xE9 || opcode == 0xEB;
        return takes ? 1u << ((opcode & 7) | (i->is.rex & ISA_B ? 8 : 0)) : keeps ? 0 : ALL;
    }
    uint32_t reg = 1u << op_reg(i), rm = i->is.modrm < 0xC0 ? 0 : 1u << ((i->is.modrm & 7) | (i->is.rex & ISA_B ? 8 : 0));
    bool is_byte = i->is.map == 0 ? !(opcode & 1) : (opcode & 0xF0) == 0x90 || opcode == 0xC0;
    if (is_byte && i->is.rex == 0) { /* maybe AH, CH, DH or BH */
        reg |= reg >> 4;
        rm |= rm >> 4;
    }
    if (i->is.map != 0) {
        return reg | rm;
    }
    bool compares = (opcode & 0xFC) == 0x38 || (opcode & 0xFE) == 0x84 || (opcode == 0x83 && extension == 7) ||
                    (opcode == 0x81 && extension == 7);
    bool multiplies = (opcode & 0xFE) == 0xF6 && extension >= 4, is_x87 = (opcode & 0xF8) == 0xD8; /* FNSTSW AX */
    bool only_rm = (opcode < 0x40 && (opcode & 2) == 0) || (opcode & 0xFC) == 0x80 || (opcode & 0xFE) == 0x88 ||
                   opcode >= 0xC0;
    bool only_reg = (opcode < 0x40 && (opcode & 2) != 0) || (opcode & 0xFE) == 0x8A || opcode == 0x8D;
    return compares ? 0 : (multiplies || is_x87 ? RAX | RDX : 0) | (only_rm ? 0 : reg) | (only_reg ? 0 : rm);
}
