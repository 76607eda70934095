/* x86 instructions, one by one: how long, what it is, what it needs. Not part of the public interface. */
#ifndef DEPWALK_ISA_H
#define DEPWALK_ISA_H

#include <stdbool.h>

#include "pe.h"

enum {
    ISA_LONGEST = 15,       /* bytes of an instruction, prefixes included */
    ISA_NO_ROW = DW_NO_ROW
};

/* Prefixes that were seen. */
enum {
    ISA_OPERAND_SIZE = 1,
    ISA_REPEAT = 2,         /* F3 */
    ISA_REPEAT_NOT = 4,     /* F2 */
    ISA_LOCK = 8,
    ISA_ADDRESS_SIZE = 16,
    ISA_SEGMENT = 32,       /* FS or GS: an address with it is none of the image */
    ISA_HINT = 64           /* the other segments: ignored, or a hint to a jump */
};

enum {
    ISA_LEGACY = 0,
    ISA_VEX = 1,
    ISA_EVEX = 2,
    ISA_XOP = 3,
    ISA_REX2 = 4
};

/* Bits that extend the fields of ModRM and SIB, as in REX; of EVEX only those that REX has. */
enum {
    ISA_B = 1,
    ISA_X = 2,
    ISA_R = 4,
    ISA_W = 8
};

typedef struct isa_instruction {
    uint8_t length;         /* bytes, 1 to ISA_LONGEST */
    uint8_t encoding;       /* ISA_LEGACY, ... */
    uint8_t map;            /* number of the opcode map in isa.toml; 0 is the one-byte map, 1 is 0F */
    uint8_t opcode;
    uint8_t prefixes;
    uint8_t rex;
    uint8_t has_modrm;
    uint8_t modrm;
    uint8_t modrm_at;       /* where ModRM begins, if there is one */
    uint8_t operand_at;     /* where the immediate begins, or the address of MOV A0 to A3 */
    uint8_t set;            /* what it needs: number of a distinct `is` of isa.toml; 0 is "base" */
    uint8_t kind;           /* one of isa.toml */
    uint16_t row;           /* of isa.toml, ISA_NO_ROW if none fits */
} isa_instruction;

/* Read the instruction at `code`. False if `size` bytes do not hold it whole, or it would be too long. */
bool isa_read(const uint8_t *code, uint64_t size, bool wide, isa_instruction *found);

/* Whether an instruction is a question to the processor: CPUID or XGETBV. */
bool isa_asks(const isa_instruction *found);

/* Whether `size` bytes of code, of which `held` can be read, hold a question. */
bool isa_holds_question(const uint8_t *code, uint32_t size, uint32_t held, bool wide);

/* Whether no code follows: it stops the program. */
bool isa_stops(const isa_instruction *found);

/* Whether it is something else than an instruction that its set is needed for. */
bool isa_is_special(const isa_instruction *found);

enum {
    ISA_ASKS_FAST_FAIL = 23 /* PF_FASTFAIL_AVAILABLE: IsProcessorFeaturePresent asked for no instruction set */
};

/* Whether the image's address table holds, at an RVA, a function of Windows that tells what the processor offers. */
bool isa_asks_windows(const dw_image *image, uint32_t slot);

/* Whether it works on XMM registers in the encoding of SSE: compilers do not mix that with VEX. */
bool isa_is_old_vector(const isa_instruction *found);

/* What is listed of a function in the exception directory of x64. */
typedef struct isa_function {
    uint32_t begin;         /* RVAs */
    uint32_t end;
    bool chained;           /* it continues another one */
} isa_function;

/* How many entries the exception directory has; 0 if the image lists no functions of x64. */
uint32_t isa_function_count(const dw_image *image);
bool isa_function_at(const dw_image *image, uint32_t index, isa_function *function);

/* The addresses of exports, four bytes each, and how many the file says there are. */
pe_table isa_exports(const dw_image *image, uint32_t *count);

/* Bytes of a map with a bit for each byte of the file, in whole words. */
uint64_t isa_bitmap_size(const dw_image *image);

#endif
