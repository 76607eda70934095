/* x86 instructions: their lengths and the instruction sets they belong to, and which of them an image contains. */
#include "isa.h"

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

_Static_assert(ISA_SETS <= 128, "a set has a bit in four words");

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

static const uint8_t prefix_bits[256] = {
    [0x66] = ISA_OPERAND_SIZE, [0x67] = ISA_ADDRESS_SIZE, [0xF0] = ISA_LOCK,    [0xF2] = ISA_REPEAT_NOT,
    [0xF3] = ISA_REPEAT,       [0x64] = ISA_SEGMENT,      [0x65] = ISA_SEGMENT, [0x26] = ISA_HINT,
    [0x2E] = ISA_HINT,         [0x36] = ISA_HINT,         [0x3E] = ISA_HINT};

static bool is_rex(uint8_t byte, bool wide)
{
    return wide && (byte & 0xF0) == 0x40;
}

/* Prefixes and REX, which counts only right before the opcode. Returns where the opcode begins. */
static uint8_t read_prefixes(const uint8_t *code, reading *read)
{
    isa_instruction *found = read->found;
    uint8_t at = 0;
    for (; prefix_bits[code[at]] != 0 || is_rex(code[at], read->wide); at++) {
        if (at >= ISA_LONGEST) {
            return at;
        }
        found->rex = prefix_bits[code[at]] ? 0 : code[at] & 0xF;
        found->prefixes |= prefix_bits[code[at]];
        if (code[at] == 0xF3 || code[at] == 0xF2) {
            read->pp = code[at] == 0xF3 ? PP_F3 : PP_F2; /* the last one counts */
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
static inline uint32_t modrm_size(const uint8_t *code)
{
    bool no_base = (code[0] & 0xC7) == 4 && (code[1] & 7) == 5;
    return isa_modrm_sizes[code[0]] + (no_base ? 4u : 0u);
}

/* The same in 16-bit addressing. */
static uint32_t narrow_modrm_size(uint8_t modrm)
{
    uint32_t mod = modrm >> 6;
    return mod == 1 ? 2 : mod == 2 || (mod == 0 && (modrm & 7) == 6) ? 3 : 1;
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
        bool narrow = !wide && (found->prefixes & ISA_ADDRESS_SIZE);
        next += is_control ? 1 : narrow ? narrow_modrm_size(found->modrm) : modrm_size(code + at);
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

bool isa_stops(const isa_instruction *found)
{
    return found->kind == ISA_KIND_UD2 || found->kind == ISA_KIND_INT3 || (found->map == 0 && found->opcode == 0xF4);
}

bool isa_is_special(const isa_instruction *found)
{
    return found->kind != ISA_KIND_PLAIN;
}

bool isa_is_old_vector(const isa_instruction *found)
{
    return found->encoding == ISA_LEGACY && isa_old_vectors[found->set];
}

bool isa_asks_windows(const dw_image *image, uint32_t slot)
{
    enum { HINT = 2 };
    uint8_t bytes[8] = {0}, name[ISA_LONGEST_QUESTION];
    uint32_t width = image->magic == 0x20B ? 8 : 4;
    if (!pe_fetch(image, slot, bytes, width) || pe_u32(bytes) == 0 || pe_u32(bytes + 4) != 0 ||
        pe_u32(bytes) > UINT32_MAX - HINT || !pe_fetch(image, pe_u32(bytes) + HINT, name, sizeof name)) {
        return false;
    }
    for (uint32_t i = 0; i < ISA_QUESTIONS; i++) {
        uint32_t at = 0;
        while (name[at] == (uint8_t)isa_questions[i][at] && name[at] != 0) {
            at++;
        }
        if (name[at] == (uint8_t)isa_questions[i][at]) {
            return true;
        }
    }
    return false;
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

uint64_t isa_bitmap_size(const dw_image *image)
{
    return ((image->size >> 6) + 1) * 8;
}

pe_table isa_exports(const dw_image *image, uint32_t *count)
{
    enum { COUNT_AT = 20, ADDRESSES_AT = 28 };
    dw_directory directory = pe_directory(image, DW_DIRECTORY_EXPORT);
    uint8_t header[40];
    bool held = directory.rva != 0 && pe_fetch(image, directory.rva, header, sizeof header);
    *count = held ? pe_u32(header + COUNT_AT) : 0;
    return pe_table_at(image, held ? pe_u32(header + ADDRESSES_AT) : 0);
}

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

/* Bits of the tables isa_quick, beside the size of the immediate. */
enum {
    QUICK_SLOW = 0x80,
    QUICK_MODRM = 0x40,
    QUICK_LEADS = 0x20,
    QUICK_FLOW = 0x10,
    QUICK_SIZE = 7
};

#define COUNT ((uint64_t)1)
#define TAKE_BACK UINT64_MAX

enum {
    ISA_WORDS = 4           /* of 32 bits, a bit for each set: 64-bit shifts would need a C runtime */
};

/* What was seen in one function: a bit for each set. */
typedef struct seen_sets {
    uint32_t bits[ISA_WORDS];
    bool asks;
} seen_sets;

/* A piece of an executable section that is being read. */
typedef struct code_range {
    const uint8_t *code;
    uint32_t rva;
    uint32_t held;          /* bytes that can be read */
    uint64_t offset;        /* in the file */
} code_range;

typedef struct census {
    const dw_image *image;
    dw_contents *contents;
    dw_isa_use *uses;
    uint32_t capacity;
    uint8_t *starts;        /* a bit for each byte of the file: code begins there */
    uint8_t *covered;       /* ... and: it was read */
    code_range section;     /* the executable section that was met last */
    seen_sets seen;         /* in the function so far */
    bool wide;
} census;

static bool find_code(const dw_image *image, uint32_t rva, code_range *range)
{
    pe_view view;
    dw_section section;
    if (!pe_section_of(image, rva, &section) || !(section.characteristics & SECTION_EXECUTABLE) ||
        !pe_find(image, rva, &view) || view.length == 0) {
        return false;
    }
    code_range found = {view.data, rva, view.length, view.offset};
    *range = found;
    return true;
}

/* Note that code begins at an RVA, if that lies in an executable section. */
static void note_start(census *count, uint32_t rva)
{
    code_range *section = &count->section;
    uint32_t inside = rva - section->rva;
    if (rva < section->rva || inside >= section->held) {
        code_range found;
        dw_section whole;
        if (!find_code(count->image, rva, &found) || !pe_section_of(count->image, rva, &whole) ||
            !find_code(count->image, whole.rva, section)) {
            return;
        }
        inside = rva - section->rva;
        if (inside >= section->held) {
            return;
        }
    }
    uint64_t at = section->offset + inside;
    count->starts[at >> 3] |= (uint8_t)(1u << (at & 7));
}

static void cover(census *count, uint64_t offset, uint64_t size)
{
    uint64_t at = offset, end = offset + size;
    for (; at < end && (at & 7); at++) {
        count->covered[at >> 3] |= (uint8_t)(1u << (at & 7));
    }
    for (; at + 8 <= end; at += 8) {
        count->covered[at >> 3] = 0xFF;
    }
    for (; at < end; at++) {
        count->covered[at >> 3] |= (uint8_t)(1u << (at & 7));
    }
}

/* Up to where nothing was read from an offset on, but not beyond a multiple of 32. */
static uint64_t unread_until(const census *count, uint64_t offset)
{
    uint32_t covered = pe_u32(count->covered + 4 * (offset >> 5)) >> (offset & 31);
    if (covered == 0) {
        return (offset | 31) + 1;
    }
    for (; !(covered & 1); covered >>= 1) {
        offset++;
    }
    return offset;
}

static void end_function(census *count)
{
    for (uint32_t word = 0; word < ISA_WORDS; word++) {
        uint32_t set = word * 32;
        for (uint32_t left = count->seen.bits[word]; left != 0; left >>= 1, set++) {
            if ((left & 1) && set < count->capacity) {
                count->uses[set].functions++;
            }
        }
    }
    count->contents->asking += count->seen.asks;
    seen_sets none = {{0}, false};
    count->seen = none;
}

/* Count the use of a set by an instruction, or take it back: `by` is COUNT or TAKE_BACK. */
static inline void count_use(census *count, uint8_t set, uint32_t rva, uint64_t by)
{
    count->seen.bits[set >> 5] |= 1u << (set & 31);
    if (set < count->capacity) {
        dw_isa_use *use = &count->uses[set];
        use->first = use->instructions == 0 ? rva : use->first;
        use->instructions += by;
    }
}

/* Count an instruction, or take it back. */
static void count_instruction(census *count, const isa_instruction *found, uint32_t rva, uint64_t by)
{
    count->contents->instructions += by;
    if (found->row == ISA_NO_ROW) {
        count->contents->unknown += by;
    } else if (found->set != 0 && found->kind != ISA_KIND_FALLS_BACK) {
        count_use(count, found->set, rva, by);
    }
    count->seen.asks |= found->kind == ISA_KIND_QUESTION;
}

/* What is called seldom must not make its caller too large to be part of a loop. */
#if defined(__GNUC__)
#define NOT_INLINE __attribute__((noinline))
#else
#define NOT_INLINE __declspec(noinline)
#endif

/* An instruction of which its opcode tells all. */
typedef struct quick {
    uint8_t length;         /* 0: it is another one */
    uint8_t opcode;         /* where that is */
    uint8_t flags;          /* of the tables isa_quick; none if it has more than a REX before its opcode */
    uint8_t set;
} quick;

/* One with an opcode of a map that `at` is behind, if the set does not depend on its form. */
static inline quick quick_in_map(const uint8_t *code, uint32_t at, uint32_t map, uint32_t length, uint32_t pp)
{
    quick found = {0};
    uint8_t opcode = code[at], shape = isa_shapes[map][opcode];
    found.set = isa_direct[map][length][pp][opcode];
    if (found.set == ISA_NOT_DIRECT || (shape & ~(ISA_SHAPE_MODRM | ISA_SHAPE_IMM8))) {
        return found;
    }
    found.opcode = (uint8_t)at;
    found.length = (uint8_t)(at + 1 + (shape & ISA_SHAPE_MODRM ? modrm_size(code + at + 1) : 0) +
                             (shape & ISA_SHAPE_IMM8 ? 1 : 0));
    return found;
}

/* One with VEX or EVEX and no other prefix. */
static quick quick_vector(const uint8_t *code, bool wide)
{
    quick none = {0};
    if (!wide && code[1] < 0xC0) {
        return none;
    }
    if (code[0] == 0xC5) {
        return quick_in_map(code, 2, ISA_MAP_VEX_0F, code[1] >> 2 & 1, code[1] & 3);
    }
    bool is_vex = code[0] == 0xC4;
    uint32_t map = vector_map(is_vex ? ISA_VEX : ISA_EVEX, code[1] & (is_vex ? 0x1F : 0xF)), pp = code[2] & 3;
    if (map == ISA_MAPS) {
        return none;
    }
    if (is_vex) {
        return quick_in_map(code, 3, map, code[2] >> 2 & 1, pp);
    }
    bool rounds = (code[3] & 0x10) && code[5] >= 0xC0;
    uint32_t length = code[3] >> 5 & 3;
    return rounds || length == 3 || !(code[2] & 4) ? none : quick_in_map(code, 4, map, length, pp);
}

/* One of an opcode of which a field of ModRM tells the rest: groups that many instructions are of. */
static quick quick_group(const uint8_t *code, uint32_t at)
{
    enum { MOVES = 1, TESTS = 3, COUNTS_AND_CALLS = 0x47 }; /* a bit for each value of the field */
    quick found = {0};
    uint8_t opcode = code[at], form = (uint8_t)(1u << (code[at + 1] >> 3 & 7));
    bool moves = (opcode & 0xFE) == 0xC6, tests = (opcode & 0xFE) == 0xF6;
    if ((moves && !(form & MOVES)) || (opcode == 0xFF && !(form & COUNTS_AND_CALLS))) {
        return found;
    }
    uint32_t immediate = moves || (tests && (form & TESTS)) ? (opcode & 1 ? 4 : 1) : 0;
    found.opcode = (uint8_t)at;
    found.length = (uint8_t)(at + 1 + modrm_size(code + at + 1) + immediate);
    return found;
}

/* One of the maps that 0F leads to, with one mandatory prefix or none, of x87, or of a group. */
static quick quick_other(const uint8_t *code, bool wide)
{
    quick none = {0};
    uint32_t pp = code[0] == 0x66 ? PP_66 : code[0] == 0xF3 ? PP_F3 : code[0] == 0xF2 ? PP_F2 : PP_NONE;
    uint32_t at = pp != PP_NONE;
    at += is_rex(code[at], wide);
    if (code[at] == 0x0F) {
        at++;
        uint32_t map = code[at] == 0x38 ? ISA_MAP_0F38 : code[at] == 0x3A ? ISA_MAP_0F3A : ISA_MAP_0F;
        return quick_in_map(code, at + (map != ISA_MAP_0F), map, 0, pp);
    }
    if (pp != PP_NONE) {
        return none;
    }
    switch (code[at]) {
    case 0xC6:
    case 0xC7:
    case 0xF6:
    case 0xF7:
    case 0xFF:
        return quick_group(code, at);
    default:
        return (code[at] & 0xF8) == 0xD8 ? quick_in_map(code, at, ISA_MAP_ONE_BYTE, 0, PP_NONE) : none;
    }
}

static NOT_INLINE quick quick_rest(const uint8_t *code, bool wide)
{
    bool is_vector = code[0] == 0xC5 || code[0] == 0xC4 || code[0] == 0x62;
    return is_vector ? quick_vector(code, wide) : quick_other(code, wide);
}

/* Most instructions: those that need nothing first, since they are the most. SLACK bytes can be read. */
static inline quick read_quick(const uint8_t *code, bool wide)
{
    quick found = {0};
    uint32_t at = is_rex(code[0], wide);
    const uint8_t *table = isa_quick[wide];
    if (code[at] == 0x0F) {
        at++;
        table = isa_quick_0f[wide];
    }
    uint8_t flags = table[code[at]];
    bool is_wide_move = flags == 4 && at == 1 && (code[0] & 8); /* MOV with eight bytes, and a few others */
    if ((flags & QUICK_SLOW) || is_wide_move) {
        return quick_rest(code, wide);
    }
    found.opcode = (uint8_t)at;
    found.flags = flags;
    found.length = (uint8_t)(at + 1 + (flags & QUICK_SIZE) + (flags & QUICK_MODRM ? modrm_size(code + at + 1) : 0));
    return found;
}

bool isa_holds_question(const uint8_t *code, uint32_t size, uint32_t held, bool wide)
{
    for (uint32_t here = 0; here < size && here < held;) {
        isa_instruction found = {0};
        if (held - here >= SLACK) {
            found.length = read_quick(code + here, wide).length;
        }
        if (found.length == 0 && !isa_read(code + here, held - here, wide, &found)) {
            found.length = 1;
        }
        if (isa_asks(&found)) {
            return true;
        }
        here += found.length;
    }
    return false;
}

/* CALL and JMP lead to code; so may LEA of an address. */
static void note_lead(census *count, const uint8_t *code, uint32_t at, uint32_t next)
{
    bool is_address = code[at] == 0x8D;
    if (!is_address) {
        note_start(count, next + pe_u32(code + at + 1));
    } else if (count->wide && (code[at + 1] & 0xC7) == 5) {
        note_start(count, next + pe_u32(code + at + 2));
    }
}

/* MSVC puts the table of a switch behind the code of its function, and reads it by its RVA as displacement. Returns
 * where the code ends at the latest. */
static uint32_t before_table(const code_range *range, uint32_t here, uint32_t end, const uint8_t *modrm)
{
    uint32_t table = pe_u32(modrm + 2) - range->rva;
    if ((modrm[1] >> 6) != 2 || table <= here || table >= end || end - table < 4 || range->held - table < 4) {
        return end;
    }
    uint32_t target = pe_u32(range->code + table) - range->rva;
    return target < table ? table : end;
}

/* Whether no code is reached from an opcode of the one-byte map into what follows it: RET and JMP. */
static bool leaves(uint8_t opcode)
{
    return (opcode & 0xFE) == 0xC2 || opcode == 0xE9 || opcode == 0xEB;
}

/* What reading a piece of a function found out. */
typedef struct piece {
    uint32_t end;           /* where it ended: at a table, or at bytes that are no instruction that is known */
    uint32_t last;          /* where code ended that nothing leads out of, before that */
    bool known;             /* it was all known */
} piece;

/* Count the instructions of a function up to `end`, or take them back. */
static piece count_piece(census *count, const code_range *range, uint32_t end, uint64_t by)
{
    piece found = {end, 0, true};
    uint64_t instructions = 0;
    uint32_t here = 0;
    for (; here < found.end; instructions++) {
        const uint8_t *code = range->code + here;
        quick one = {0};
        if (range->held - here >= SLACK) {
            one = read_quick(code, count->wide);
        }
        uint32_t length = one.length, at = one.opcode;
        if (length == 0) {
            isa_instruction slow;
            found.known = isa_read(code, range->held - here, count->wide, &slow) && slow.row != ISA_NO_ROW;
            if (!found.known) {
                break;
            }
            length = slow.length;
            count_instruction(count, &slow, range->rva + here, by);
            instructions--;
            found.last = slow.kind == ISA_KIND_INT3 ? here + length : found.last;
        } else if (one.set != 0) {
            count_use(count, one.set, range->rva + here, by);
        } else if (one.flags & (QUICK_LEADS | QUICK_FLOW)) {
            if (one.flags & QUICK_LEADS) {
                note_lead(count, code, at, range->rva + here + length);
            }
            found.last = at == 0 && leaves(code[0]) ? here + length : found.last;
        } else if ((one.flags & QUICK_MODRM) && (code[at + 1] & 0xC7) == 0x84) {
            found.end = before_table(range, here, found.end, code + at + 1);
        }
        here += length;
    }
    found.end = here;
    count->contents->instructions += by == COUNT ? instructions : 0 - instructions;
    return found;
}

/* Read a function that is known to be code. Where it holds something that is no code, what came before that without
 * being led to was none either: it is taken back. */
static void count_function(census *count, const code_range *range, uint32_t size)
{
    uint32_t whole = size < range->held ? size : range->held;
    seen_sets before = count->seen;
    piece found = count_piece(count, range, whole, COUNT);
    if (!found.known) {
        (void)count_piece(count, range, found.end, TAKE_BACK);
        count->seen = before;
        found = count_piece(count, range, found.last, COUNT);
        count->contents->unknown++;
    }
    count->contents->code += found.end;
    cover(count, range->offset, whole);
}

/* The functions that the exception directory lists, in ascending order as the linker wrote them. */
static void count_listed(census *count)
{
    uint32_t last = 0, functions = isa_function_count(count->image);
    for (uint32_t i = 0; i < functions; i++) {
        isa_function function;
        code_range range;
        if (!isa_function_at(count->image, i, &function) || function.begin < last ||
            !find_code(count->image, function.begin, &range) || count->contents->code > count->image->size) {
            continue; /* not in order, no code, or sections that share their bytes */
        }
        if (!function.chained || function.begin != last) {
            end_function(count);
            count->contents->functions += !function.chained;
        }
        count_function(count, &range, function.end - function.begin);
        last = function.end;
    }
    end_function(count);
}

/* ---- functions that nothing lists ------------------------------------------------------------------------------- */

/* One instruction on the way through code: where its opcode is, and whether it belongs to map 0F or the one-byte map. */
typedef struct step {
    uint32_t length;        /* 0: no instruction */
    uint32_t opcode;
    bool flows;             /* a legacy instruction of one of these maps, which may lead elsewhere */
    bool is_0f;
    bool stops;             /* a kind after which no code follows */
} step;

static step take_step(census *count, const code_range *range, uint32_t here)
{
    const uint8_t *code = range->code + here;
    step taken = {0};
    quick one = {0};
    if (range->held - here >= SLACK) {
        one = read_quick(code, count->wide);
    }
    if (one.length != 0) {
        count->contents->instructions++;
        taken.length = one.length;
        taken.opcode = one.opcode;
        taken.flows = (one.flags & (QUICK_LEADS | QUICK_FLOW)) != 0;
        taken.is_0f = one.opcode > 0 && code[one.opcode - 1] == 0x0F;
        if (one.set != 0) {
            count_use(count, one.set, range->rva + here, COUNT);
        }
        return taken;
    }
    isa_instruction found;
    if (isa_read(code, range->held - here, count->wide, &found) && found.row != ISA_NO_ROW) {
        count_instruction(count, &found, range->rva + here, COUNT);
        taken.length = found.length;
        taken.opcode = (found.has_modrm ? found.modrm_at : found.operand_at) - 1u;
        taken.flows = found.map <= ISA_MAP_0F && found.encoding == ISA_LEGACY;
        taken.is_0f = found.map == ISA_MAP_0F;
        taken.stops = found.kind == ISA_KIND_UD2 || found.kind == ISA_KIND_INT3;
    }
    return taken;
}

/* Where a jump with a condition leads, or a short one; 0 if it is none. `next` is where its instruction ends. */
static uint32_t branch_target(const uint8_t *opcode, bool is_0f, uint32_t next)
{
    if (is_0f) {
        return (*opcode & 0xF0) == 0x80 ? next + pe_u32(opcode + 1) : 0;
    }
    bool is_short = (*opcode & 0xF0) == 0x70 || *opcode == 0xEB || (*opcode & 0xFC) == 0xE0;
    return is_short ? next + (opcode[1] ^ 0x80u) - 0x80u : 0; /* with its sign */
}

/* Whether what follows an instruction is not reached from it: JMP, RET, HLT, and what stops a program. */
static bool ends_flow(const uint8_t *opcode, const step *taken)
{
    bool through_pointer = *opcode == 0xFF && (opcode[1] >> 4 & 3) == 2;
    return taken->stops || (!taken->is_0f && (leaves(*opcode) || through_pointer || *opcode == 0xF4));
}

/* Read code from where it begins to where no instruction of it leads any further. */
static void count_found(census *count, const code_range *range)
{
    uint32_t here = 0, furthest = 0;
    uint64_t unread = range->offset;
    while (here < range->held) {
        if (range->offset + here >= unread) {
            unread = unread_until(count, range->offset + here);
            if (unread == range->offset + here) {
                break;
            }
        }
        const uint8_t *code = range->code + here;
        step taken = take_step(count, range, here);
        if (taken.length == 0) {
            break; /* it was no code */
        }
        here += taken.length;
        if (!taken.flows) {
            continue;
        }
        const uint8_t *opcode = code + taken.opcode;
        uint32_t target = branch_target(opcode, taken.is_0f, here);
        furthest = target > furthest && target < range->held ? target : furthest;
        if (!taken.is_0f && (*opcode == 0xE8 || *opcode == 0xE9 || *opcode == 0x8D)) {
            note_lead(count, code, taken.opcode, range->rva + here);
        }
        if (ends_flow(opcode, &taken) && here > furthest) {
            break;
        }
    }
    cover(count, range->offset, here);
    count->contents->code += here;
    count->contents->functions += here > 0;
    end_function(count);
}

/* Bits of 32 bytes of the file: code begins there and was not read. */
static uint32_t pending(const census *count, uint64_t word)
{
    return pe_u32(count->starts + 4 * word) & ~pe_u32(count->covered + 4 * word);
}

static void count_at(census *count, const code_range *section, uint64_t offset)
{
    uint32_t inside = (uint32_t)(offset - section->offset);
    code_range range = {section->code + inside, section->rva + inside, section->held - inside, offset};
    count_found(count, &range);
    count->starts[offset >> 3] &= (uint8_t)~(1u << (offset & 7)); /* also if it was no code */
}

/* Read what begins in one section and was not read. Returns whether there was anything. */
static bool count_pending(census *count, const code_range *section)
{
    uint64_t end = section->offset + section->held;
    bool any = false;
    for (uint64_t word = section->offset >> 5; word << 5 < end; word++) {
        uint32_t left;
        for (uint32_t bit = 0; bit < 32 && (left = pending(count, word) >> bit) != 0; bit++) {
            uint64_t offset = (word << 5) + bit;
            if ((left & 1) && offset >= section->offset && offset < end) {
                count_at(count, section, offset);
                any = true;
            }
        }
    }
    return any;
}

/* Addresses in the file that the loader relocates: pointers to code among them. */
static void note_pointers(census *count)
{
    enum { HEADER = 8, HIGHLOW = 3, DIR64 = 10 };
    const dw_image *image = count->image;
    dw_directory directory = pe_directory(image, DW_DIRECTORY_RELOCATION);
    pe_table table = pe_table_at(image, directory.rva);
    uint32_t held = directory.rva == 0 ? 0 : table.view.length < directory.size ? table.view.length : directory.size;
    for (uint32_t block = 0; block + HEADER <= held;) {
        uint32_t page = pe_u32(table.view.data + block), size = pe_u32(table.view.data + block + 4);
        if (size < HEADER || size > held - block) {
            return;
        }
        for (uint32_t at = HEADER; at + 2 <= size; at += 2) {
            uint16_t entry = pe_u16(table.view.data + block + at);
            uint32_t kind = entry >> 12;
            uint8_t bytes[8] = {0};
            if ((kind == DIR64 || kind == HIGHLOW) && pe_fetch(image, page + (entry & 0xFFFu), bytes, kind == DIR64 ? 8 : 4)) {
                uint64_t target = pe_u64(bytes) - image->image_base;
                note_start(count, target < UINT32_MAX ? (uint32_t)target : 0);
            }
        }
        block += size;
    }
}

static void note_exports(census *count)
{
    uint32_t number;
    uint8_t entry[4];
    pe_table addresses = isa_exports(count->image, &number);
    uint32_t held = addresses.view.length / sizeof entry;
    for (uint32_t i = 0; i < number && i < held && pe_entry(count->image, &addresses, i, entry, sizeof entry); i++) {
        note_start(count, pe_u32(entry));
    }
}

/* Everything that calls, jumps, pointers and exports lead to, until they lead to nothing more. */
static void count_unlisted(census *count)
{
    enum { MOST_ROUNDS = 64 }; /* code found late may lead backwards; hostile code must not do so for ever */
    note_exports(count);
    note_pointers(count);
    note_start(count, count->image->entry_point);
    bool any = true;
    for (uint32_t round = 0; any && round < MOST_ROUNDS; round++) {
        uint64_t searched = 0; /* sections that share their bytes must not cost more than the file */
        any = false;
        for (uint32_t i = 0; i < count->image->section_count && searched <= count->image->size; i++) {
            code_range section;
            if (find_code(count->image, pe_section(count->image, i).rva, &section)) {
                any = count_pending(count, &section) || any;
                searched += section.held;
            }
        }
    }
}

uint64_t dw_contained_room(const dw_image *image)
{
    return 2 * isa_bitmap_size(image);
}

dw_contents dw_contained(const dw_image *image, uint8_t *room, dw_isa_use *uses, uint32_t capacity)
{
    dw_contents contents = {0};
    census count = {.image = image,
                    .contents = &contents,
                    .uses = uses,
                    .capacity = capacity,
                    .starts = room,
                    .covered = room + isa_bitmap_size(image),
                    .wide = image->machine == MACHINE_AMD64};
    if (image->machine == MACHINE_AMD64 || image->machine == MACHINE_I386) {
        count_listed(&count);
        contents.listed = contents.functions;
        count_unlisted(&count);
    }
    return contents;
}
