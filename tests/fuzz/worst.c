/* Files made to cost as much as they can: every table as long as the file allows, every entry as dear as it can be.
 *
 * In all of them the one section lies in the file where it lies in memory, so that an RVA is a file offset. */
#include <string.h>

#include "fuzz.h"

enum {
    HEADERS = 0x1000,
    OPTIONAL = 0x98,        /* behind "MZ", "PE" at 0x80 and the file header */
    DIRECTORIES = OPTIONAL + 96,
    SECTIONS = DIRECTORIES + 8 * DW_DIRECTORIES,
    PE32 = 0x10B,
    ENTRY_POINT = OPTIONAL + 16,
    FORWARDER = 0x4000
};

#define BY_ORDINAL 0x80000000u

typedef struct canvas {
    uint8_t *data;
    uint32_t size;
    uint32_t begin;         /* first byte behind the headers */
} canvas;

static void put_section(uint8_t *at, uint32_t rva, uint32_t size)
{
    memcpy(at, ".worst\0", 8);
    fuzz_put32(at + 8, size);
    fuzz_put32(at + 12, rva);
    fuzz_put32(at + 16, size);
    fuzz_put32(at + 20, rva);
    fuzz_put32(at + 36, 0x40000040);
}

/* Headers of a PE32 DLL with so many sections; all but the last are one page and share the file's second page. */
static void begin(canvas *page, uint32_t sections)
{
    memset(page->data, 0, page->size);
    memcpy(page->data, "MZ", 2);
    fuzz_put32(page->data + 60, 0x80);
    uint8_t *header = page->data + 0x80;
    memcpy(header, "PE\0", 4);
    fuzz_put16(header + 4, 0x14C);
    fuzz_put16(header + 6, sections);
    fuzz_put16(header + 20, SECTIONS - OPTIONAL);
    fuzz_put16(header + 22, 0x2102);
    uint8_t *optional = page->data + OPTIONAL;
    fuzz_put16(optional, PE32);
    fuzz_put32(optional + 32, 0x1000);
    fuzz_put32(optional + 36, 0x200);
    fuzz_put32(optional + 56, page->size + 0x1000);
    page->begin = (SECTIONS + 40 * sections + HEADERS - 1) / HEADERS * HEADERS;
    fuzz_put32(optional + 60, page->begin);
    fuzz_put32(optional + 92, DW_DIRECTORIES);
    put_section(page->data + SECTIONS, page->begin, page->size - page->begin);
    for (uint32_t i = 1; i < sections; i++) { /* behind the first: found only by a search through all of them */
        put_section(page->data + SECTIONS + 40 * (size_t)i, 0x70000000 + 0x1000 * i, 0x1000);
    }
}

static void put_directory(canvas *page, uint32_t index, uint32_t rva, uint32_t size)
{
    fuzz_put32(page->data + DIRECTORIES + 8 * (size_t)index, rva);
    fuzz_put32(page->data + DIRECTORIES + 8 * (size_t)index + 4, size);
}

static void fill32(canvas *page, uint32_t from, uint32_t to, uint32_t value)
{
    for (uint32_t at = from; at + 4 <= to; at += 4) {
        fuzz_put32(page->data + at, value);
    }
}

static void fill(canvas *page, uint32_t from, uint32_t to, int byte)
{
    memset(page->data + from, byte, to - from);
}

static uint32_t middle(const canvas *page)
{
    return (page->begin + (page->size - page->begin) / 2) & ~(uint32_t)3;
}

/* One imported DLL named "A", its name table from 0x80 bytes behind the beginning up to the middle. */
static uint32_t put_import(canvas *page)
{
    uint32_t at = page->begin, table = at + 0x80;
    put_directory(page, DW_DIRECTORY_IMPORT, at, 40);
    fuzz_put32(page->data + at, table);
    fuzz_put32(page->data + at + 12, at + 0x40);
    fuzz_put32(page->data + at + 16, table);
    page->data[at + 0x40] = 'A';
    return table;
}

/* An export directory in the middle: one address, so many names that all lie at one place. */
static uint32_t put_exports(canvas *page, uint32_t names)
{
    uint32_t at = middle(page);
    put_directory(page, DW_DIRECTORY_EXPORT, at, page->size - at);
    fuzz_put32(page->data + at + 20, 1);
    fuzz_put32(page->data + at + 24, names);
    fuzz_put32(page->data + at + 28, at + 0x40);
    fuzz_put32(page->data + at + 32, at + 0x80);
    fuzz_put32(page->data + at + 36, at + 0x48);
    return at;
}

static void endless_import_names(canvas *page)
{
    begin(page, 1);
    uint32_t table = put_import(page);
    fill32(page, table, middle(page), middle(page));
    fill(page, middle(page), page->size, 'A');
}

static void longest_import_names(canvas *page)
{
    endless_import_names(page);
    uint32_t end = middle(page) + 2 + DW_MAX_NAME;
    fill(page, end < page->size ? end : page->size - 1, page->size, 0);
}

static void many_sections(canvas *page)
{
    uint32_t most = page->size / 80;
    begin(page, most < UINT16_MAX ? most : UINT16_MAX);
    uint32_t table = put_import(page);
    fill32(page, table, page->size - 0x40, page->size - 0x20);
    page->data[page->size - 0x1E] = 'A';
}

static void descriptors_that_share_a_table(canvas *page)
{
    begin(page, 1);
    uint32_t end = middle(page);
    put_directory(page, DW_DIRECTORY_IMPORT, page->begin, 0);
    for (uint32_t at = page->begin; at + 20 <= end; at += 20) {
        fuzz_put32(page->data + at, end);
        fuzz_put32(page->data + at + 12, page->size - 8);
        fuzz_put32(page->data + at + 16, end);
    }
    fill32(page, end, page->size - 12, BY_ORDINAL | 1);
    page->data[page->size - 8] = 'A';
}

static void delay_descriptors_without_end(canvas *page)
{
    begin(page, 1);
    put_directory(page, DW_DIRECTORY_DELAY_IMPORT, page->begin, 0);
    fill32(page, page->begin, middle(page), middle(page) | 1);
    fill(page, middle(page), page->size, 'A');
}

static void bound_imports_without_end(canvas *page)
{
    begin(page, 1);
    put_directory(page, DW_DIRECTORY_BOUND_IMPORT, page->begin, 0);
    fill(page, page->begin, page->size, 'A');
    uint32_t end = page->begin + 0x4141 + 0x7000; /* of the name at 0x4141, which every entry means */
    if (end < page->size) {
        page->data[end] = 0;
    }
}

static void endless_export_names(canvas *page)
{
    begin(page, 1);
    uint32_t at = put_exports(page, page->size / 8);
    fill32(page, at + 0x80, page->size, page->begin);
    fill(page, page->begin, at, 'A');
}

static void endless_forwarders(canvas *page)
{
    begin(page, 1);
    uint32_t at = page->begin;
    put_directory(page, DW_DIRECTORY_EXPORT, at, page->size - at);
    fuzz_put32(page->data + at + 20, page->size / 8);
    fuzz_put32(page->data + at + 28, at + 0x40);
    fill32(page, at + 0x40, middle(page), middle(page));
    fill(page, middle(page), page->size, 'A');
}

static void one_forwarder_for_all(canvas *page)
{
    begin(page, 1);
    fill32(page, put_import(page), middle(page) - 4, BY_ORDINAL);
    uint32_t at = put_exports(page, 0);
    uint32_t longest = page->size - 1 - (at + 0x80);
    fuzz_put32(page->data + at + 0x40, at + 0x80);
    fill(page, at + 0x80, at + 0x80 + (longest < FORWARDER ? longest : FORWARDER), 'A');
}

/* Every probe of every search compares long names that differ only at their ends. */
static void names_alike(canvas *page)
{
    begin(page, 1);
    uint32_t quarter = (page->size - page->begin) / 4, names = page->size - 2 * FORWARDER / 8;
    uint32_t imported = names, exported = names + FORWARDER / 8;
    uint32_t table = put_import(page);
    fill32(page, table, page->begin + quarter, imported - 2);
    uint32_t at = put_exports(page, (names - middle(page) - 0x80) / 4);
    fill32(page, at + 0x80, names, exported);
    fill(page, imported, page->size, 'A');
    fill(page, exported - 1, exported, 0);
    page->data[exported - 2] = 'B';
    page->data[page->size - 1] = 0;
}

/* A tree whose every directory holds as many entries as it can, all of which lead to one and the same place. */
static void resources_that_share(canvas *page, uint32_t shared_leaf)
{
    begin(page, 1);
    uint32_t root = page->begin, entries = (page->size - root - 0x80) / 8;
    uint32_t count = entries < UINT16_MAX ? entries : UINT16_MAX;
    put_directory(page, DW_DIRECTORY_RESOURCE, root, page->size - root);
    fuzz_put16(page->data + root + 14, count);
    for (uint32_t i = 0; i < count; i++) {
        fuzz_put32(page->data + root + 16 + 8 * (size_t)i, 16);
        fuzz_put32(page->data + root + 16 + 8 * (size_t)i + 4, shared_leaf);
    }
}

static void resources_in_circles(canvas *page)
{
    resources_that_share(page, BY_ORDINAL); /* the root again, on every level */
}

static void resources_of_empty_directories(canvas *page)
{
    resources_that_share(page, BY_ORDINAL | (page->size - page->begin - 0x40));
}

/* ---- code: the whole section is executable and writable, and the program begins with its first byte ------------- */

static void begin_code(canvas *page)
{
    begin(page, 1);
    fuzz_put32(page->data + ENTRY_POINT, page->begin);
    fuzz_put32(page->data + SECTIONS + 36, 0xE0000020);
}

static void code_of_prefixes(canvas *page)
{
    begin_code(page);
    fill(page, page->begin, page->size, 0x66);
}

/* Each byte after a call is another function that calls the next one. */
static void calls_of_calls(canvas *page)
{
    begin_code(page);
    for (uint32_t at = page->begin; at + 6 <= page->size; at += 6) {
        page->data[at] = 0xE8;
        fuzz_put32(page->data + at + 1, 1);
        page->data[at + 5] = 0x90;
    }
}

static void branches_everywhere(canvas *page)
{
    begin_code(page);
    fill(page, page->begin, page->size, 0x75); /* JNE of 0x75 bytes more */
}

static void questions_everywhere(canvas *page)
{
    begin_code(page);
    for (uint32_t at = page->begin; at + 2 <= page->size; at += 2) {
        page->data[at] = 0x0F;
        page->data[at + 1] = 0xA2;
    }
}

/* What looks like a list of constructors, and code that takes its address again and again. */
static void constructors_again_and_again(canvas *page)
{
    begin_code(page);
    uint32_t list = middle(page);
    for (uint32_t at = page->begin; at + 5 <= list; at += 5) {
        page->data[at] = 0x68;
        fuzz_put32(page->data + at + 1, list);
    }
    fill32(page, list, page->size, page->begin);
    fuzz_put32(page->data + list, UINT32_MAX);
}

/* Every relocated pointer and every export leads to code that is followed backwards. */
static void code_found_backwards(canvas *page)
{
    begin_code(page);
    fill(page, page->begin, page->size, 0xCC);
    for (uint32_t at = page->begin + 5; at + 5 <= page->size; at += 5) {
        page->data[at] = 0xE9;
        fuzz_put32(page->data + at + 1, (uint32_t)-10);
    }
    fuzz_put32(page->data + ENTRY_POINT, page->begin + (page->size - page->begin - 10) / 5 * 5);
}

bool fuzz_worst(uint32_t number, uint8_t *data, size_t size, const char **name)
{
    static const struct {
        const char *name;
        void (*make)(canvas *page);
    } kinds[] = {
        {"endless import names", endless_import_names},
        {"longest import names", longest_import_names},
        {"many sections", many_sections},
        {"descriptors that share a table", descriptors_that_share_a_table},
        {"delay descriptors without end", delay_descriptors_without_end},
        {"bound imports without end", bound_imports_without_end},
        {"endless export names", endless_export_names},
        {"endless forwarders", endless_forwarders},
        {"one forwarder for all", one_forwarder_for_all},
        {"names alike", names_alike},
        {"resources in circles", resources_in_circles},
        {"resources of empty directories", resources_of_empty_directories},
        {"code of prefixes", code_of_prefixes},
        {"calls of calls", calls_of_calls},
        {"branches everywhere", branches_everywhere},
        {"questions everywhere", questions_everywhere},
        {"constructors again and again", constructors_again_and_again},
        {"code found backwards", code_found_backwards},
    };
    if (number >= sizeof kinds / sizeof *kinds || size < FUZZ_WORST_SMALLEST || size > INT32_MAX) {
        return false;
    }
    canvas page = {data, (uint32_t)size, 0};
    kinds[number].make(&page);
    *name = kinds[number].name;
    return true;
}
