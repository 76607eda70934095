/* Bounded access to the bytes of a PE file, shared by the files that read it. Not part of the public interface. */
#ifndef DEPWALK_PE_H
#define DEPWALK_PE_H

#include <stdbool.h>

#include "depwalk.h"

/* The file bytes behind an RVA: `length` bytes at `data`, then `zeros` bytes that the loader fills with 0. */
typedef struct pe_view {
    const uint8_t *data;
    uint32_t length;
    uint32_t zeros;
    uint64_t offset;        /* file offset of `data`, also when the file ends before it */
} pe_view;

/* What one walk over a directory may still read: both are bounded by the file's size, because a file that holds its
 * data once cannot promise more, and a hostile one must not cost more. */
typedef struct pe_budget {
    uint64_t entries;
    uint64_t name_bytes;
} pe_budget;

static inline uint16_t pe_u16(const uint8_t *at)
{
    return (uint16_t)(at[0] | (at[1] << 8));
}

static inline uint32_t pe_u32(const uint8_t *at)
{
    return (uint32_t)pe_u16(at) | ((uint32_t)pe_u16(at + 2) << 16);
}

static inline uint64_t pe_u64(const uint8_t *at)
{
    return (uint64_t)pe_u32(at) | ((uint64_t)pe_u32(at + 4) << 32);
}

/* Bytes before the first one that is `end`, at most `most`: 32 at a time, for C++ names are long, and sections longer. */
uint64_t pe_bytes_before(const uint8_t *data, uint64_t most, uint8_t end);

/* Record what is wrong, once per kind. */
void pe_defect(dw_image *image, uint32_t kind, uint64_t offset, uint32_t rva);

/* One of the image's sections: `index` is below section_count. */
dw_section pe_section(const dw_image *image, uint32_t index);

/* The section that an RVA lies in. False if it lies in none. */
bool pe_section_of(const dw_image *image, uint32_t rva, dw_section *section);

/* Find an RVA. False if it is in no part of the image. */
bool pe_find(const dw_image *image, uint32_t rva, pe_view *view);

/* Copy `size` bytes from an RVA, across sections and zero-filled parts. False if any of them is missing. */
bool pe_fetch(const dw_image *image, uint32_t rva, uint8_t *to, uint32_t size);

/* A table of equal entries; what lies in one piece is found once, the rest entry by entry. */
typedef struct pe_table {
    uint32_t rva;
    pe_view view;
} pe_table;

pe_table pe_table_at(const dw_image *image, uint32_t rva);

/* Copy one entry. False if it is missing. */
bool pe_entry(const dw_image *image, const pe_table *table, uint32_t index, uint8_t *to, uint32_t size);

/* File offset of an RVA, 0 if it has none. */
uint64_t pe_offset(const dw_image *image, uint32_t rva);

/* The NUL-terminated text at an RVA. False if it is missing, does not end, or is longer than DW_MAX_NAME. */
bool pe_text(const dw_image *image, uint32_t rva, pe_budget *budget, dw_text *text);

pe_budget pe_budget_for(const dw_image *image);

/* The directory's place, or {0, 0} if the file has none. */
dw_directory pe_directory(const dw_image *image, uint32_t index);

/* Map a file read-only; unmap it. In map_windows.c and map_other.c. */
int32_t pe_map(const dw_char *path, const uint8_t **data, uint64_t *size, uint32_t *os_error);
void pe_unmap(const uint8_t *data, uint64_t size);

#endif
