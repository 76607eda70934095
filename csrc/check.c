/* What dw_check says, the family and a sentence, of what was found; and what the processor offers (check_table.py). */
#include "check.h"
#include "isa.h"

typedef struct check_family {
    uint32_t number;
    const char *name;
} check_family;

typedef struct check_code {
    uint32_t code;
    uint32_t family;
    const char *text;
} check_code;

typedef struct check_package {
    const char *name;       /* {arch} stands for the architecture */
    const char *what;
    const char *url;
    const char *id;
} check_package;

typedef struct check_runtime_dll {
    const char *pattern;
    uint32_t package;
    uint32_t architectures; /* a bit each: x64, x86, arm64 */
} check_runtime_dll;

typedef struct check_unsupplied {
    const char *pattern;
    const char *what;
} check_unsupplied;

typedef struct check_feature {
    const char *name;
    const char *label;
    uint32_t leaf;
    uint32_t subleaf;
    uint32_t place;         /* of its register: 0 EAX to 3 EDX */
    uint32_t bit;
    uint32_t state;         /* bits of XCR0 that the system must have set */
} check_feature;

#include "check_table.h"

#define ILLEGAL_INSTRUCTION 0xC000001Du

enum {
    DLL_INIT_FAILED = 1114,
    LEAST_STATUS = 0x40000000, /* smaller codes are Win32 codes, and written in decimal */
    OSXSAVE = 27               /* of ECX of leaf 1: XGETBV may be executed */
};

/* ---- texts */

check_text check_begin(dw_char *text, uint32_t capacity)
{
    text[0] = 0;
    return (check_text){text, capacity, 0};
}

static void add_one(check_text *text, dw_char character)
{
    if (text->length + 1 < text->capacity) {
        text->text[text->length++] = character;
        text->text[text->length] = 0;
    }
}

void check_add(check_text *text, const char *more)
{
    for (; *more != 0; more++) {
        add_one(text, (dw_char)*more);
    }
}

void check_add_wide(check_text *text, const dw_char *more)
{
    for (; *more != 0; more++) {
        add_one(text, *more);
    }
}

void check_add_number(check_text *text, uint32_t number)
{
    char digits[11];
    uint32_t at = sizeof digits - 1;
    digits[at] = 0;
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number != 0);
    check_add(text, digits + at);
}

void check_add_code(check_text *text, uint32_t code)
{
    if (code < LEAST_STATUS) {
        check_add_number(text, code);
        return;
    }
    check_add(text, "0x");
    for (int shift = 28; shift >= 0; shift -= 4) {
        add_one(text, (dw_char)"0123456789ABCDEF"[code >> shift & 0xF]);
    }
}

uint32_t check_length(const dw_char *text)
{
    uint32_t length = 0;
    while (text[length] != 0) {
        length++;
    }
    return length;
}

void check_copy(dw_char *to, uint32_t capacity, const dw_char *from)
{
    check_text text = check_begin(to, capacity);
    check_add_wide(&text, from);
}

const dw_char *check_name(const dw_char *path)
{
    const dw_char *name = path;
    for (; *path != 0; path++) {
        if (*path == '\\' || *path == '/') {
            name = path + 1;
        }
    }
    return name;
}

static uint32_t lower(uint32_t character)
{
    return character >= 'A' && character <= 'Z' ? character + 'a' - 'A' : character;
}

bool check_is_same_name(const dw_char *left, const dw_char *right)
{
    while (*left != 0 && lower((uint32_t)*left) == lower((uint32_t)*right)) {
        left++;
        right++;
    }
    return lower((uint32_t)*left) == lower((uint32_t)*right);
}

static bool is_same_word(const char *left, const char *right)
{
    while (*left != 0 && *left == *right) {
        left++;
        right++;
    }
    return *left == *right;
}

/* Whether a name fits a pattern of lower-case letters with "*" and "?". */
static bool fits_pattern(const dw_char *name, const char *pattern)
{
    const char *star = NULL;
    const dw_char *from = NULL;
    while (*name != 0) {
        if (*pattern == '*') {
            star = ++pattern;
            from = name;
        } else if (*pattern != 0 && (*pattern == '?' || (uint32_t)(uint8_t)*pattern == lower((uint32_t)*name))) {
            pattern++;
            name++;
        } else if (star != NULL) {
            pattern = star;
            name = ++from;
        } else {
            return false;
        }
    }
    while (*pattern == '*') {
        pattern++;
    }
    return *pattern == 0;
}

/* ---- architectures */

const char *check_architecture(uint32_t machine)
{
    switch (machine) {
    case CHECK_AMD64:
        return "x64";
    case CHECK_I386:
        return "x86";
    case CHECK_ARM64:
        return "arm64";
    default:
        return NULL;
    }
}

uint32_t check_own_machine(void)
{
#if defined(_M_ARM64) || defined(__aarch64__)
    return CHECK_ARM64;
#elif defined(_M_X64) || defined(__x86_64__)
    return CHECK_AMD64;
#else
    return CHECK_I386;
#endif
}

bool check_fits(const dw_image *image, uint32_t machine)
{
    bool hybrid = image->chpe_metadata != 0 && machine != CHECK_I386 && image->machine != CHECK_I386;
    return image->machine == machine || hybrid;
}

bool check_is_damaged(const dw_image *image)
{
    for (uint32_t i = 0; i < image->defect_count; i++) {
        if (image->defects[i].kind < DW_DEFECT_UNREADABLE_EXPORTS) {
            return true;
        }
    }
    return false;
}

static uint32_t architecture_bit(uint32_t machine)
{
    return machine == CHECK_AMD64 ? 1 : machine == CHECK_I386 ? 2 : 4;
}

static void add_machine(check_text *text, uint32_t machine)
{
    const char *names[] = {"64-bit x64", "32-bit x86", "Arm64"};
    if (check_architecture(machine) == NULL) {
        check_add(text, "for another kind of processor");
    } else {
        check_add(text, names[machine == CHECK_AMD64 ? 0 : machine == CHECK_I386 ? 1 : 2]);
    }
}

/* ---- the processor */

static bool has_leaf(uint32_t leaf, uint32_t subleaf)
{
    uint32_t answer[4] = {0};
    if (dw_cpuid(leaf & 0xFFFF0000u, 0, answer) != DW_OK || answer[0] < leaf) {
        return false;
    }
    if (subleaf == 0) {
        return true;
    }
    return dw_cpuid(leaf, 0, answer) == DW_OK && answer[0] >= subleaf;
}

static bool is_switched_on(uint32_t state)
{
    uint32_t answer[4] = {0};
    uint64_t states = 0;
    (void)dw_cpuid(1, 0, answer);
    return (answer[2] >> OSXSAVE & 1) != 0 && dw_xgetbv(0, &states) == DW_OK && ((uint32_t)states & state) == state;
}

static bool is_usable(const check_feature *feature)
{
    uint32_t answer[4] = {0};
    if (!has_leaf(feature->leaf, feature->subleaf) || dw_cpuid(feature->leaf, feature->subleaf, answer) != DW_OK) {
        return false;
    }
    return (answer[feature->place] >> feature->bit & 1) != 0 && (feature->state == 0 || is_switched_on(feature->state));
}

int32_t dw_cpu_has(const char *feature)
{
    for (uint32_t i = 0; i < CHECK_FEATURES; i++) {
        if (is_same_word(feature, check_features[i].name)) {
            return is_usable(&check_features[i]);
        }
    }
    return -1;
}

uint32_t dw_cpu_level(void)
{
    for (uint32_t level = 0; level < CHECK_LEVELS; level++) {
        for (const uint8_t *each = check_levels[level]; *each != CHECK_NO_FEATURE; each++) {
            if (!is_usable(&check_features[*each])) {
                return level;
            }
        }
    }
    return CHECK_LEVELS;
}

/* The first feature that an instruction needs and that a program may not execute; NULL if there is none. */
static const check_feature *lacking(const dw_event *event, bool wide)
{
    isa_instruction found;
    if (event->byte_count > DW_EVENT_BYTES || !isa_read(event->bytes, event->byte_count, wide, &found) ||
        found.row == ISA_NO_ROW || isa_is_special(&found)) {
        return NULL;
    }
    for (const uint8_t *each = check_sets[found.set]; *each != CHECK_NO_FEATURE; each++) {
        if (!is_usable(&check_features[*each])) {
            return &check_features[*each];
        }
    }
    return NULL;
}

/* ---- tables */

const char *dw_family_name(uint32_t family)
{
    for (uint32_t i = 0; i < CHECK_FAMILIES; i++) {
        if (check_families[i].number == family) {
            return check_families[i].name;
        }
    }
    return NULL;
}

/* Not of an illegal instruction: if it is none that this processor lacks, only the code is known. */
static const check_code *code_row(uint32_t code)
{
    if (code == ILLEGAL_INSTRUCTION) {
        return NULL;
    }
    for (uint32_t i = 0; i < CHECK_CODES; i++) {
        if (check_codes[i].code == code) {
            return &check_codes[i];
        }
    }
    return NULL;
}

static const check_package *package_of(const dw_char *name, uint32_t machine)
{
    for (uint32_t i = 0; i < CHECK_RUNTIME_DLLS; i++) {
        const check_runtime_dll *row = &check_runtime_dlls[i];
        if ((row->architectures & architecture_bit(machine)) != 0 && fits_pattern(name, row->pattern)) {
            return &check_packages[row->package];
        }
    }
    return NULL;
}

static bool is_for_developers(const dw_char *name)
{
    for (uint32_t i = 0; i < CHECK_DEBUG_DLLS; i++) {
        if (fits_pattern(name, check_debug_dlls[i])) {
            return true;
        }
    }
    return false;
}

static const char *unsupplied(const dw_char *name)
{
    for (uint32_t i = 0; i < CHECK_UNSUPPLIED_DLLS; i++) {
        if (fits_pattern(name, check_unsupplied_dlls[i].pattern)) {
            return check_unsupplied_dlls[i].what;
        }
    }
    return NULL;
}

/* Add a text of a table, with the architecture where {arch} stands. */
static void add_for(check_text *text, const char *more, uint32_t machine)
{
    static const char mark[] = "{arch}";
    while (*more != 0) {
        uint32_t same = 0;
        while (mark[same] != 0 && more[same] == mark[same]) {
            same++;
        }
        if (mark[same] == 0) {
            check_add(text, check_architecture(machine));
            more += same;
        } else {
            add_one(text, (dw_char)*more++);
        }
    }
}

/* ---- sentences */

/* One answer in the making. */
typedef struct telling {
    const check_room *room;
    const check_fault *fault;
    const dw_char *module;    /* names */
    const dw_char *importer;
    const dw_char *file;
    check_text text;
    dw_check_result *result;
} telling;

static void say(telling *it, const char *words)
{
    check_add(&it->text, words);
}

static void name(telling *it, const dw_char *named)
{
    check_add_wide(&it->text, named);
}

/* ": install X, from URL" */
static void tell_to_install(telling *it, const check_package *package, uint32_t machine)
{
    check_text url = check_begin(it->result->url, DW_CHECK_NAME);
    add_for(&url, package->url, machine);
    say(it, ": install ");
    add_for(&it->text, package->name, machine);
    say(it, ", from ");
    check_add_wide(&it->text, it->result->url);
}

static void tell_of_product(telling *it, const dw_char *owner)
{
    say(it, ": install the product that ");
    name(it, owner);
    say(it, " belongs to again, and if that does not help, report this to its authors.");
}

static bool is_api_set(const dw_char *dll)
{
    return fits_pattern(dll, "api-*") || fits_pattern(dll, "ext-*");
}

static uint32_t tell_missing(telling *it)
{
    const check_package *package = package_of(it->module, it->room->machine);
    const char *what = unsupplied(it->module);
    if (is_for_developers(it->module)) {
        name(it, it->importer);
        say(it, " is a debug build: it needs ");
        name(it, it->module);
        say(it, ", which only Visual Studio has and no redistributable: its authors must supply a release build.");
        return DW_FAMILY_DEBUG_RUNTIME;
    }
    if (package != NULL) {
        name(it, it->module);
        say(it, ", a part of ");
        say(it, package->what);
        say(it, ", is not installed, and ");
        name(it, it->importer);
        say(it, " needs it");
        tell_to_install(it, package, it->room->machine);
        return DW_FAMILY_MISSING_MSVC_RUNTIME;
    }
    if (is_api_set(it->module)) {
        name(it, it->importer);
        say(it, " needs ");
        name(it, it->module);
        say(it, ", a part of Windows that this version does not have: update Windows, or use a version of the product "
                "that is made for this one.");
        return DW_FAMILY_WINDOWS_TOO_OLD;
    }
    name(it, it->module);
    if (what != NULL) {
        say(it, ", a part of ");
        say(it, what);
        say(it, ",");
    }
    say(it, " is in none of the directories that are searched, and ");
    name(it, it->importer);
    say(it, " needs it");
    tell_of_product(it, it->importer);
    return DW_FAMILY_MISSING_DLL;
}

static uint32_t tell_wrong_machine(telling *it)
{
    name(it, it->module);
    say(it, " is ");
    add_machine(&it->text, it->fault->machine);
    if (it->fault->needed_by[0] == 0) {
        say(it, ", and this Windows cannot run that: use the build of the product that is made for this Windows.");
        return DW_FAMILY_WRONG_ARCHITECTURE;
    }
    say(it, ", it is the only ");
    name(it, it->module);
    say(it, " that is found, and ");
    name(it, it->importer);
    say(it, ", which is ");
    add_machine(&it->text, it->room->machine);
    say(it, ", needs it: install the ");
    check_add(&it->text, check_architecture(it->room->machine));
    say(it, " build of ");
    name(it, it->module);
    say(it, ".");
    return DW_FAMILY_WRONG_ARCHITECTURE;
}

static uint32_t tell_corrupt(telling *it)
{
    name(it, it->module);
    say(it, " is corrupt, either cut off or no DLL at all");
    tell_of_product(it, it->module);
    return DW_FAMILY_CORRUPT_FILE;
}

static uint32_t tell_lacks(telling *it)
{
    const check_package *package = package_of(it->module, it->room->machine);
    bool is_runtime = package != NULL && !is_same_word(package->id, "ucrt");
    name(it, it->module);
    say(it, it->fault->of_windows && !is_runtime ? " of this Windows lacks the function " : " lacks the function ");
    say(it, it->fault->symbol);
    say(it, ", which ");
    name(it, it->importer);
    say(it, " imports");
    if (is_runtime) {
        say(it, ", so it is too old");
        tell_to_install(it, package, it->room->machine);
        return DW_FAMILY_MSVC_RUNTIME_TOO_OLD;
    }
    if (it->fault->of_windows) {
        say(it, ": update Windows, or use a version of the product that is made for this one.");
        return DW_FAMILY_WINDOWS_TOO_OLD;
    }
    say(it, ": the two do not fit each other, so install the product that ");
    name(it, it->importer);
    say(it, " belongs to again, without copies of ");
    name(it, it->module);
    say(it, " from elsewhere.");
    return DW_FAMILY_MISSING_EXPORT;
}

static void say_code(telling *it, uint32_t code)
{
    say(it, "code ");
    check_add_code(&it->text, code);
}

/* What to do, of what the code alone proves. */
static void tell_by_family(telling *it, uint32_t family)
{
    if (family == DW_FAMILY_ACCESS_DENIED) {
        say(it, ": give this user the right to read and execute it, or ask whoever looks after this machine to "
                "allow it.");
    } else if (family == DW_FAMILY_OUT_OF_MEMORY) {
        say(it, ": close other programs, or let Windows have a larger paging file.");
    } else if (family == DW_FAMILY_SIDE_BY_SIDE) {
        say(it, ": install the redistributable with the assembly that Windows names in its Application log "
                "(SideBySide, event 33).");
    } else {
        tell_of_product(it, it->module);
    }
}

static uint32_t tell_unsuitable_processor(telling *it, const check_feature *feature)
{
    it->module = check_name(it->fault->module);
    name(it, it->module);
    say(it, " uses ");
    say(it, feature->label);
    say(it, " instructions, which this processor, or its Windows, cannot execute: use a version of the product that "
            "does not need them, or another machine.");
    return DW_FAMILY_CPU_FEATURE_MISSING;
}

/* What the last exception is about, if a load that ended with a code may have ended with it: an instruction that is not
 * usable here. The loader turns exceptions of an initialisation into DLL_INIT_FAILED. */
static const check_feature *unsuitable(const check_room *room, uint32_t code)
{
    const dw_event *event = &room->event;
    bool may_be = code == DLL_INIT_FAILED || code == ILLEGAL_INSTRUCTION;
    if (!may_be || event->kind != DW_EVENT_EXCEPTION || event->code != ILLEGAL_INSTRUCTION) {
        return NULL;
    }
    return lacking(event, room->machine != CHECK_I386);
}

/* Such as a file that Wine has and is told not to use. */
static uint32_t tell_broken_runtime(telling *it, const check_package *package)
{
    name(it, it->module);
    say(it, ", a part of ");
    say(it, package->what);
    say(it, ", does not load on this machine (");
    say_code(it, it->fault->code);
    say(it, "), and ");
    name(it, it->importer);
    say(it, " needs it");
    tell_to_install(it, package, it->room->machine);
    return DW_FAMILY_MISSING_MSVC_RUNTIME;
}

static uint32_t tell_refused(telling *it)
{
    const check_package *package = package_of(it->module, it->room->machine);
    const check_code *row = code_row(it->fault->code);
    const check_feature *feature = unsuitable(it->room, it->fault->code);
    uint32_t family = row ? row->family : DW_FAMILY_OTHER;
    if (feature != NULL) {
        return tell_unsuitable_processor(it, feature);
    }
    if (package != NULL && it->fault->of_windows && it->fault->needed_by[0] != 0) {
        return tell_broken_runtime(it, package);
    }
    if (family == DW_FAMILY_OTHER && it->fault->code >= LEAST_STATUS) {
        family = DW_FAMILY_CRASH_ON_LOAD; /* the loader hands on the exception of an initialisation */
    }
    say(it, "Windows refuses ");
    name(it, it->module);
    say(it, it->fault->circle ? ", or a DLL that it needs and that needs it" : "");
    if (row != NULL) {
        say(it, ", since ");
        say(it, row->text);
        say(it, " (");
        say_code(it, it->fault->code);
        say(it, ")");
    } else {
        say(it, " with ");
        say_code(it, it->fault->code);
    }
    tell_by_family(it, family);
    return family;
}

static uint32_t tell_unreadable(telling *it)
{
    const check_code *row = code_row(it->fault->code);
    uint32_t family = row && row->family != DW_FAMILY_OTHER ? row->family : DW_FAMILY_UNREADABLE;
    name(it, it->module);
    say(it, it->fault->code == 0 ? " is no file that can be loaded" : " cannot be opened");
    if (row != NULL) {
        say(it, ", since ");
        say(it, row->text);
    }
    if (it->fault->code != 0) {
        say(it, " (");
        say_code(it, it->fault->code);
        say(it, ")");
    }
    if (family == DW_FAMILY_UNREADABLE) {
        say(it, ": check its path.");
    } else {
        tell_by_family(it, family);
    }
    return family;
}

static uint32_t tell_not_followed(telling *it)
{
    name(it, it->module);
    say(it, " does not load (");
    say_code(it, it->fault->code);
    say(it, "), and its imports do not tell which of them is at fault");
    tell_of_product(it, it->module);
    return DW_FAMILY_OTHER;
}

static uint32_t tell_crashed(telling *it)
{
    const check_feature *feature = unsuitable(it->room, it->fault->code);
    const check_code *row = it->fault->code >= LEAST_STATUS ? code_row(it->fault->code) : NULL;
    if (feature != NULL) {
        return tell_unsuitable_processor(it, feature);
    }
    say(it, "The process that loaded ");
    name(it, it->file);
    say(it, " ended");
    if (it->fault->module[0] != 0) {
        say(it, " in ");
        name(it, it->module);
    } else {
        say(it, ", in which of its DLLs could not be seen");
    }
    say(it, row != NULL ? ", since " : " with ");
    if (row != NULL) {
        say(it, row->text);
        say(it, " (");
    }
    say_code(it, it->fault->code);
    say(it, row != NULL ? ")" : "");
    tell_of_product(it, it->fault->module[0] != 0 ? it->module : it->file);
    return DW_FAMILY_CRASH_ON_LOAD;
}

static uint32_t tell_hung(telling *it)
{
    say(it, "Loading ");
    name(it, it->fault->module[0] != 0 ? it->module : it->file);
    say(it, " did not end within the time limit, so it was stopped: if more time does not help, report this to the "
            "authors of the product.");
    return DW_FAMILY_HANG_ON_LOAD;
}

static uint32_t tell_no_directory(telling *it)
{
    check_add_wide(&it->text, it->fault->module);
    say(it, " cannot be searched: give an absolute path of a directory that exists.");
    return DW_FAMILY_UNREADABLE;
}

static uint32_t tell_no_program(telling *it)
{
    name(it, it->file);
    say(it, " could not be tried: ");
    name(it, it->module);
    say(it, ", which does it for this architecture, is not there, so put it beside this program.");
    return DW_FAMILY_UNKNOWN;
}

static uint32_t tell_not_started(telling *it)
{
    name(it, it->file);
    say(it, " could not be tried: Windows does not start ");
    name(it, it->module);
    say(it, " (");
    say_code(it, it->fault->code);
    say(it, ").");
    return DW_FAMILY_UNKNOWN;
}

static uint32_t tell(telling *it)
{
    switch (it->fault->kind) {
    case CHECK_NO_FAULT:
        return DW_FAMILY_LOADS;
    case CHECK_MISSING:
        return tell_missing(it);
    case CHECK_WRONG_MACHINE:
        return tell_wrong_machine(it);
    case CHECK_CORRUPT:
        return tell_corrupt(it);
    case CHECK_LACKS:
        return tell_lacks(it);
    case CHECK_REFUSED:
        return tell_refused(it);
    case CHECK_UNREADABLE:
        return tell_unreadable(it);
    case CHECK_CRASHED:
        return tell_crashed(it);
    case CHECK_HUNG:
        return tell_hung(it);
    case CHECK_NO_DIRECTORY:
        return tell_no_directory(it);
    case CHECK_NO_PROGRAM:
        return tell_no_program(it);
    case CHECK_NOT_STARTED:
        return tell_not_started(it);
    default:
        return tell_not_followed(it);
    }
}

void check_tell(const check_room *room, dw_check_result *result)
{
    const check_fault *fault = &room->fault;
    telling it = {room, fault, check_name(fault->module), check_name(fault->needed_by), check_name(room->path),
                  check_begin(result->sentence, DW_CHECK_TEXT), result};
    result->url[0] = 0;
    result->code = fault->code;
    result->family = tell(&it);
    result->status = result->family == DW_FAMILY_UNREADABLE ? DW_CANNOT_OPEN
                     : result->family == DW_FAMILY_UNKNOWN  ? DW_REFUSED
                                                            : DW_OK;
    check_copy(result->module, DW_CHECK_NAME, it.module);
    check_copy(result->needed_by, DW_CHECK_NAME, it.importer);
}

/* ---- what a program asks of the machine */

/* An answer that is about no file. */
static telling telling_of(dw_check_result *result)
{
    static const dw_char nothing[] = {0};
    telling it = {NULL, NULL, nothing, nothing, nothing, check_begin(result->sentence, DW_CHECK_TEXT), result};
    result->family = DW_FAMILY_LOADS;
    result->code = 0;
    result->status = DW_OK;
    result->module[0] = result->needed_by[0] = result->url[0] = 0;
    return it;
}

/* 1 to 4 for "v3" or "x86-64-v3"; 0 for anything else. */
static uint32_t level_named(const dw_char *wanted)
{
    static const char prefix[] = "x86-64-";
    uint32_t at = 0;
    while (prefix[at] != 0 && (uint32_t)wanted[at] == (uint32_t)(uint8_t)prefix[at]) {
        at++;
    }
    at = prefix[at] == 0 ? at : 0;
    bool is_level = wanted[at] == 'v' && wanted[at + 1] >= '1' && wanted[at + 1] <= '4' && wanted[at + 2] == 0;
    return is_level ? (uint32_t)(wanted[at + 1] - '0') : 0;
}

static const check_feature *feature_named(const dw_char *wanted)
{
    for (uint32_t i = 0; i < CHECK_FEATURES; i++) {
        if (fits_pattern(wanted, check_features[i].name)) { /* no name has a "*" or "?" */
            return &check_features[i];
        }
    }
    return NULL;
}

/* The first feature of a level that is not usable; NULL if all are. */
static const check_feature *first_below(uint32_t level)
{
    for (uint32_t row = 0; row < level; row++) {
        for (const uint8_t *each = check_levels[row]; *each != CHECK_NO_FEATURE; each++) {
            if (!is_usable(&check_features[*each])) {
                return &check_features[*each];
            }
        }
    }
    return NULL;
}

int32_t check_cpu(const dw_char *wanted, dw_check_result *result)
{
    telling it = telling_of(result);
    uint32_t level = level_named(wanted);
    const check_feature *feature = level != 0 ? first_below(level) : feature_named(wanted);
    if (level == 0 && feature == NULL) {
        return DW_INVALID;
    }
    if (feature == NULL || is_usable(feature)) {
        return DW_OK;
    }
    say(&it, "The product needs a processor with ");
    say(&it, level != 0 ? "all of x86-64-v" : feature->label);
    if (level != 0) {
        check_add_number(&it.text, level);
        say(&it, ", and this one, or its Windows, does not offer ");
        say(&it, feature->label);
    } else {
        say(&it, ", which this one, or its Windows, does not offer");
    }
    say(&it, ": use a version of the product that does not need it, or another machine.");
    result->family = DW_FAMILY_CPU_FEATURE_MISSING;
    return DW_OK;
}

static void say_version(telling *it, uint32_t version)
{
    check_add_number(&it->text, version >> 24);
    say(it, ".");
    check_add_number(&it->text, version >> 16 & 0xFF);
    if ((version & 0xFFFF) != 0) {
        say(it, ".");
        check_add_number(&it->text, version & 0xFFFF);
    }
}

void check_vc_runtime(uint32_t machine, uint32_t found, uint32_t wanted, dw_check_result *result)
{
    static const dw_char dll[] = {'m', 's', 'v', 'c', 'p', '1', '4', '0', '.', 'd', 'l', 'l', 0};
    const check_package *package = package_of(dll, machine);
    telling it = telling_of(result);
    if (found >= wanted && found != 0) {
        return;
    }
    result->family = found == 0 ? DW_FAMILY_MISSING_MSVC_RUNTIME : DW_FAMILY_MSVC_RUNTIME_TOO_OLD;
    say(&it, "The product needs ");
    say(&it, package->what);
    say(&it, " (");
    say(&it, check_architecture(machine));
    say(&it, ") in version ");
    say_version(&it, wanted);
    say(&it, found == 0 ? " or later, and none is installed" : " or later, and version ");
    if (found != 0) {
        say_version(&it, found);
        say(&it, " is installed");
    }
    tell_to_install(&it, package, machine);
}
