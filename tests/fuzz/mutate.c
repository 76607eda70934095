/* Deterministic damage, most of it where a PE file keeps its counts and addresses. */
#include <string.h>

#include "fuzz.h"

enum {
    MOST_RANGES = 64,
    MOST_VALUES = 64,
    MOST_SECTIONS = 96,
    MOST_EDITS = 8,
    LONGEST_BLOCK = 256,
    PE_OFFSET = 60,
    SECTION_HEADER = 40
};

/* The places of a file that decide how the rest is read, and values that mean something in it. */
typedef struct hot_spots {
    const uint8_t *data;
    size_t size;
    size_t offsets[MOST_RANGES], lengths[MOST_RANGES];
    uint32_t values[MOST_VALUES];
    uint32_t range_count, value_count;
    size_t section_table;
    uint32_t section_count;
} hot_spots;

uint64_t fuzz_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static size_t below(uint64_t *state, size_t limit)
{
    return limit ? (size_t)((fuzz_random(state) >> 11) % limit) : 0;
}

/* ---- where ------------------------------------------------------------------------------------------------------ */

static uint32_t word(const hot_spots *hot, size_t offset, uint32_t bytes)
{
    if (offset > hot->size || hot->size - offset < bytes) {
        return 0;
    }
    return bytes == 2 ? fuzz_get16(hot->data + offset) : fuzz_get32(hot->data + offset);
}

static void add_range(hot_spots *hot, size_t offset, size_t length)
{
    if (hot->range_count == MOST_RANGES || offset >= hot->size) {
        return;
    }
    hot->offsets[hot->range_count] = offset;
    hot->lengths[hot->range_count] = length < hot->size - offset ? length : hot->size - offset;
    hot->range_count++;
}

static void add_value(hot_spots *hot, uint32_t value)
{
    if (hot->value_count < MOST_VALUES) {
        hot->values[hot->value_count++] = value;
    }
}

/* File offset of an RVA; the file's size if it has none. */
static size_t offset_of(const hot_spots *hot, uint32_t rva)
{
    for (uint32_t i = 0; i < hot->section_count; i++) {
        size_t at = hot->section_table + SECTION_HEADER * (size_t)i;
        uint32_t start = word(hot, at + 12, 4), raw = word(hot, at + 16, 4);
        if (rva >= start && rva - start < raw) {
            return (size_t)word(hot, at + 20, 4) + (rva - start);
        }
    }
    return hot->size;
}

static void add_sections(hot_spots *hot, size_t at, uint32_t count)
{
    hot->section_table = at;
    hot->section_count = count < MOST_SECTIONS ? count : MOST_SECTIONS;
    add_range(hot, at, SECTION_HEADER * (size_t)hot->section_count);
    for (uint32_t i = 0; i < hot->section_count && i < 8; i++) {
        add_value(hot, word(hot, at + SECTION_HEADER * (size_t)i + 12, 4));
    }
}

/* Descriptors of `size` bytes whose words at two positions lead to thunk tables. */
static void add_descriptors(hot_spots *hot, size_t at, size_t size, size_t names, size_t addresses)
{
    for (uint32_t i = 0; i < 6; i++, at += size) {
        add_range(hot, offset_of(hot, word(hot, at + names, 4)), 48);
        add_range(hot, offset_of(hot, word(hot, at + addresses, 4)), 16);
    }
}

static void add_exports(hot_spots *hot, size_t at)
{
    for (uint32_t field = 28; field <= 36; field += 4) {
        add_range(hot, offset_of(hot, word(hot, at + field, 4)), 64);
    }
}

static void add_directories(hot_spots *hot, size_t at)
{
    for (uint32_t i = 0; i < DW_DIRECTORIES; i++) {
        uint32_t rva = word(hot, at + 8 * (size_t)i, 4);
        size_t offset = offset_of(hot, rva);
        if (rva == 0 || offset >= hot->size) {
            continue;
        }
        add_value(hot, rva);
        add_range(hot, offset, i == DW_DIRECTORY_RESOURCE ? 512 : 128);
        if (i == DW_DIRECTORY_IMPORT) {
            add_descriptors(hot, offset, 20, 0, 16);
        } else if (i == DW_DIRECTORY_DELAY_IMPORT) {
            add_descriptors(hot, offset, 32, 16, 12);
        } else if (i == DW_DIRECTORY_EXPORT) {
            add_exports(hot, offset);
        }
    }
}

static void find_hot_spots(hot_spots *hot)
{
    static const uint32_t always[] = {0, 1, 2, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFFFFF0, 0xFFFF, 0x1000, 0x200};
    for (size_t i = 0; i < sizeof always / sizeof *always; i++) {
        add_value(hot, always[i]);
    }
    add_value(hot, (uint32_t)hot->size);
    add_value(hot, (uint32_t)hot->size - 1);
    size_t headers = word(hot, PE_OFFSET, 4);
    size_t optional = headers + 24;
    size_t directories = optional + (word(hot, optional, 2) == 0x20B ? 112 : 96);
    add_range(hot, PE_OFFSET, 4);
    add_range(hot, headers, 24);
    add_range(hot, optional, directories - optional);
    add_range(hot, directories, 8 * (size_t)DW_DIRECTORIES);
    add_sections(hot, optional + word(hot, headers + 20, 2), word(hot, headers + 6, 2));
    add_directories(hot, directories);
}

/* Mostly a hot spot, mostly where a word begins. */
static size_t choose_place(const hot_spots *hot, uint64_t *state)
{
    if (hot->range_count == 0 || below(state, 4) == 0) {
        return below(state, hot->size);
    }
    size_t range = below(state, hot->range_count);
    size_t place = below(state, hot->lengths[range]);
    return hot->offsets[range] + (below(state, 8) == 0 ? place : place & ~(size_t)3);
}

/* ---- what ------------------------------------------------------------------------------------------------------- */

static uint32_t choose_value(const hot_spots *hot, uint64_t *state, uint32_t present)
{
    switch (below(state, 6)) {
    case 0:
        return (uint32_t)fuzz_random(state);
    case 1:
        return present + (uint32_t)below(state, 65) - 32;
    case 2:
        return hot->values[below(state, hot->value_count)] + (uint32_t)below(state, 512);
    default:
        return hot->values[below(state, hot->value_count)];
    }
}

static void write_value(const hot_spots *hot, uint8_t *data, size_t at, uint64_t *state)
{
    if (hot->size - at >= 4) {
        fuzz_put32(data + at, choose_value(hot, state, fuzz_get32(data + at)));
    }
}

static void copy_block(uint8_t *data, size_t size, size_t to, uint64_t *state)
{
    size_t from = below(state, size);
    size_t length = below(state, LONGEST_BLOCK) + 1;
    length = length < size - from ? length : size - from;
    length = length < size - to ? length : size - to;
    memmove(data + to, data + from, length);
}

static void clear_run(uint8_t *data, size_t size, size_t at, uint64_t *state)
{
    size_t length = below(state, LONGEST_BLOCK) + 1;
    memset(data + at, 0, length < size - at ? length : size - at);
}

static void edit(const hot_spots *hot, uint8_t *data, uint64_t *state)
{
    size_t at = choose_place(hot, state);
    switch (below(state, 8)) {
    case 0:
        data[at] = (uint8_t)(data[at] ^ 1u << below(state, 8));
        break;
    case 1:
        data[at] = (uint8_t)fuzz_random(state);
        break;
    case 2:
        copy_block(data, hot->size, at, state);
        break;
    case 3:
        clear_run(data, hot->size, at, state);
        break;
    default:
        write_value(hot, data, at, state);
        break;
    }
}

void fuzz_mutate(uint8_t *data, size_t size, uint64_t seed)
{
    uint64_t state = (seed + 1) * 0x9E3779B97F4A7C15u | 1;
    hot_spots hot = {.data = data, .size = size};
    if (size == 0) {
        return;
    }
    (void)fuzz_random(&state);
    find_hot_spots(&hot); /* of the whole file: an edit must not hide where the next one would go */
    for (size_t edits = below(&state, MOST_EDITS) + 1; edits > 0; edits--) {
        edit(&hot, data, &state);
    }
}
