/* x86 instructions: their lengths and the instruction sets they belong to, and which of them an image contains. */
#include "isa.h"

#include "pe.h"

/* What follows an opcode. */
enum {
    ISA_SHAPE_MODRM = 1,
    ISA_SHAPE_IMM8 = 2,
    ISA_SHAPE_IMM16 = 4,
    ISA_SHAPE_IMM32 = 8,
    ISA_SHAPE_IMMZ = 16,
    ISA_SHAPE_IMMV = 32,
    ISA_SHAPE_MOFFS = 64
};

/* A row of isa.toml: masks of what fits. */
typedef struct isa_row {
    uint8_t set;
    uint8_t kind;
    uint8_t modes;          /* 1: 32 bits, 2: 64 bits */
    uint8_t w;              /* 1: W is 0, 2: W is 1 */
    uint8_t lengths;        /* bit 0: 128 bits, 1: 256, 2: 512 */
    uint8_t has_modrm;      /* the fields below limit it */
    uint8_t forms;          /* 1: memory, 2: register */
    uint8_t reg;
    uint8_t rm;
} isa_row;

#include "isa_table.h"

enum {
    SLACK = 32              /* so many bytes may be read at an instruction before its length is known */
};

/* The mandatory prefix that selects a column of isa_cells. */
enum {
    PP_NONE = 0,
    PP_66 = 1,
    PP_F3 = 2,
    PP_F2 = 3
};

typedef struct reading {
    isa_instruction *found;
    uint8_t pp;             /* PP_... */
    uint8_t w;
    uint8_t length;         /* of the vectors: 0 is 128 bits */
    bool wide;
    bool undefined;         /* a prefix forbids it */
} reading;

static uint8_t prefix_bit(uint8_t byte)
{
    switch (byte) {
    case 0x66:
        return ISA_OPERAND_SIZE;
    case 0xF3:
        return ISA_REPEAT;
    case 0xF2:
        return ISA_REPEAT_NOT;
    case 0xF0:
        return ISA_LOCK;
    case 0x67:
        return ISA_ADDRESS_SIZE;
    case 0x64:
    case 0x65:
        return ISA_SEGMENT;
    default:
        return 0;
    }
}

static bool is_prefix(uint8_t byte)
{
    return prefix_bit(byte) != 0 || byte == 0x26 || byte == 0x2E || byte == 0x36 || byte == 0x3E;
}

/* Prefixes and REX, which counts only right before the opcode. Returns where the opcode begins. */
static uint8_t read_prefixes(const uint8_t *code, reading *read)
{
    isa_instruction *found = read->found;
    uint8_t at = 0;
    for (; at < ISA_LONGEST; at++) {
        uint8_t byte = code[at];
        if (read->wide && (byte & 0xF0) == 0x40) {
            found->rex = byte & 0xF;
            if (!is_prefix(code[at + 1]) && (code[at + 1] & 0xF0) != 0x40) {
                at++;
                break;
            }
            found->rex = 0;
        } else if (is_prefix(byte)) {
            found->prefixes |= prefix_bit(byte);
            if (byte == 0xF3 || byte == 0xF2) {
                read->pp = byte == 0xF3 ? PP_F3 : PP_F2; /* the last one counts */
            }
        } else {
            break;
        }
    }
    if (read->pp == PP_NONE && (found->prefixes & ISA_OPERAND_SIZE)) {
        read->pp = PP_66;
    }
    return at;
}

/* Which encoding an opcode byte begins. In 32 bits the memory forms of LES, LDS and BOUND share theirs. */
static uint8_t encoding_of(const uint8_t *code, bool wide)
{
    switch (code[0]) {
    case 0xC4:
    case 0xC5:
        return wide || code[1] >= 0xC0 ? ISA_VEX : ISA_LEGACY;
    case 0x62:
        return wide || code[1] >= 0xC0 ? ISA_EVEX : ISA_LEGACY;
    case 0x8F:
        return (code[1] & 0x1F) >= 8 && (code[1] & 0x1F) <= 10 ? ISA_XOP : ISA_LEGACY; /* else POP */
    case 0xD5:
        return wide ? ISA_REX2 : ISA_LEGACY; /* else AAD */
    default:
        return ISA_LEGACY;
    }
}

/* The opcode map of a legacy opcode. Returns where the byte after the opcode is. */
static uint8_t read_legacy(const uint8_t *code, uint8_t at, reading *read)
{
    isa_instruction *found = read->found;
    found->map = ISA_MAP_ONE_BYTE;
    if (code[at] == 0x0F) {
        at++;
        found->map = ISA_MAP_0F;
        if (code[at] == 0x38 || code[at] == 0x3A) {
            found->map = code[at] == 0x38 ? ISA_MAP_0F38 : ISA_MAP_0F3A;
            at++;
        }
    }
    found->opcode = code[at];
    read->w = found->rex >> 3 & 1;
    return (uint8_t)(at + 1);
}

/* APX: one byte in place of REX and 0F (its specification, "REX2 prefix"): bit 7 is the map, the low half as in REX. */
static uint8_t read_rex2(const uint8_t *code, uint8_t at, reading *read)
{
    isa_instruction *found = read->found;
    read->undefined = found->rex != 0;
    found->rex = code[at + 1] & 0xF;
    found->map = code[at + 1] & 0x80 ? ISA_MAP_0F : ISA_MAP_ONE_BYTE;
    found->opcode = code[at + 2];
    read->w = found->rex >> 3 & 1;
    return (uint8_t)(at + 3);
}

/* The number of the map that VEX, EVEX or XOP names; ISA_MAPS if there is no such map. */
static uint8_t vector_map(uint8_t encoding, uint8_t number)
{
    static const uint8_t evex[8] = {ISA_MAPS,           ISA_MAP_EVEX_0F, ISA_MAP_EVEX_0F38, ISA_MAP_EVEX_0F3A,
                                    ISA_MAPS,           ISA_MAP_EVEX_05, ISA_MAP_EVEX_06,   ISA_MAPS};
    if (encoding == ISA_EVEX) {
        return number < 8 ? evex[number] : ISA_MAPS;
    }
    if (encoding == ISA_XOP) {
        return (uint8_t)(ISA_MAP_XOP_08 + number - 8);
    }
    return number >= 1 && number <= 3 ? (uint8_t)(ISA_MAP_VEX_0F + number - 1) : ISA_MAPS;
}

/* VEX, EVEX and XOP: the prefix says what other encodings say with several (SDM vol. 2, 2.3.5 and 2.7.1). */
static uint8_t read_vector(const uint8_t *code, uint8_t at, reading *read)
{
    isa_instruction *found = read->found;
    uint8_t first = code[at + 1], second = code[at + 2];
    /* Undefined after REX and these prefixes: SDM vol. 2, 2.3.2 and 2.3.3. */
    read->undefined = found->rex != 0 || (found->prefixes & (ISA_OPERAND_SIZE | ISA_REPEAT | ISA_REPEAT_NOT | ISA_LOCK));
    found->rex = (uint8_t)(~first >> 5 & 7);
    if (code[at] == 0xC5) {
        found->rex = first & 0x80 ? 0 : ISA_R;
        found->map = ISA_MAP_VEX_0F;
        found->opcode = second;
        read->pp = first & 3;
        read->length = first >> 2 & 1;
        return (uint8_t)(at + 3);
    }
    found->map = vector_map(found->encoding, first & (found->encoding == ISA_EVEX ? 0xF : 0x1F));
    read->pp = second & 3;
    read->w = second >> 7;
    found->rex |= read->w ? ISA_W : 0;
    if (found->encoding != ISA_EVEX) {
        found->opcode = code[at + 3];
        read->length = second >> 2 & 1;
        return (uint8_t)(at + 4);
    }
    uint8_t third = code[at + 3];
    bool rounds = (third & 0x10) && code[at + 5] >= 0xC0; /* then the length field is the rounding mode */
    found->opcode = code[at + 4];
    read->length = rounds ? 2 : third >> 5 & 3;
    read->undefined = read->undefined || !(second & 4); /* reserved, before APX and AVX10.2 */
    return (uint8_t)(at + 5);
}

/* Bytes of ModRM, SIB and displacement. */
static uint32_t modrm_size(const uint8_t *code, bool narrow_address)
{
    uint32_t mod = code[0] >> 6, rm = code[0] & 7;
    if (mod == 3) {
        return 1;
    }
    if (narrow_address) {
        return mod == 1 ? 2 : mod == 2 || rm == 6 ? 3 : 1;
    }
    uint32_t size = rm == 4 ? 2 : 1;
    bool no_base = mod == 0 && (rm == 5 || (rm == 4 && (code[1] & 7) == 5));
    return size + (mod == 1 ? 1 : mod == 2 || no_base ? 4 : 0);
}

static bool is_near_branch(const isa_instruction *found)
{
    return (found->map == ISA_MAP_ONE_BYTE && (found->opcode == 0xE8 || found->opcode == 0xE9)) ||
           (found->map == ISA_MAP_0F && (found->opcode & 0xF0) == 0x80);
}

/* Bytes of the immediate, or of the address of MOV A0 to A3. */
static uint32_t immediate_size(const reading *read, uint32_t shape)
{
    const isa_instruction *found = read->found;
    bool small = (found->prefixes & ISA_OPERAND_SIZE) && !read->w;
    uint32_t size = (shape & ISA_SHAPE_IMM8 ? 1 : 0) + (shape & ISA_SHAPE_IMM16 ? 2 : 0) + (shape & ISA_SHAPE_IMM32 ? 4 : 0);
    if (shape & ISA_SHAPE_IMMZ) {
        size += small && !(read->wide && is_near_branch(found)) ? 2 : 4; /* Intel's branches ignore 66 in 64 bits */
    }
    if (shape & ISA_SHAPE_IMMV) {
        size += read->w ? 8 : small ? 2 : 4;
    }
    if (shape & ISA_SHAPE_MOFFS) {
        bool other = (found->prefixes & ISA_ADDRESS_SIZE) != 0;
        size += found->encoding == ISA_REX2 || (read->wide && !other) ? 8 : !read->wide && other ? 2 : 4;
    }
    return size;
}

/* What only some forms of an opcode have: the operand of TEST in groups F6 and F7, EXTRQ and INSERTQ with two bytes. */
static uint32_t extra_size(const reading *read)
{
    const isa_instruction *found = read->found;
    bool small = (found->prefixes & ISA_OPERAND_SIZE) && !read->w;
    if (found->map == ISA_MAP_ONE_BYTE && (found->opcode & 0xFE) == 0xF6 && (found->modrm >> 3 & 7) < 2) {
        return found->opcode == 0xF6 ? 1 : small ? 2 : 4;
    }
    bool inserts = found->map == ISA_MAP_0F && found->opcode == 0x78 && (read->pp == PP_66 || read->pp == PP_F2);
    return inserts ? 2 : 0;
}

static bool fits(const isa_row *row, const reading *read)
{
    uint8_t modrm = read->found->modrm;
    if (!(row->modes & (read->wide ? 2 : 1)) || !(row->w & (1u << read->w)) || !(row->lengths >> read->length & 1)) {
        return false;
    }
    return !row->has_modrm || ((row->forms & (modrm >= 0xC0 ? 2 : 1)) && (row->reg >> (modrm >> 3 & 7) & 1) &&
                               (row->rm >> (modrm & 7) & 1));
}

/* LOCK before an instruction that does not take it is undefined; which of "base" take it is not told apart. */
static bool takes_lock(const isa_instruction *found)
{
    return found->set == 0 || found->set == ISA_SET_CX16;
}

static void find_row(const reading *read)
{
    isa_instruction *found = read->found;
    if (read->undefined) {
        return;
    }
    const uint16_t *chain = isa_chains + isa_cells[found->map][read->pp][found->opcode];
    while (*chain != ISA_NO_ROW && !fits(&isa_rows[*chain], read)) {
        chain++;
    }
    if (*chain == ISA_NO_ROW) {
        return;
    }
    found->set = found->encoding == ISA_REX2 ? ISA_SET_APX : isa_rows[*chain].set;
    found->kind = isa_rows[*chain].kind;
    found->row = *chain;
    if ((found->prefixes & ISA_LOCK) && !takes_lock(found)) {
        found->row = ISA_NO_ROW;
    }
}

/* The same where SLACK bytes can be read. */
static bool read_ample(const uint8_t *code, bool wide, isa_instruction *found)
{
    reading read = {.found = found, .wide = wide};
    uint8_t at = read_prefixes(code, &read);
    if (at >= ISA_LONGEST) {
        return false;
    }
    found->encoding = encoding_of(code + at, wide);
    if (found->encoding == ISA_LEGACY) {
        at = read_legacy(code, at, &read);
    } else if (found->encoding == ISA_REX2) {
        at = read_rex2(code, at, &read);
    } else {
        at = read_vector(code, at, &read);
    }
    if (found->map == ISA_MAPS) { /* its length is not known */
        found->map = 0;
        found->length = at;
        return at <= ISA_LONGEST;
    }
    uint32_t shape = isa_shapes[found->map][found->opcode], next = at;
    found->modrm_at = at;
    if (shape & ISA_SHAPE_MODRM) {
        bool is_control = found->map == ISA_MAP_0F && (found->opcode & 0xFC) == 0x20; /* MOV CR, DR: registers only */
        found->has_modrm = 1;
        found->modrm = code[at];
        next += is_control ? 1 : modrm_size(code + at, !wide && (found->prefixes & ISA_ADDRESS_SIZE));
    }
    found->operand_at = (uint8_t)next;
    next += immediate_size(&read, shape) + (found->has_modrm ? extra_size(&read) : 0);
    found->length = (uint8_t)next;
    find_row(&read);
    return next <= ISA_LONGEST;
}

bool isa_read(const uint8_t *code, uint64_t size, bool wide, isa_instruction *found)
{
    isa_instruction none = {.row = ISA_NO_ROW};
    *found = none;
    if (size >= SLACK) {
        return read_ample(code, wide, found);
    }
    uint8_t copy[SLACK] = {0};
    for (uint64_t i = 0; i < size; i++) {
        copy[i] = code[i];
    }
    return read_ample(copy, wide, found) && found->length <= size;
}

bool isa_asks(const isa_instruction *found)
{
    return found->kind == ISA_KIND_QUESTION;
}

/* ---- one after the other ---------------------------------------------------------------------------------------- */

uint64_t dw_instructions(const uint8_t *code, uint64_t size, uint32_t bits, dw_instruction *instructions,
                         uint64_t capacity)
{
    uint64_t count = 0;
    for (uint64_t at = 0; at < size; count++) {
        isa_instruction found;
        bool whole = isa_read(code + at, size - at, bits == 64, &found);
        if (count < capacity) {
            instructions[count].offset = at;
            instructions[count].length = whole ? found.length : 1;
            instructions[count].row = whole ? found.row : DW_NO_ROW;
            instructions[count].encoding = found.encoding;
        }
        at += whole ? found.length : 1;
    }
    return count;
}

/* ---- what an image contains ------------------------------------------------------------------------------------- */

enum {
    RUNTIME_FUNCTION_SIZE = 12,
    UNWIND_CHAINED = 4,     /* UNW_FLAG_CHAININFO */
    MACHINE_AMD64 = 0x8664,
    MACHINE_I386 = 0x14C,
    SECTION_EXECUTABLE = 0x20000000
};

uint32_t isa_function_count(const dw_image *image)
{
    dw_directory directory = pe_directory(image, DW_DIRECTORY_EXCEPTION);
    pe_table table = pe_table_at(image, directory.rva);
    uint32_t held = table.view.length < directory.size ? table.view.length : directory.size;
    return image->machine == MACHINE_AMD64 && directory.rva != 0 ? held / RUNTIME_FUNCTION_SIZE : 0;
}

bool isa_function_at(const dw_image *image, uint32_t index, isa_function *function)
{
    pe_table table = pe_table_at(image, pe_directory(image, DW_DIRECTORY_EXCEPTION).rva);
    uint8_t entry[RUNTIME_FUNCTION_SIZE], unwind[1];
    if (!pe_entry(image, &table, index, entry, sizeof entry)) {
        return false;
    }
    function->begin = pe_u32(entry);
    function->end = pe_u32(entry + 4);
    uint32_t information = pe_u32(entry + 8);
    function->chained = (information & 1) || (pe_fetch(image, information, unwind, 1) && (unwind[0] >> 3 & UNWIND_CHAINED));
    return function->begin < function->end;
}

/* What was seen in one function: a bit for each set. */
typedef struct seen_sets {
    uint64_t bits[2];
    bool asks;
} seen_sets;

typedef struct census {
    dw_contents *contents;
    dw_isa_use *uses;
    uint32_t capacity;
    seen_sets seen;         /* in the function so far */
    bool wide;
} census;

static void end_function(census *count)
{
    for (uint32_t word = 0; word < 2; word++) {
        for (uint64_t left = count->seen.bits[word]; left != 0; left &= left - 1) {
            uint32_t set = word * 64;
            for (uint64_t bit = left & (0 - left); bit > 1; bit >>= 1) {
                set++;
            }
            if (set < count->capacity) {
                count->uses[set].functions++;
            }
        }
    }
    count->contents->asking += count->seen.asks;
    seen_sets none = {{0, 0}, false};
    count->seen = none;
}

static void count_range(census *count, const uint8_t *code, uint64_t size, uint32_t rva)
{
    dw_contents *contents = count->contents;
    for (uint64_t at = 0; at < size;) {
        isa_instruction found;
        bool whole = isa_read(code + at, size - at, count->wide, &found);
        contents->instructions++;
        if (!whole || found.row == ISA_NO_ROW) {
            contents->unknown++;
        } else if (found.set != 0 && found.kind != ISA_KIND_FALLS_BACK) {
            count->seen.bits[found.set >> 6] |= (uint64_t)1 << (found.set & 63);
            if (found.set < count->capacity && count->uses[found.set].instructions++ == 0) {
                count->uses[found.set].first = rva + (uint32_t)at;
            }
        }
        count->seen.asks |= whole && found.kind == ISA_KIND_QUESTION;
        at += whole ? found.length : 1;
    }
    contents->code += size;
}

/* The functions that the exception directory lists, in ascending order as the linker wrote them. */
static void count_functions(census *count, const dw_image *image, uint32_t functions)
{
    uint32_t last = 0;
    for (uint32_t i = 0; i < functions; i++) {
        isa_function function;
        pe_view view;
        if (!isa_function_at(image, i, &function) || function.begin < last || !pe_find(image, function.begin, &view)) {
            continue;
        }
        if (!function.chained || function.begin != last) {
            end_function(count);
            count->contents->functions += !function.chained;
        }
        uint32_t size = function.end - function.begin;
        count_range(count, view.data, view.length < size ? view.length : size, function.begin);
        last = function.end;
    }
    end_function(count);
}

static void count_sections(census *count, const dw_image *image)
{
    uint32_t last = 0;
    for (uint32_t i = 0; i < image->section_count; i++) {
        dw_section section = pe_section(image, i);
        pe_view view;
        if ((section.characteristics & SECTION_EXECUTABLE) && section.rva >= last && pe_find(image, section.rva, &view)) {
            count_range(count, view.data, view.length, section.rva);
            end_function(count);
            last = section.rva + view.length;
        }
    }
}

dw_contents dw_contained(const dw_image *image, dw_isa_use *uses, uint32_t capacity)
{
    dw_contents contents = {0};
    census count = {.contents = &contents, .uses = uses, .capacity = capacity, .wide = image->machine == MACHINE_AMD64};
    if (image->machine != MACHINE_AMD64 && image->machine != MACHINE_I386) {
        return contents;
    }
    uint32_t functions = isa_function_count(image);
    if (functions != 0) {
        count_functions(&count, image, functions);
    } else {
        count_sections(&count, image);
    }
    return contents;
}
