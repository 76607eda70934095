/* Which code runs when an image is loaded, and what of it needs an instruction set that nobody has asked for.
 *
 * The walk begins where the loader calls: TLS callbacks and the entry point. It goes through both sides of every branch,
 * into every direct call and jump, and through the tables of initialisers that are met on the way. It does not go through
 * pointers. Where a question to the processor is met, the rest of that function is not walked: it knows the answer.
 *
 * A function asks if it executes CPUID or XGETBV, calls a function of Windows that tells (isa.toml, [questions]), reads
 * what an asking function has written, or uses the answer of one. As functions that ask may be found late, the walk is
 * repeated until nothing new is found. In the end, what runs whatever branches are taken is told from what may not run.
 */
#include "operands.h"

#define NOBODY UINT32_MAX
#define SECTION_WRITABLE 0x80000000u

enum {
    PENDING_PER_FUNCTION = 4,
    KNOWN_PER_FUNCTION = 2, /* places for globals */
    PROBES = 256,           /* places of a table that are looked at for one key */
    MOST_ROUNDS = 8,
    GLOBAL = 4,             /* bytes of a global that are told apart from the next */
    OBJECT = 64,            /* bytes that an asking function is taken to write behind a pointer */
    PROCESS_ATTACH = 1,
    IN_EDX = 4,             /* registers, a bit for each */
    KEPT_64 = 0xF0E8,       /* by a called function: RBX, RBP, RSI, RDI, R12 to R15 */
    KEPT_32 = 0xE8,         /* EBX, EBP, ESI, EDI */
    GETTER = 32,            /* instructions of a function that only returns what another one has asked */
    AFTER_CALL = 12,        /* instructions in which an answer is used, if it is */
    FAR = 0x10000,          /* bytes that a function reaches at the most, where nothing says where it ends */
    LONGEST_TABLE = 0x100000,
    SECTION_CODE = 0x20000000
};

typedef struct function {
    uint32_t begin;         /* RVAs */
    uint32_t end;
    uint32_t caller;        /* number of the function that led here, NOBODY for the loader */
    uint32_t root;          /* RVA of what the loader or the runtime calls */
    uint32_t kind;          /* DW_ROOT_... of that */
    uint32_t instructions;
    uint32_t needs[4];      /* a bit for each set that was recorded */
    bool questions;         /* it asks, or uses an answer */
    bool reads;             /* it reads what an asking function has written */
    bool calls;
    uint32_t certain[4];    /* of these sets, those that are needed whatever branches are taken */
    bool proven;            /* it is run whatever branches are taken in those that lead to it */
    bool old_vectors;       /* it uses XMM registers by other encodings than VEX and EVEX */
} function;

/* Addresses and constants that code has taken since its last call: what it gives to the next one. */
typedef struct arguments {
    uint32_t first;         /* RVA in RCX, or the lower of two; 0 if none */
    uint32_t second;        /* RVA in RDX, or the higher of two */
    uint32_t recent[2];     /* RVAs that were taken into any register: the one before last, and the last */
    uint32_t constant;      /* in ECX, or pushed last; NOBODY if none */
    bool own_stack;         /* also one of its own variables */
} arguments;

#define NOTHING_GIVEN {0, 0, {0, 0}, NOBODY, false}

/* What is known of why the loader calls. */
typedef struct reason {
    uint32_t registers;     /* those that hold `value`, a bit for each */
    uint32_t value;         /* the reason, or what a switch that counts down has left of it */
} reason;

/* Code that is still to be walked. */
typedef struct todo {
    uint32_t rva;
    uint32_t function;      /* number */
    uint32_t callee;        /* number of the function that was called right before, or NOBODY */
    bool asked;             /* the function has asked by then */
    arguments given;        /* to the callee */
    reason known;
} todo;

typedef struct walk {
    const dw_image *image;
    dw_reach *reach;
    dw_need *needs;
    uint32_t capacity;      /* of needs */
    function *functions;
    uint32_t function_capacity;
    uint32_t *index;        /* number + 1 of a function by a hash of where it begins; as long as a power of two */
    uint32_t index_mask;
    todo *pending;
    uint32_t pending_count, pending_capacity;
    uint32_t *globals;      /* number + 1 of GLOBAL bytes that asking functions write, by a hash */
    uint32_t globals_mask, global_count;
    uint8_t *walked;        /* a bit for each byte of the file: walked before a question */
    uint8_t *walked_asked;  /* ... and: after one */
    pe_view view;           /* of the section that code was met in last */
    uint32_t view_rva;
    uint64_t budget;        /* entries of tables that may still be read: a hostile file must not cost more */
    bool wide;
    bool from_exports;
    bool learning;          /* only what asking functions write is of interest: calls are not followed */
    bool changed;           /* something turned out to ask, or to be written by that: the walk has to be repeated */
    bool asks_anew;         /* a function turned out to ask */
} walk;

/* ---- memory of the walk ----------------------------------------------------------------------------------------- */

/* The high bits of a product depend on all bits of the key: functions begin at multiples of 16. */
static uint32_t hashed(uint32_t key)
{
    uint32_t product = key * 2654435761u;
    return product ^ product >> 15;
}

static bool test_bit(const uint8_t *bits, uint64_t at)
{
    return bits[at >> 3] >> (at & 7) & 1;
}

static void set_bit(uint8_t *bits, uint64_t at)
{
    bits[at >> 3] |= (uint8_t)(1u << (at & 7));
}

/* The bytes behind an RVA in an executable section; NULL if it is in none. */
static const uint8_t *code_at(walk *w, uint32_t rva, uint64_t *offset, uint32_t *held)
{
    dw_section section;
    if (rva < w->view_rva || rva - w->view_rva >= w->view.length) {
        if (!pe_section_of(w->image, rva, &section) || !(section.characteristics & SECTION_CODE) ||
            !pe_find(w->image, section.rva, &w->view) || rva - section.rva >= w->view.length) {
            w->view.length = 0;
            return NULL;
        }
        w->view_rva = section.rva;
    }
    uint32_t inside = rva - w->view_rva;
    *offset = w->view.offset + inside;
    *held = w->view.length - inside;
    return w->view.data + inside;
}

static bool is_code(walk *w, uint32_t rva)
{
    uint64_t offset;
    uint32_t held;
    return code_at(w, rva, &offset, &held) != NULL;
}

static bool is_writable(const walk *w, uint32_t rva)
{
    dw_section section;
    return pe_section_of(w->image, rva, &section) && (section.characteristics & SECTION_WRITABLE) &&
           !(section.characteristics & SECTION_CODE);
}

/* A pointer in the file, as an RVA; 0 if it is none to this image. */
static uint32_t pointer_at(const walk *w, uint32_t rva, bool *held)
{
    uint8_t bytes[8] = {0};
    *held = pe_fetch(w->image, rva, bytes, w->wide ? 8 : 4);
    uint64_t target = pe_u64(bytes) - w->image->image_base;
    return *held && target < w->image->size_of_image ? (uint32_t)target : 0;
}

/* The place of a key in a table of number + 1: where it is, or where it belongs. NULL if it is too far from where it
 * should be: only addresses that were chosen for that are. */
static uint32_t *place_of_function(walk *w, uint32_t begin)
{
    uint32_t at = hashed(begin) & w->index_mask;
    for (uint32_t tries = 0; tries < PROBES; tries++, at = (at + 1) & w->index_mask) {
        if (w->index[at] == 0 || w->functions[w->index[at] - 1].begin == begin) {
            return &w->index[at];
        }
    }
    return NULL;
}

static uint32_t *place_of_global(const walk *w, uint32_t number)
{
    uint32_t at = hashed(number) & w->globals_mask;
    for (uint32_t tries = 0; tries < PROBES; tries++, at = (at + 1) & w->globals_mask) {
        if (w->globals[at] == 0 || w->globals[at] == number + 1) {
            return &w->globals[at];
        }
    }
    return NULL;
}

static bool is_asked_global(const walk *w, uint32_t rva)
{
    const uint32_t *place = place_of_global(w, rva / GLOBAL);
    return place && *place != 0;
}

/* Note that an asking function writes there. */
static void add_global(walk *w, uint32_t rva, uint32_t size)
{
    for (uint32_t number = rva / GLOBAL; number <= (rva + size - 1) / GLOBAL; number++) {
        uint32_t *place = place_of_global(w, number);
        if (place && (*place != 0 || !is_writable(w, number * GLOBAL))) {
            continue;
        }
        if (!place || w->global_count > w->globals_mask / 2) {
            w->reach->incomplete = 1;
            return;
        }
        *place = number + 1;
        w->global_count++;
        w->changed = true;
    }
}

/* One entry of a table more. False if the file has no right to any more. */
static bool spend(walk *w)
{
    w->reach->incomplete |= w->budget == 0;
    w->budget -= w->budget > 0;
    return w->budget > 0;
}

/* Where a function of the exception directory ends that begins there, with the pieces that continue it. */
static uint32_t listed_end(walk *w, uint32_t begin)
{
    uint32_t low = 0, high = isa_function_count(w->image), count = high;
    isa_function found;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (isa_function_at(w->image, middle, &found) && found.begin < begin) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == count || !isa_function_at(w->image, low, &found) || found.begin != begin) {
        uint32_t limit = low < count && found.begin > begin ? found.begin : NOBODY;
        return limit - begin > FAR ? begin + FAR : limit;
    }
    uint32_t end = found.end;
    for (low++; low < count && isa_function_at(w->image, low, &found) && found.chained && found.begin == end; low++) {
        if (!spend(w)) {
            break;
        }
        end = found.end;
    }
    return end;
}

static void led_by(const walk *w, function *f, uint32_t caller, uint32_t kind)
{
    bool by_caller = kind == DW_ROOT_NONE && caller != NOBODY;
    f->caller = caller;
    f->root = by_caller ? w->functions[caller].root : f->begin;
    f->kind = by_caller ? w->functions[caller].kind : kind;
}

/* The number of a function, new or known; NOBODY if there is no room. A known one keeps who led to it first, but for one
 * of which only the question was known, and for what the loader calls, although it is exported. */
static uint32_t function_at(walk *w, uint32_t begin, uint32_t caller, uint32_t kind)
{
    uint32_t *place = place_of_function(w, begin);
    if (place && *place != 0) {
        function *known = &w->functions[*place - 1];
        bool is_loaders = (kind == DW_ROOT_ENTRY || kind == DW_ROOT_TLS) && known->kind == DW_ROOT_EXPORT;
        if ((known->kind == DW_ROOT_NONE && *place - 1 != caller) || is_loaders) {
            led_by(w, known, caller, kind);
        }
        return *place - 1;
    }
    if (!place || w->reach->functions >= w->function_capacity) {
        w->reach->incomplete = 1;
        return NOBODY;
    }
    function made = {.begin = begin, .end = listed_end(w, begin)};
    led_by(w, &made, caller, kind);
    w->functions[w->reach->functions] = made;
    *place = ++w->reach->functions;
    return *place - 1;
}

static void push(walk *w, todo what)
{
    if (w->pending_count < w->pending_capacity) {
        w->pending[w->pending_count++] = what;
    } else {
        w->reach->incomplete = 1;
    }
}

/* The number of a function that is known; NOBODY if it is not. */
static uint32_t known_function(walk *w, uint32_t begin)
{
    const uint32_t *place = place_of_function(w, begin);
    return place && *place != 0 ? *place - 1 : NOBODY;
}

/* Walk a function, if it is code. Returns its number, or NOBODY. */
static uint32_t enter(walk *w, uint32_t begin, uint32_t caller, uint32_t kind)
{
    if (w->learning) {
        return known_function(w, begin);
    }
    uint32_t number = is_code(w, begin) ? function_at(w, begin, caller, kind) : NOBODY;
    if (number != NOBODY) {
        todo what = {.rva = begin, .function = number, .callee = NOBODY, .given = NOTHING_GIVEN};
        push(w, what);
    }
    return number;
}

/* ---- the answer of a function ----------------------------------------------------------------------------------- */

static bool read_instruction(walk *w, uint32_t rva, op_instruction *i, uint64_t *offset)
{
    uint32_t held;
    i->code = code_at(w, rva, offset, &held);
    if (!i->code || !isa_read(i->code, held, w->wide, &i->is)) {
        return false;
    }
    i->rva = rva;
    i->next = rva + i->is.length;
    return true;
}

/* Whether code that goes on after a call uses what the call returned, or returns it in its turn. */
static bool uses_answer(walk *w, uint32_t rva)
{
    for (uint32_t count = 0; count < AFTER_CALL; count++) {
        op_instruction i;
        uint64_t offset;
        if (!read_instruction(w, rva, &i, &offset)) {
            return false;
        }
        if (op_is(&i, 0xC3) || op_is(&i, 0xC2)) {
            return true;
        }
        op_use found = op_use_of_rax(&i);
        if (found != OP_NONE) {
            return found == OP_READ;
        }
        rva = op_is(&i, 0xEB) || op_is(&i, 0xE9) ? op_branch_target(&i) : i.next;
    }
    return false;
}

/* Whether a caller of the function may learn what the processor offers. */
static bool answers(const function *f)
{
    return f->questions || (f->reads && !f->calls && f->instructions <= GETTER);
}

static void mark_asking(walk *w, function *f)
{
    w->changed = w->changed || !f->questions;
    w->asks_anew = w->asks_anew || !f->questions;
    f->questions = true;
}

/* ---- tables of functions ---------------------------------------------------------------------------------------- */

/* Whether [from, to) holds nothing but pointers to code and empty entries: a table for _initterm. */
static bool is_table(walk *w, uint32_t from, uint32_t to)
{
    uint32_t width = w->wide ? 8 : 4, pointers = 0;
    if (from == 0 || from >= to || to - from > LONGEST_TABLE || (to - from) % width != 0 || is_code(w, from)) {
        return false;
    }
    for (uint32_t at = from; at < to; at += width) {
        uint8_t bytes[8] = {0};
        bool held;
        if (!spend(w)) {
            return false;
        }
        uint32_t target = pointer_at(w, at, &held);
        if (!held || !pe_fetch(w->image, at, bytes, width)) {
            return false;
        }
        if (pe_u64(bytes) != 0) {
            if (!is_code(w, target)) {
                return false;
            }
            pointers++;
        }
    }
    return pointers > 0;
}

/* Walk the functions of a table in its order. */
static void enter_table(walk *w, uint32_t from, uint32_t to, uint32_t caller)
{
    uint32_t width = w->wide ? 8 : 4;
    for (uint32_t at = to - width;; at -= width) {
        bool held;
        uint32_t target = pointer_at(w, at, &held);
        if (target != 0) {
            (void)enter(w, target, caller, DW_ROOT_INITIALISER);
        }
        if (at < from + width) {
            return;
        }
    }
}

/* The list of constructors of MinGW: -1, pointers, 0. It is run from its end (gccmain.c of mingw-w64). */
static void enter_constructors(walk *w, uint32_t list, uint32_t caller)
{
    uint32_t width = w->wide ? 8 : 4;
    uint8_t bytes[8];
    if (!pe_fetch(w->image, list, bytes, width) || pe_u32(bytes) != NOBODY || (w->wide && pe_u32(bytes + 4) != NOBODY)) {
        return;
    }
    for (uint32_t at = list + width; at - list < LONGEST_TABLE && spend(w); at += width) {
        bool held;
        uint32_t target = pointer_at(w, at, &held);
        if (target == 0 || !is_code(w, target)) {
            return;
        }
        (void)enter(w, target, caller, DW_ROOT_INITIALISER);
    }
}

/* ---- one path --------------------------------------------------------------------------------------------------- */

/* Where a path is. */
typedef struct path {
    uint32_t rva;
    uint32_t number;        /* of its function */
    bool asked;
    bool guarded;           /* the instruction before compared a global with a register */
    bool compared;          /* the flags are those of a comparison of the reason, `left`, with `right` */
    uint32_t left, right;
    reason known;
    arguments taken;
} path;

static void record_need(walk *w, const op_instruction *i, uint32_t number)
{
    function *f = &w->functions[number];
    uint32_t bit = 1u << (i->is.set & 31), *word = &f->needs[i->is.set >> 5];
    f->old_vectors = f->old_vectors || isa_is_old_vector(&i->is);
    if (i->is.set == 0 || isa_is_special(&i->is) || (*word & bit)) {
        return;
    }
    *word |= bit;
    if (w->reach->needs < w->capacity) {
        dw_need need = {.rva = i->rva,
                        .function = f->begin,
                        .caller = f->caller == NOBODY ? 0 : w->functions[f->caller].begin,
                        .root = f->root,
                        .kind = f->kind,
                        .set = i->is.set,
                        .mixed = i->is.encoding == ISA_VEX || i->is.encoding == ISA_EVEX};
        w->needs[w->reach->needs] = need;
    }
    w->reach->needs++;
}

/* An address is taken, or a constant pointer is read: an argument, a list of constructors, or part of a table. */
static void take_address(walk *w, path *p, const op_instruction *i, uint32_t target)
{
    if (p->asked && is_writable(w, target)) {
        add_global(w, target, GLOBAL);
    }
    enter_constructors(w, target, p->number);
    p->taken.recent[0] = p->taken.recent[1];
    p->taken.recent[1] = target;
    if (!w->wide) {
        p->taken.first = p->taken.second < target ? p->taken.second : target;
        p->taken.second = p->taken.second < target ? target : p->taken.second;
    } else if (op_reg(i) == 1) {
        p->taken.first = target;
    } else if (op_reg(i) == 2) {
        p->taken.second = target;
    }
}

/* Whether a register gets the address of a variable of the function's own. That of the frame is none. */
static bool takes_own_stack(const walk *w, const op_instruction *i)
{
    uint8_t reg = op_reg(i), rm = i->is.modrm & 7;
    if (op_is(i, 0x8D)) {
        return (op_addresses_by(i, 4) || op_addresses_by(i, 5)) && reg != 4 && reg != 5;
    }
    bool moves = !w->wide && i->is.modrm >= 0xC0; /* MOV of ESP itself: the lowest variable */
    return moves && ((op_is(i, 0x8B) && rm == 4 && reg != 5) || (op_is(i, 0x89) && reg == 4 && rm != 5));
}

/* MOV ECX, PUSH, or MOV [ESP]. */
static void take_constant(path *p, const op_instruction *i)
{
    bool is_on_top = op_is(i, 0xC7) && i->is.modrm == 4 && op_after_modrm(i) == 0x24;
    if (is_on_top || (op_is(i, 0xB9) && !(i->is.rex & ISA_B))) {
        p->taken.constant = op_immediate(i);
    } else if (op_is(i, 0x6A)) {
        p->taken.constant = op_immediate(i);
    }
}

/* A loop over a table, in place of a call of _initterm: two addresses are taken and compared. */
static void look_for_loop(walk *w, const path *p, const op_instruction *i)
{
    uint32_t one = p->taken.recent[0], other = p->taken.recent[1];
    bool compares = (op_is(i, 0x39) || op_is(i, 0x3B)) && i->is.modrm >= 0xC0;
    if (compares && one != 0 && other != 0 && !p->asked) {
        uint32_t from = one < other ? one : other, to = one < other ? other : one;
        if (is_table(w, from, to)) {
            enter_table(w, from, to, p->number);
        }
    }
}

/* What an instruction does with memory and addresses. Returns whether it is a question. */
static bool look_at_operands(walk *w, path *p, const op_instruction *i)
{
    uint32_t address = op_fixed_address(w->image, i);
    take_constant(p, i);
    p->taken.own_stack = p->taken.own_stack || takes_own_stack(w, i);
    if (op_is(i, 0x8D)) {
        if (address != 0) {
            take_address(w, p, i, address);
        }
        return false;
    }
    if (!w->wide && i->is.map == 0 && (i->is.opcode == 0x68 || (i->is.opcode & 0xF8) == 0xB8 || i->is.opcode == 0xC7)) {
        uint32_t value = pe_u32(i->code + i->is.length - 4) - (uint32_t)w->image->image_base; /* a 32-bit immediate */
        if (value != 0 && value < w->image->size_of_image && !(i->is.prefixes & ISA_OPERAND_SIZE)) {
            take_address(w, p, i, value);
        }
    }
    if (address == 0) {
        return false;
    }
    if (op_is(i, 0x8B) && !is_writable(w, address)) {
        bool held;
        uint32_t target = pointer_at(w, address, &held);
        if (target != 0) {
            take_address(w, p, i, target);
        }
    }
    if (!w->wide) {
        enter_constructors(w, address, p->number);
    }
    if (p->asked && op_writes(i)) {
        add_global(w, address, op_size(i));
    }
    if (isa_asks_windows(w->image, address) && p->taken.constant != ISA_ASKS_FAST_FAIL) {
        mark_asking(w, &w->functions[p->number]);
        return true;
    }
    if (!op_writes(i) && is_asked_global(w, address)) { /* INC and the like only count something */
        w->functions[p->number].reads = true;
        return true;
    }
    return false;
}

/* Go on in this function after a call of another one. */
static void push_after_call(walk *w, const path *p, uint32_t next, uint32_t callee)
{
    todo what = {.rva = next, .function = p->number, .callee = callee, .asked = p->asked, .given = p->taken, .known = p->known};
    what.known.registers &= w->wide ? KEPT_64 : KEPT_32;
    push(w, what);
}

/* ---- the reason --------------------------------------------------------------------------------------------------
 *
 * The loader calls with the reason 1, DLL_PROCESS_ATTACH: in EDX, or on the stack of 32-bit code, [EBP+12]. What only
 * other reasons lead to does not run at load.
 */

/* Whether the function of a path is called by the loader itself. */
static bool is_root(const walk *w, const path *p)
{
    const function *f = &w->functions[p->number];
    return f->caller == NOBODY && (f->kind == DW_ROOT_TLS || f->kind == DW_ROOT_ENTRY);
}

static void compare(path *p, uint32_t left, uint32_t right)
{
    p->compared = true;
    p->left = left;
    p->right = right;
}

/* CMP, TEST, SUB and DEC of a register that holds the reason. Returns whether it is one of them. */
static bool follow_register(path *p, const op_instruction *i)
{
    bool is_dec = !i->is.has_modrm && (i->is.opcode & 0xF8) == 0x48 && i->is.map == 0; /* of 32-bit code */
    uint8_t extension = i->is.modrm >> 3 & 7;
    uint32_t number = (uint32_t)((is_dec ? i->is.opcode & 7 : i->is.modrm & 7) | (i->is.rex & ISA_B ? 8 : 0));
    bool is_held = (is_dec || i->is.modrm >= 0xC0) && (p->known.registers >> number & 1);
    bool subtracts = op_is(i, 0x83) && extension == 5, counts = is_dec || (op_is(i, 0xFF) && extension == 1);
    if (!is_held || i->is.encoding != ISA_LEGACY) {
        return false;
    }
    if (op_is(i, 0x83) && extension == 7) {
        compare(p, p->known.value, op_immediate(i));
    } else if (op_is(i, 0x85) && op_reg(i) == number) {
        compare(p, p->known.value, 0);
    } else if (subtracts || counts) { /* a switch counts down */
        uint32_t by = counts ? 1 : op_immediate(i);
        compare(p, p->known.value, by);
        p->known.value -= by;
        p->known.registers = 1u << number;
    } else {
        return false;
    }
    return true;
}

/* Keep track of what is known of the reason. */
static void follow_reason(const walk *w, path *p, const op_instruction *i)
{
    uint8_t modrm = i->is.modrm, argument = op_after_modrm(i);
    bool of_argument = !w->wide && (modrm & 0xC7) == 0x45 && argument == 0x0C && is_root(w, p);
    if (of_argument && op_is(i, 0x83) && (modrm >> 3 & 7) == 7) {
        compare(p, PROCESS_ATTACH, op_immediate(i));
        return;
    }
    if (follow_register(p, i)) {
        return;
    }
    p->compared = p->compared && op_is_conditional(i);
    uint32_t from = op_is(i, 0x89) ? op_reg(i) : (uint32_t)((modrm & 7) | (i->is.rex & ISA_B ? 8 : 0));
    uint32_t to = op_is(i, 0x89) ? (uint32_t)((modrm & 7) | (i->is.rex & ISA_B ? 8 : 0)) : op_reg(i);
    bool moves = (op_is(i, 0x89) || op_is(i, 0x8B)) && modrm >= 0xC0 && (p->known.registers >> from & 1);
    p->known.registers &= op_is_call(i) ? (w->wide ? KEPT_64 : KEPT_32) : ~op_changed_registers(i);
    if (moves) {
        p->known.registers |= 1u << to;
    } else if (of_argument && op_is(i, 0x8B)) {
        p->known.registers = 1u << op_reg(i) | (p->known.value == PROCESS_ATTACH ? p->known.registers : 0);
        p->known.value = PROCESS_ATTACH;
    }
}

/* Whether a jump after a comparison of the reason is taken: 1, or 0 if not, or -1 if that is not known. */
static int takes_jump(const path *p, const op_instruction *i)
{
    if (!p->compared) {
        return -1;
    }
    switch (i->is.opcode & 0xF) {
    case 2:
        return p->left < p->right;
    case 3:
        return p->left >= p->right;
    case 4:
        return p->left == p->right;
    case 5:
        return p->left != p->right;
    case 6:
        return p->left <= p->right;
    case 7:
        return p->left > p->right;
    default:
        return -1;
    }
}

/* A call. The path goes on after it only once the called function is known. Returns whether it may go on at once. */
static bool follow_call(walk *w, path *p, const op_instruction *i)
{
    function *f = &w->functions[p->number];
    f->calls = true;
    if (p->asked) {
        return true;
    }
    if (!w->learning && is_table(w, p->taken.first, p->taken.second)) {
        push_after_call(w, p, i->next, NOBODY);
        enter_table(w, p->taken.first, p->taken.second, p->number);
        return false;
    }
    if (!op_is(i, 0xE8)) {
        w->reach->through_pointers += op_fixed_address(w->image, i) == 0;
        return true;
    }
    uint32_t target = op_branch_target(i);
    if (target == i->next) { /* CALL next, POP: how 32-bit code learns where it is */
        return true;
    }
    bool may_be_new = !w->learning && is_code(w, target);
    push_after_call(w, p, i->next, may_be_new ? function_at(w, target, p->number, DW_ROOT_NONE) : known_function(w, target));
    (void)enter(w, target, p->number, DW_ROOT_NONE);
    return false;
}

/* A jump out of a function calls another one, whose answer is that of this one. */
static void leave_by_jump(walk *w, const path *p, uint32_t target)
{
    uint32_t callee = p->asked ? NOBODY : enter(w, target, p->number, DW_ROOT_NONE);
    if (callee != NOBODY && answers(&w->functions[callee])) {
        mark_asking(w, &w->functions[p->number]);
    }
}

static bool is_inside(const function *f, uint32_t rva)
{
    return rva >= f->begin && rva < f->end;
}

/* A jump with a condition: one side now, the other one later. Returns whether the path goes on, at p->rva. */
static bool branch(walk *w, path *p, const op_instruction *i)
{
    uint32_t target = op_branch_target(i);
    int taken = takes_jump(p, i);
    bool is_near = is_inside(&w->functions[p->number], target);
    /* A static that is initialised when it is first met (MSVC): JG leads to that, and it runs first. */
    bool target_first = is_near && p->guarded && (i->is.opcode & 0xF) == 0xF;
    bool now_target = target_first || (taken == 1 && is_near);
    uint32_t later = now_target ? i->next : target;
    p->rva = now_target ? target : i->next;
    if (!is_near && taken != 0) {
        leave_by_jump(w, p, target);
    }
    if (!is_near || taken != -1) {
        return is_near || taken != 1;
    }
    todo what = {.rva = later, .function = p->number, .callee = NOBODY, .asked = p->asked, .given = p->taken, .known = p->known};
    push(w, what);
    return true;
}

/* Where the path goes from an instruction. Returns whether it goes on, at p->rva. */
static bool go_on(walk *w, path *p, const op_instruction *i)
{
    const function *f = &w->functions[p->number];
    p->rva = i->next;
    if (op_is_call(i)) {
        bool goes_on = follow_call(w, p, i);
        arguments none = NOTHING_GIVEN;
        p->taken = none;
        return goes_on;
    }
    if (op_is_conditional(i)) {
        return branch(w, p, i);
    }
    if (op_is(i, 0xE9) || op_is(i, 0xEB)) {
        uint32_t target = op_branch_target(i);
        if (is_inside(f, target)) {
            p->rva = target;
            return true;
        }
        leave_by_jump(w, p, target);
        return false;
    }
    bool ends = op_is(i, 0xC3) || op_is(i, 0xC2) || op_jumps_through_pointer(i) || isa_stops(&i->is);
    return !ends && i->next != f->end; /* after a call that never returns, another function begins */
}

static void walk_path(walk *w, path *p)
{
    for (;;) {
        op_instruction i;
        uint64_t offset;
        uint32_t held;
        uint8_t *walked = p->asked ? w->walked_asked : w->walked;
        if (!code_at(w, p->rva, &offset, &held) || test_bit(walked, offset) ||
            !read_instruction(w, p->rva, &i, &offset) || i.is.row == ISA_NO_ROW) {
            return;
        }
        set_bit(walked, offset);
        w->functions[p->number].instructions++;
        w->reach->instructions++;
        if (isa_asks(&i.is)) {
            mark_asking(w, &w->functions[p->number]);
            p->asked = true;
        }
        if (!p->asked && !w->learning) {
            record_need(w, &i, p->number);
        }
        p->asked = look_at_operands(w, p, &i) || p->asked;
        follow_reason(w, p, &i);
        look_for_loop(w, p, &i);
        if (!go_on(w, p, &i)) {
            return;
        }
        p->guarded = op_is(&i, 0x39) && op_fixed_address(w->image, &i) != 0;
    }
}

/* Take up what was left: a branch, a function, or what follows a call. */
static void resume(walk *w, const todo *what)
{
    path p = {.rva = what->rva,
              .number = what->function,
              .asked = what->asked,
              .known = what->known,
              .taken = NOTHING_GIVEN};
    if (w->wide && what->rva == w->functions[p.number].begin && is_root(w, &p)) {
        reason at_load = {IN_EDX, PROCESS_ATTACH};
        p.known = at_load;
    }
    if (what->callee == NOBODY) {
        p.taken = what->given;
    } else if (!p.asked && answers(&w->functions[what->callee]) && what->given.constant != ISA_ASKS_FAST_FAIL) {
        bool learns = what->given.own_stack || uses_answer(w, what->rva);
        if (what->given.first != 0) {
            add_global(w, what->given.first, OBJECT);
        }
        if (what->given.second != 0) {
            add_global(w, what->given.second, OBJECT);
        }
        if (learns) {
            mark_asking(w, &w->functions[what->function]);
            p.asked = true;
        }
    }
    walk_path(w, &p);
}

/* ---- the walk --------------------------------------------------------------------------------------------------- */

/* What other modules call: each export that is code. */
static void push_exports(walk *w)
{
    uint32_t number;
    uint8_t entry[4];
    pe_table addresses = isa_exports(w->image, &number);
    for (uint32_t i = 0; i < number && spend(w) && pe_entry(w->image, &addresses, i, entry, sizeof entry); i++) {
        (void)enter(w, pe_u32(entry), NOBODY, DW_ROOT_EXPORT);
    }
}

/* What the loader calls: TLS callbacks, then the entry point. The last one pushed is walked first. */
static void push_roots(walk *w)
{
    enum { MOST = 64 };
    if (w->from_exports) {
        push_exports(w);
    }
    if (w->image->entry_point != 0) {
        (void)enter(w, w->image->entry_point, NOBODY, DW_ROOT_ENTRY);
    }
    uint32_t width = w->wide ? 8 : 4, callbacks[MOST], count = 0;
    dw_directory directory = pe_directory(w->image, DW_DIRECTORY_TLS);
    bool held = false;
    uint32_t list = directory.rva ? pointer_at(w, directory.rva + 3 * width, &held) : 0;
    for (; list != 0 && count < MOST; count++) {
        callbacks[count] = pointer_at(w, list + count * width, &held);
        if (callbacks[count] == 0) {
            break;
        }
    }
    while (count > 0) {
        (void)enter(w, callbacks[--count], NOBODY, DW_ROOT_TLS);
    }
}

static void walk_pending(walk *w)
{
    while (w->pending_count > 0) {
        todo what = w->pending[--w->pending_count];
        resume(w, &what);
    }
}

/* ---- what is run whatever branches are taken ---------------------------------------------------------------------- */

static void prove(walk *w, uint32_t begin)
{
    const uint32_t *place = place_of_function(w, begin);
    if (place && *place != 0 && !w->functions[*place - 1].proven) {
        todo what = {.rva = begin, .function = *place - 1, .callee = NOBODY, .given = NOTHING_GIVEN};
        w->functions[*place - 1].proven = true;
        push(w, what);
    }
}

/* Where a path goes that is taken whatever happens: through a function by address. */
typedef struct spine {
    path at;                /* for the reason */
    uint32_t furthest;      /* where branches before led to: from there on it is certain again */
} spine;

/* A jump on the way. Returns false if the way ends, or may end, there. */
static bool prove_jump(walk *w, spine *s, const op_instruction *i, bool certain)
{
    const function *f = &w->functions[s->at.number];
    uint32_t target = op_branch_target(i);
    int taken = !op_is_conditional(i) ? 1 : certain ? takes_jump(&s->at, i) : -1;
    if (taken == 0) {
        return true;
    }
    if (!is_inside(f, target)) {
        if (taken == 1 && certain) {
            prove(w, target);
        }
        return false;
    }
    if (taken == 1 && certain) {
        bool is_loop = target <= i->rva;
        s->at.rva = s->furthest = target;
        return !is_loop;
    }
    s->furthest = target > s->furthest ? target : s->furthest;
    return true;
}

/* No path gets round an instruction that no branch before it leads beyond, if none before it leaves the function. */
static void prove_function(walk *w, uint32_t number)
{
    function *f = &w->functions[number];
    reason at_load = {IN_EDX, PROCESS_ATTACH};
    spine s = {{.rva = f->begin, .number = number, .taken = NOTHING_GIVEN}, f->begin};
    s.at.known = w->wide && is_root(w, &s.at) ? at_load : s.at.known;
    op_instruction i;
    uint64_t offset;
    while (s.at.rva < f->end && spend(w) && read_instruction(w, s.at.rva, &i, &offset)) {
        bool walked = test_bit(w->walked, offset), certain = s.at.rva >= s.furthest;
        bool leaves = op_is(&i, 0xC3) || op_is(&i, 0xC2) || op_jumps_through_pointer(&i);
        if ((certain && (!walked || isa_asks(&i.is))) || (walked && leaves)) {
            return;
        }
        if (certain && i.is.set != 0 && !isa_is_special(&i.is)) {
            f->certain[i.is.set >> 5] |= 1u << (i.is.set & 31);
        }
        if (certain && op_is(&i, 0xE8)) {
            prove(w, op_branch_target(&i));
        }
        follow_reason(w, &s.at, &i);
        s.at.rva = i.next;
        bool jumps = op_is_conditional(&i) || op_is(&i, 0xE9) || op_is(&i, 0xEB);
        if (jumps && walked && !prove_jump(w, &s, &i, certain)) {
            return;
        }
    }
}

static void prove_all(walk *w)
{
    w->budget = w->image->size;
    for (uint32_t number = 0; number < w->reach->functions; number++) {
        const function *f = &w->functions[number];
        if (f->root == f->begin && f->kind != DW_ROOT_NONE) {
            prove(w, f->begin);
        }
    }
    while (w->pending_count > 0) {
        prove_function(w, w->pending[--w->pending_count].function);
    }
}

/* ---- questions that nothing needs to lead to --------------------------------------------------------------------- */

/* The last listed function that begins at or before a place; false if it ends before that. */
static bool listed_around(const walk *w, uint32_t rva, isa_function *found)
{
    uint32_t low = 0, high = isa_function_count(w->image);
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (isa_function_at(w->image, middle, found) && found->begin <= rva) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low > 0 && isa_function_at(w->image, low - 1, found) && rva < found->end;
}

/* Learn what a function writes that executes CPUID, whoever calls it. Where nothing lists it, from CPUID on. */
static void learn_from(walk *w, uint32_t second_byte, uint32_t *last)
{
    uint32_t rva = second_byte - 1;
    uint64_t at;
    uint32_t held_here;
    const uint8_t *bytes = code_at(w, rva, &at, &held_here);
    if (rva < *last || !bytes || bytes[0] != 0x0F) {
        return;
    }
    isa_function listed;
    bool is_listed = listed_around(w, rva, &listed);
    *last = is_listed ? listed.end : rva + 1;
    uint64_t offset;
    uint32_t held;
    const uint8_t *code = is_listed ? code_at(w, listed.begin, &offset, &held) : NULL;
    if (is_listed && (!code || !isa_holds_question(code, listed.end - listed.begin, held, w->wide))) {
        return; /* what only looks like CPUID is data, or part of another instruction */
    }
    uint32_t begin = is_listed ? listed.begin : rva;
    uint32_t number = function_at(w, begin, NOBODY, DW_ROOT_NONE);
    if (number != NOBODY) {
        todo what = {.rva = begin, .function = number, .callee = NOBODY, .asked = true, .given = NOTHING_GIVEN};
        w->functions[number].questions = true;
        push(w, what);
    }
}

/* Learn what a function writes that calls one which asks. Of those that nothing lists it is not known where they begin. */
static void learn_caller(walk *w, uint32_t rva, uint32_t *last)
{
    enum { LENGTH = 5 };
    uint64_t offset;
    uint32_t held;
    isa_function listed;
    const uint8_t *code = code_at(w, rva, &offset, &held);
    if (rva < *last || !code || held < LENGTH) {
        return;
    }
    uint32_t callee = known_function(w, rva + LENGTH + pe_u32(code + 1));
    if (callee == NOBODY || !answers(&w->functions[callee]) || !listed_around(w, rva, &listed)) {
        return;
    }
    uint32_t number = function_at(w, listed.begin, NOBODY, DW_ROOT_NONE);
    if (number != NOBODY) {
        todo what = {.rva = listed.begin, .function = number, .callee = NOBODY, .given = NOTHING_GIVEN};
        *last = listed.end;
        push(w, what);
    }
}

/* Whether one of eight bytes is the one that is repeated in `pattern`. */
static inline bool may_hold(const uint8_t *bytes, uint64_t pattern)
{
    uint64_t word = pe_u64(bytes) ^ pattern;
    return ((word - 0x0101010101010101u) & ~word & 0x8080808080808080u) != 0;
}

/* Look for a byte in all code; `found` is told where, and keeps in `last` up to where there is nothing more to learn. */
static void search_code(walk *w, uint64_t pattern, void (*found)(walk *w, uint32_t rva, uint32_t *last))
{
    uint32_t last = 0;
    uint64_t searched = 0; /* sections that share their bytes must not cost more than the file */
    for (uint32_t index = 0; index < w->image->section_count && searched <= w->image->size; index++) {
        dw_section section = pe_section(w->image, index);
        uint64_t offset;
        uint32_t held = 0;
        const uint8_t *code = section.characteristics & SECTION_CODE ? code_at(w, section.rva, &offset, &held) : NULL;
        searched += held;
        for (uint32_t at = 0; code && at + 8 <= held; at += 8) {
            if (!may_hold(code + at, pattern)) {
                continue;
            }
            for (uint32_t i = at; i < at + 8; i++) {
                if (code[i] == (uint8_t)pattern) {
                    found(w, section.rva + i, &last);
                }
            }
        }
    }
}

/* What asking functions write is known before the walk, as far as they can be found: those that execute CPUID, those that
 * call them and use their answer, and so on. */
static void learn_questions(walk *w)
{
    enum { MOST_PASSES = 3 };
    w->learning = true;
    w->budget = w->image->size;
    search_code(w, 0xA2A2A2A2A2A2A2A2u, learn_from); /* 0F A2 is CPUID */
    walk_pending(w);
    w->asks_anew = w->reach->functions > 0;
    for (uint32_t pass = 0; w->asks_anew && pass < MOST_PASSES; pass++) {
        w->asks_anew = false;
        search_code(w, 0xE8E8E8E8E8E8E8E8u, learn_caller); /* CALL */
        walk_pending(w);
    }
    w->learning = false;
}

/* ---- the whole walk ---------------------------------------------------------------------------------------------- */

static void clear(void *memory, uint64_t size)
{
    uint32_t *words = memory; /* every part of the room is a multiple of 8 bytes */
    for (uint64_t i = 0; i < size >> 2; i++) {
        words[i] = 0;
    }
}

static void walk_once(walk *w)
{
    clear(w->walked, isa_bitmap_size(w->image));
    clear(w->walked_asked, isa_bitmap_size(w->image));
    w->reach->needs = w->reach->instructions = w->reach->through_pointers = 0;
    w->changed = false;
    w->budget = w->image->size;
    for (uint32_t i = 0; i < w->reach->functions; i++) {
        clear(w->functions[i].needs, sizeof w->functions[i].needs);
        w->functions[i].instructions = 0;
    }
    push_roots(w);
    walk_pending(w);
    w->reach->rounds++;
}

/* A power of two that is at least twice as large. */
static uint32_t table_size(uint32_t capacity)
{
    uint32_t size = 64;
    while (size < 2 * capacity) {
        size *= 2;
    }
    return size;
}

/* Bytes of so many entries; both factors are of 32 bits, as 64-bit multiplication would need a C runtime. */
static uint64_t room_for(uint32_t entries, uint32_t size)
{
    return ((uint64_t)entries * size + 7) & ~(uint64_t)7;
}

uint64_t dw_reached_room(const dw_image *image, uint32_t functions)
{
    uint32_t table = table_size(functions);
    return 2 * isa_bitmap_size(image) + room_for(functions, sizeof(function)) +
           room_for(functions * PENDING_PER_FUNCTION, sizeof(todo)) + room_for(table, sizeof(uint32_t)) +
           room_for(table * KNOWN_PER_FUNCTION, sizeof(uint32_t));
}

dw_reach dw_reached(const dw_image *image, uint32_t from_exports, uint8_t *room, uint32_t functions, dw_need *needs,
                    uint32_t capacity)
{
    dw_reach reach = {0};
    uint32_t table = table_size(functions);
    walk w = {.image = image, .reach = &reach, .needs = needs, .capacity = capacity,
              .wide = image->magic == 0x20B, .from_exports = from_exports != 0};
    bool is_x86 = image->machine == 0x8664 || image->machine == 0x14C;
    if (!is_x86 || image->chpe_metadata != 0) {
        return reach;
    }
    w.walked = room;
    w.walked_asked = room += isa_bitmap_size(image);
    w.functions = (function *)(void *)(room += isa_bitmap_size(image));
    w.function_capacity = functions;
    w.pending = (todo *)(void *)(room += room_for(functions, sizeof(function)));
    w.pending_capacity = functions * PENDING_PER_FUNCTION;
    w.index = (uint32_t *)(void *)(room += room_for(w.pending_capacity, sizeof(todo)));
    w.index_mask = table - 1;
    w.globals = (uint32_t *)(void *)(room + room_for(table, sizeof(uint32_t)));
    w.globals_mask = table * KNOWN_PER_FUNCTION - 1;
    learn_questions(&w);
    do {
        walk_once(&w);
    } while (w.changed && !reach.incomplete && reach.rounds < MOST_ROUNDS);
    prove_all(&w);
    for (uint32_t i = 0; i < reach.functions; i++) {
        reach.asking += w.functions[i].instructions > 0 && (w.functions[i].questions || w.functions[i].reads);
    }
    for (uint32_t i = 0; i < reach.needs && i < capacity; i++) {
        const uint32_t *place = place_of_function(&w, needs[i].function);
        needs[i].mixed = needs[i].mixed && place && w.functions[*place - 1].old_vectors;
        needs[i].certain = place && (w.functions[*place - 1].certain[needs[i].set >> 5] >> (needs[i].set & 31) & 1);
    }
    return reach;
}
