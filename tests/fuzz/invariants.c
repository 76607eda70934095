/* Every reading function of the core on one input, and what must hold for each answer. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

enum {
    SAMPLE = 48,            /* exports that are looked up one by one, spread over the table */
    GUARD = 0xA5,           /* what an entry behind the last one is filled with */
    ENTRY_BYTES = 4,        /* the smallest entry of any table: a listing holds at most one per so many bytes */
    CODE_EVERY = 32,        /* variants of which one is read as code: that costs more than all the rest */
    NAME_FACTOR = 1         /* all names together are at most so many times the file, and one more */
};

const char *fuzz_save_path;
static const fuzz_input *current;

/* ---- failures --------------------------------------------------------------------------------------------------- */

static void save_input(void)
{
    FILE *file = fuzz_save_path ? fopen(fuzz_save_path, "wb") : NULL;
    if (file) {
        (void)fwrite(current->data, 1, current->size, file);
        (void)fclose(file);
        fprintf(stderr, "input saved as %s\n", fuzz_save_path);
    }
}

_Noreturn void fuzz_fail(const char *file, int line, const char *condition)
{
    fprintf(stderr, "%s:%d: not true: %s\n", file, line, condition);
    if (current) {
        fprintf(stderr, "input: %s, %s %llu, %zu bytes\n", current->name, current->variant,
                (unsigned long long)current->number, current->size);
        save_input();
    }
    abort();
}

/* ---- work ------------------------------------------------------------------------------------------------------- */

/* With -fsanitize-coverage=trace-pc the core calls __sanitizer_cov_trace_pc in every basic block: work is counted, so
 * a slow machine changes nothing and an endless loop ends here. One call may take WORK_PER_BYTE blocks per byte of its
 * files and per bit of the sizes (for the searches in sections and exports). */
static uint64_t work_done, work_limit = UINT64_MAX;
static double most_work;

#if defined(FUZZ_COUNT_WORK)
enum { WORK_PER_BYTE = 24, WORK_PER_CODE_BYTE = 512, WORK_FLOOR = 0x4000 };

void __sanitizer_cov_trace_pc(void);

void __sanitizer_cov_trace_pc(void)
{
    if (++work_done > work_limit) {
        work_limit = UINT64_MAX;
        fuzz_fail(__FILE__, __LINE__, "the work is bounded by the size of the file");
    }
}

static void allow(uint64_t size, uint64_t per_byte)
{
    uint64_t bits = 1;
    while (bits < 40 && size >> bits != 0) {
        bits++;
    }
    work_done = 0;
    work_limit = per_byte * (size + WORK_FLOOR) * bits;
}

static void allow_work(uint64_t size)
{
    allow(size, WORK_PER_BYTE);
}

/* A walk through code reads each byte several times: before and after a question, and again when one was found. */
void fuzz_allow_code(uint64_t size)
{
    allow(size, WORK_PER_CODE_BYTE);
}

void fuzz_end_work(uint64_t size)
{
    double per_byte = (double)work_done / (double)(size + WORK_FLOOR);
    most_work = per_byte > most_work ? per_byte : most_work;
    work_limit = UINT64_MAX;
}
#else
static void allow_work(uint64_t size)
{
    (void)size;
}

void fuzz_allow_code(uint64_t size)
{
    (void)size;
}

void fuzz_end_work(uint64_t size)
{
    (void)size;
}
#endif

double fuzz_most_work(void)
{
    (void)work_done;
    (void)work_limit;
    return most_work;
}

/* ---- listings --------------------------------------------------------------------------------------------------- */

/* One listing function of the core with what it is asked besides. */
typedef struct list_call {
    uint32_t (*call)(const struct list_call *listing, dw_image *image, void *entries, uint32_t capacity);
    size_t entry_size;
    uint64_t most;          /* entries that a file of this size may hold */
    uint32_t argument;      /* directory, resource type or section */
    uint32_t symbol_count;
    const dw_symbol *symbols;
} list_call;

static uint32_t call_sections(const list_call *listing, dw_image *image, void *entries, uint32_t capacity)
{
    (void)listing;
    return dw_sections(image, entries, capacity);
}

static uint32_t call_dlls(const list_call *listing, dw_image *image, void *entries, uint32_t capacity)
{
    return dw_imports(image, listing->argument, entries, capacity, NULL, 0).dlls;
}

static uint32_t call_symbols(const list_call *listing, dw_image *image, void *entries, uint32_t capacity)
{
    return dw_imports(image, listing->argument, NULL, 0, entries, capacity).symbols;
}

static uint32_t call_bound_imports(const list_call *listing, dw_image *image, void *entries, uint32_t capacity)
{
    (void)listing;
    return dw_bound_imports(image, entries, capacity);
}

static uint32_t call_export_addresses(const list_call *listing, dw_image *image, void *entries, uint32_t capacity)
{
    (void)listing;
    return dw_export_addresses(image, entries, capacity);
}

static uint32_t call_export_names(const list_call *listing, dw_image *image, void *entries, uint32_t capacity)
{
    (void)listing;
    return dw_export_names(image, entries, capacity);
}

static uint32_t call_resources(const list_call *listing, dw_image *image, void *entries, uint32_t capacity)
{
    return dw_resources(image, listing->argument, entries, capacity);
}

static uint32_t call_dll_names(const list_call *listing, dw_image *image, void *entries, uint32_t capacity)
{
    return dw_dll_names(image, listing->argument, entries, capacity);
}

static uint32_t call_match(const list_call *listing, dw_image *image, void *entries, uint32_t capacity)
{
    return dw_match(image, listing->symbols, listing->symbol_count, image, entries, capacity);
}

static uint32_t call_counted(const list_call *listing, dw_image *image, void *entries, uint32_t capacity)
{
    allow_work(image->size);
    uint32_t count = listing->call(listing, image, entries, capacity);
    fuzz_end_work(image->size);
    return count;
}

static void *new_entries(size_t entry_size, uint32_t capacity)
{
    uint8_t *entries = malloc(entry_size * ((size_t)capacity + 1));
    if (!entries) {
        fputs("out of memory\n", stderr);
        exit(2);
    }
    memset(entries, GUARD, entry_size * ((size_t)capacity + 1));
    return entries;
}

static bool guard_is_whole(const uint8_t *entries, size_t entry_size, uint32_t capacity)
{
    const uint8_t *guard = entries + entry_size * capacity;
    for (size_t i = 0; i < entry_size; i++) {
        if (guard[i] != GUARD) {
            return false;
        }
    }
    return true;
}

/* With less room the same number is returned, and the first entries are the same. */
static void check_small(const list_call *listing, dw_image *image, const void *all, uint32_t count,
                        uint32_t capacity)
{
    void *some = new_entries(listing->entry_size, capacity);
    MUST(call_counted(listing, image, some, capacity) == count);
    MUST(guard_is_whole(some, listing->entry_size, capacity));
    MUST(memcmp(some, all, listing->entry_size * capacity) == 0);
    free(some);
}

/* The entries of a listing, to be freed; it is called for their number, for all of them, and with too little room. */
static void *check_listing(const list_call *listing, dw_image *image, uint32_t *count)
{
    *count = call_counted(listing, image, NULL, 0);
    MUST(*count <= listing->most);
    void *all = new_entries(listing->entry_size, *count);
    MUST(call_counted(listing, image, all, *count) == *count);
    MUST(guard_is_whole(all, listing->entry_size, *count));
    if (*count > 0) {
        check_small(listing, image, all, *count, *count - 1);
    }
    if (*count > 3) {
        check_small(listing, image, all, *count, *count / 2);
    }
    return all;
}

/* ---- texts ------------------------------------------------------------------------------------------------------ */

static uint64_t check_text(const dw_image *image, dw_text text)
{
    MUST(text.length <= DW_MAX_NAME);
    MUST((uint64_t)text.offset + text.length <= image->size);
    MUST(text.length == 0 || memchr(image->data + text.offset, 0, text.length) == NULL);
    return text.length;
}

static void check_name_bytes(const dw_image *image, uint64_t name_bytes)
{
    MUST(name_bytes <= NAME_FACTOR * image->size + DW_MAX_NAME);
}

static uint64_t most_entries(const dw_image *image)
{
    return image->size / ENTRY_BYTES + 1;
}

/* ---- headers ---------------------------------------------------------------------------------------------------- */

static bool known_defect(uint32_t kind)
{
    return (kind >= DW_DEFECT_CUT_DOS_HEADER && kind <= DW_DEFECT_UNREADABLE_IMPORTS) ||
           (kind >= DW_DEFECT_UNREADABLE_EXPORTS && kind <= DW_DEFECT_UNSORTED_EXPORTS);
}

static bool has_defect(const dw_image *image, uint32_t kind)
{
    for (uint32_t i = 0; i < image->defect_count; i++) {
        if (image->defects[i].kind == kind) {
            return true;
        }
    }
    return false;
}

static void check_defects(const dw_image *image)
{
    MUST(image->defect_count <= DW_MAX_DEFECTS);
    for (uint32_t i = 0; i < image->defect_count; i++) {
        MUST(known_defect(image->defects[i].kind));
        for (uint32_t j = 0; j < i; j++) {
            MUST(image->defects[i].kind != image->defects[j].kind);
        }
    }
}

static int32_t expected_status(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return DW_EMPTY;
    }
    return size >= 2 && data[0] == 'M' && data[1] == 'Z' ? DW_OK : DW_NOT_PE;
}

static void check_sections(dw_image *image)
{
    list_call sections = {call_sections, sizeof(dw_section), image->size / 40, 0, 0, NULL};
    uint32_t count;
    free(check_listing(&sections, image, &count));
    MUST(count == image->section_count);
}

/* A name of a DLL has a character and the ending, of one or two bytes each; there is none behind the last section. */
static void check_dll_names(dw_image *image)
{
    for (uint32_t section = 0; section < image->section_count && section < 3; section++) {
        list_call names = {call_dll_names, sizeof(dw_text), image->size / 6, section, 0, NULL};
        uint32_t count;
        dw_text *found = check_listing(&names, image, &count);
        for (uint32_t i = 0; i < count; i++) {
            MUST(found[i].length >= 5 && found[i].length <= 2 * 68);
            MUST((uint64_t)found[i].offset + found[i].length <= image->size);
        }
        free(found);
    }
    MUST(dw_dll_names(image, image->section_count, NULL, 0) == 0);
}

/* ---- imports ---------------------------------------------------------------------------------------------------- */

static void check_bindings(dw_image *image, const dw_symbol *symbols, uint32_t symbol_count)
{
    list_call match = {call_match, sizeof(dw_binding), symbol_count, 0, symbol_count, symbols};
    uint32_t count;
    dw_binding *bindings = check_listing(&match, image, &count);
    for (uint32_t i = 0; i < count; i++) {
        MUST(bindings[i].symbol < symbol_count);
        MUST(i == 0 || bindings[i].symbol > bindings[i - 1].symbol);
        MUST(bindings[i].result >= DW_UNRESOLVED && bindings[i].result <= DW_NO_EXPORTS);
        MUST((bindings[i].result == DW_NO_EXPORTS) == (dw_exports(image).present == 0));
        (void)check_text(image, bindings[i].forwarder);
    }
    free(bindings);
}

/* The symbols of the DLLs, in order, are the symbol array. */
static uint64_t check_dlls(const dw_image *image, const dw_import *dlls, dw_counts counts)
{
    uint64_t name_bytes = 0;
    uint32_t next = 0;
    for (uint32_t i = 0; i < counts.dlls; i++) {
        name_bytes += check_text(image, dlls[i].dll);
        MUST(dlls[i].first_symbol == next);
        MUST(dlls[i].symbol_count <= counts.symbols - next);
        MUST(dlls[i].skipped <= 1);
        next += dlls[i].symbol_count;
    }
    MUST(next == counts.symbols);
    return name_bytes;
}

static uint64_t check_symbols(const dw_image *image, const dw_symbol *symbols, uint32_t count)
{
    uint64_t name_bytes = 0;
    for (uint32_t i = 0; i < count; i++) {
        name_bytes += check_text(image, symbols[i].name);
        MUST(symbols[i].name.length == 0 || symbols[i].ordinal == 0);
        MUST(symbols[i].name.length > 0 || symbols[i].hint == 0); /* an empty name may not pass for an ordinal */
    }
    return name_bytes;
}

/* Both arrays filled by one call hold what each one alone was given. */
static void check_both(dw_image *image, uint32_t directory, const dw_import *dlls, const dw_symbol *symbols,
                       dw_counts counts)
{
    dw_import *dlls_again = new_entries(sizeof *dlls, counts.dlls);
    dw_symbol *symbols_again = new_entries(sizeof *symbols, counts.symbols);
    dw_counts again = dw_imports(image, directory, dlls_again, counts.dlls, symbols_again, counts.symbols);
    MUST(again.dlls == counts.dlls && again.symbols == counts.symbols);
    MUST(memcmp(dlls, dlls_again, sizeof *dlls * counts.dlls) == 0);
    MUST(memcmp(symbols, symbols_again, sizeof *symbols * counts.symbols) == 0);
    free(dlls_again);
    free(symbols_again);
}

static void check_imports(dw_image *image, uint32_t directory)
{
    list_call dll_listing = {call_dlls, sizeof(dw_import), most_entries(image), directory, 0, NULL};
    list_call symbol_listing = {call_symbols, sizeof(dw_symbol), most_entries(image), directory, 0, NULL};
    dw_counts counts;
    dw_import *dlls = check_listing(&dll_listing, image, &counts.dlls);
    dw_symbol *symbols = check_listing(&symbol_listing, image, &counts.symbols);
    MUST((uint64_t)counts.dlls + counts.symbols <= most_entries(image));
    check_name_bytes(image, check_dlls(image, dlls, counts) + check_symbols(image, symbols, counts.symbols));
    check_both(image, directory, dlls, symbols, counts);
    check_bindings(image, symbols, counts.symbols);
    free(dlls);
    free(symbols);
}

static void check_bound_imports(dw_image *image)
{
    list_call bound = {call_bound_imports, sizeof(dw_text), most_entries(image), 0, 0, NULL};
    uint64_t name_bytes = 0;
    uint32_t count;
    dw_text *names = check_listing(&bound, image, &count);
    for (uint32_t i = 0; i < count; i++) {
        name_bytes += check_text(image, names[i]);
    }
    check_name_bytes(image, name_bytes);
    free(names);
}

/* ---- exports ---------------------------------------------------------------------------------------------------- */

typedef struct exports {
    dw_export_info info;
    dw_export_address *addresses;
    dw_export_name *names;
    uint32_t address_count, name_count;
} exports;

static dw_binding look_up(dw_image *image, const char *name, uint32_t length, uint32_t hint, uint32_t ordinal)
{
    allow_work(image->size);
    dw_binding binding = dw_lookup(image, name, length, hint, ordinal);
    fuzz_end_work(image->size);
    MUST(binding.symbol == 0);
    MUST(binding.result <= DW_NO_EXPORTS);
    (void)check_text(image, binding.forwarder);
    return binding;
}

static uint32_t step_of(uint32_t count)
{
    return count / SAMPLE + 1;
}

/* An ordinal's address is the one that the listing gives it. */
static void check_ordinals(dw_image *image, const exports *all)
{
    for (uint32_t i = 0; i < all->address_count; i += step_of(all->address_count)) {
        dw_binding found = look_up(image, NULL, 0, 0, all->info.base + i);
        MUST(found.rva == all->addresses[i].rva);
        MUST((found.result == DW_UNRESOLVED) >= (found.rva == 0));
    }
    dw_binding beyond = look_up(image, NULL, 0, 0, all->info.base + all->info.address_count);
    MUST(beyond.result == (all->info.present ? DW_UNRESOLVED : DW_NO_EXPORTS));
}

static bool strictly_sorted(const dw_image *image, const exports *all)
{
    for (uint32_t i = 1; i < all->name_count; i++) {
        dw_text a = all->names[i - 1].name, b = all->names[i].name;
        uint32_t shared = a.length < b.length ? a.length : b.length;
        int order = memcmp(image->data + a.offset, image->data + b.offset, shared);
        if (order > 0 || (order == 0 && a.length >= b.length)) {
            return false;
        }
    }
    return true;
}

/* In a sorted table every name is found from every hint, and it is the right one. */
static void check_found(dw_image *image, const exports *all, uint32_t i, uint32_t hint)
{
    const dw_export_name *name = &all->names[i];
    dw_binding found = look_up(image, (const char *)image->data + name->name.offset, name->name.length, hint, 0);
    bool has_address = name->index < all->address_count && all->addresses[name->index].rva != 0;
    MUST((found.result == DW_UNRESOLVED) >= !has_address);
    MUST(!has_address || found.rva == all->addresses[name->index].rva);
}

static void check_names(dw_image *image, const exports *all)
{
    bool whole = !has_defect(image, DW_DEFECT_UNREADABLE_EXPORTS) && strictly_sorted(image, all);
    MUST(!whole || !has_defect(image, DW_DEFECT_UNSORTED_EXPORTS));
    for (uint32_t i = 0; i < all->name_count; i += step_of(all->name_count)) {
        dw_text name = all->names[i].name;
        if (whole && name.length > 0) {
            check_found(image, all, i, i);
            check_found(image, all, i, UINT32_MAX);
            check_found(image, all, i, (i * 7 + 3) % all->name_count);
        } else {
            (void)look_up(image, (const char *)image->data + name.offset, name.length, i, 0);
        }
    }
    dw_binding missing = look_up(image, "\xFF\xFF not there", 12, 0, 0);
    MUST(missing.result == (all->info.present ? DW_UNRESOLVED : DW_NO_EXPORTS) || !whole);
}

static void check_export_names_bytes(const dw_image *image, const exports *all)
{
    uint64_t name_bytes = 0, forwarder_bytes = 0;
    for (uint32_t i = 0; i < all->name_count; i++) {
        name_bytes += check_text(image, all->names[i].name);
        MUST(all->names[i].index <= UINT16_MAX);
    }
    for (uint32_t i = 0; i < all->address_count; i++) {
        forwarder_bytes += check_text(image, all->addresses[i].forwarder);
    }
    check_name_bytes(image, name_bytes);
    check_name_bytes(image, forwarder_bytes);
}

static void check_exports(dw_image *image)
{
    uint64_t most = image->size / ENTRY_BYTES;
    list_call addresses = {call_export_addresses, sizeof(dw_export_address), most, 0, 0, NULL};
    list_call names = {call_export_names, sizeof(dw_export_name), most, 0, 0, NULL};
    exports all = {.info = dw_exports(image)};
    (void)check_text(image, all.info.dll_name);
    MUST(all.info.present <= 1);
    all.addresses = check_listing(&addresses, image, &all.address_count);
    all.names = check_listing(&names, image, &all.name_count);
    MUST(all.address_count <= all.info.address_count);
    MUST(all.name_count <= all.info.name_count);
    check_export_names_bytes(image, &all);
    check_ordinals(image, &all);
    check_names(image, &all);
    free(all.addresses);
    free(all.names);
}

/* ---- resources -------------------------------------------------------------------------------------------------- */

static void check_resources(dw_image *image, uint32_t type)
{
    list_call resources = {call_resources, sizeof(dw_resource), most_entries(image), type, 0, NULL};
    uint32_t count;
    dw_resource *found = check_listing(&resources, image, &count);
    for (uint32_t i = 0; i < count; i++) {
        MUST((uint64_t)found[i].offset + found[i].size <= image->size);
    }
    free(found);
}

/* ---- everything ------------------------------------------------------------------------------------------------- */

static void check_directories(dw_image *image)
{
    static const uint32_t types[] = {16, 24, 3, 0, UINT32_MAX};
    check_sections(image);
    check_dll_names(image);
    check_imports(image, DW_DIRECTORY_IMPORT);
    check_imports(image, DW_DIRECTORY_DELAY_IMPORT);
    check_bound_imports(image);
    check_exports(image);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        check_resources(image, types[i]);
    }
}

void fuzz_check(const fuzz_input *input)
{
    dw_image image;
    current = input;
    memset(&image, GUARD, sizeof image); /* nothing of what was there before may count */
    allow_work(input->size);
    MUST(dw_parse(&image, input->data, input->size) == expected_status(input->data, input->size));
    fuzz_end_work(input->size);
    MUST(image.mapped == 0);
    MUST(image.directory_count <= DW_DIRECTORIES);
    check_directories(&image);
    check_defects(&image);
    bool is_worst = strcmp(input->variant, "worst") == 0;
    if (image.data && (is_worst || input->number % CODE_EVERY == 0)) {
        fuzz_check_code(&image);
    }
    dw_close(&image);
    MUST(image.data == NULL && image.size == 0 && image.mapped == 0);
    current = NULL;
}
