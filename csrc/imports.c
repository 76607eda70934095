/* Imported, delay-imported and bound DLLs and their symbols, by the loader's own rules for which entries count. */
#include "pe.h"

enum {
    IMPORT_DESCRIPTOR_SIZE = 20,
    DELAY_DESCRIPTOR_SIZE = 32,
    DELAY_USES_RVA = 1,
    MAGIC_PE32_PLUS = 0x20B
};

/* What is being collected, and how much of the caller's room is used. */
typedef struct import_walk {
    dw_image *image;
    pe_budget budget;
    dw_import *dlls;
    dw_symbol *symbols;
    uint32_t dll_capacity, symbol_capacity;
    dw_counts counts;
    uint32_t defect;        /* the kind to record */
    uint64_t address_base;  /* subtracted from every address: the image base in descriptors that hold addresses */
} import_walk;

static void cannot_read(import_walk *walk, uint32_t rva)
{
    pe_defect(walk->image, walk->defect, pe_offset(walk->image, rva), rva);
}

/* The RVA that a field means. False if it lies outside of 32 bits. */
static bool to_rva(const import_walk *walk, uint64_t address, uint32_t *rva)
{
    uint64_t value = address - walk->address_base;
    *rva = (uint32_t)value;
    return address >= walk->address_base && value <= UINT32_MAX;
}

static void store_symbol(import_walk *walk, dw_symbol symbol)
{
    if (walk->counts.symbols < walk->symbol_capacity) {
        walk->symbols[walk->counts.symbols] = symbol;
    }
    walk->counts.symbols++;
}

static bool named_symbol(import_walk *walk, uint64_t thunk, dw_symbol *symbol)
{
    uint8_t hint[2];
    uint32_t rva;
    if (!to_rva(walk, thunk, &rva) || !pe_fetch(walk->image, rva, hint, sizeof hint)) {
        return false;
    }
    symbol->hint = pe_u16(hint);
    /* An empty name would pass for an import by ordinal; the loader finds no export of that name. */
    return pe_text(walk->image, rva + 2, &walk->budget, &symbol->name) && symbol->name.length > 0;
}

/* One entry of a name table per symbol, until the first empty one. */
static void walk_symbols(import_walk *walk, uint32_t table)
{
    uint32_t width = walk->image->magic == MAGIC_PE32_PLUS ? 8 : 4;
    uint64_t by_ordinal = width == 8 ? (uint64_t)1 << 63 : (uint64_t)1 << 31;
    for (uint32_t at = table;; at += width) {
        uint8_t bytes[8];
        if (walk->budget.entries == 0 || !pe_fetch(walk->image, at, bytes, width)) {
            cannot_read(walk, at);
            return;
        }
        walk->budget.entries--;
        uint64_t thunk = width == 8 ? pe_u64(bytes) : pe_u32(bytes);
        dw_symbol symbol = {{0, 0}, 0, 0};
        if (thunk == 0) {
            return;
        }
        if (thunk & by_ordinal) {
            symbol.ordinal = (uint16_t)thunk;
            store_symbol(walk, symbol);
        } else if (named_symbol(walk, thunk, &symbol)) {
            store_symbol(walk, symbol);
        } else {
            cannot_read(walk, at);
        }
        if (at > UINT32_MAX - width) {
            return;
        }
    }
}

static void store_dll(import_walk *walk, uint32_t name_rva, uint32_t table, uint32_t skipped, uint32_t timestamp)
{
    dw_import dll = {{0, 0}, walk->counts.symbols, 0, skipped, timestamp};
    if (!pe_text(walk->image, name_rva, &walk->budget, &dll.dll)) {
        cannot_read(walk, name_rva);
        return;
    }
    walk_symbols(walk, table);
    dll.symbol_count = walk->counts.symbols - dll.first_symbol;
    if (walk->counts.dlls < walk->dll_capacity) {
        walk->dlls[walk->counts.dlls] = dll;
    }
    walk->counts.dlls++;
}

/* The loader passes over a descriptor whose first address slot is empty (windows-loader 2). */
static uint32_t address_table_is_empty(const dw_image *image, uint32_t rva)
{
    uint8_t slot[8];
    uint32_t width = image->magic == MAGIC_PE32_PLUS ? 8 : 4;
    return pe_fetch(image, rva, slot, width) && (width == 8 ? pe_u64(slot) : pe_u32(slot)) == 0;
}

static void walk_imports(import_walk *walk, uint32_t directory)
{
    uint8_t d[IMPORT_DESCRIPTOR_SIZE];
    for (uint32_t at = directory;; at += IMPORT_DESCRIPTOR_SIZE) {
        if (walk->budget.entries == 0 || at > UINT32_MAX - IMPORT_DESCRIPTOR_SIZE ||
            !pe_fetch(walk->image, at, d, sizeof d)) {
            cannot_read(walk, at);
            return;
        }
        walk->budget.entries--;
        uint32_t names = pe_u32(d), timestamp = pe_u32(d + 4), dll = pe_u32(d + 12), addresses = pe_u32(d + 16);
        if (dll == 0 || addresses == 0) {
            return;
        }
        if (names == 0 || names > walk->image->size_of_image) {
            names = addresses; /* old Borland and Watcom linkers write no name table */
        }
        store_dll(walk, dll, names, address_table_is_empty(walk->image, addresses), timestamp);
    }
}

static void walk_delay_imports(import_walk *walk, uint32_t directory)
{
    uint8_t d[DELAY_DESCRIPTOR_SIZE];
    for (uint32_t at = directory;; at += DELAY_DESCRIPTOR_SIZE) {
        if (walk->budget.entries == 0 || at > UINT32_MAX - DELAY_DESCRIPTOR_SIZE ||
            !pe_fetch(walk->image, at, d, sizeof d)) {
            cannot_read(walk, at);
            return;
        }
        walk->budget.entries--;
        uint32_t dll, names;
        if (pe_u32(d + 4) == 0) {
            return;
        }
        walk->address_base = pe_u32(d) & DELAY_USES_RVA ? 0 : walk->image->image_base;
        if (to_rva(walk, pe_u32(d + 4), &dll) && to_rva(walk, pe_u32(d + 16), &names)) {
            store_dll(walk, dll, names, 0, pe_u32(d + 28));
        } else {
            cannot_read(walk, at);
        }
    }
}

dw_counts dw_imports(dw_image *image, uint32_t directory, dw_import *dlls, uint32_t dll_capacity, dw_symbol *symbols,
                     uint32_t symbol_capacity)
{
    import_walk walk = {image, pe_budget_for(image), dlls, symbols, dll_capacity, symbol_capacity, {0, 0}, 0, 0};
    uint32_t rva = pe_directory(image, directory).rva;
    if (rva == 0) {
        return walk.counts;
    }
    if (directory == DW_DIRECTORY_DELAY_IMPORT) {
        walk.defect = DW_DEFECT_UNREADABLE_DELAY_IMPORTS;
        walk_delay_imports(&walk, rva);
    } else {
        walk.defect = DW_DEFECT_UNREADABLE_IMPORTS;
        walk_imports(&walk, rva);
    }
    return walk.counts;
}

uint32_t dw_bound_imports(dw_image *image, dw_text *names, uint32_t capacity)
{
    uint32_t directory = pe_directory(image, DW_DIRECTORY_BOUND_IMPORT).rva;
    pe_budget budget = pe_budget_for(image);
    uint32_t count = 0, forwards = 0;
    if (directory == 0) {
        return 0;
    }
    for (uint32_t at = directory; budget.entries > 0 && at <= UINT32_MAX - 8; at += 8, budget.entries--) {
        uint8_t d[8];
        dw_text name;
        bool read = pe_fetch(image, at, d, sizeof d);
        if (read && forwards == 0 && pe_u32(d) == 0 && pe_u16(d + 4) == 0) {
            return count;
        }
        if (!read || !pe_text(image, directory + pe_u16(d + 4), &budget, &name)) {
            pe_defect(image, DW_DEFECT_UNREADABLE_BOUND_IMPORTS, pe_offset(image, at), at);
            return count;
        }
        if (count < capacity) {
            names[count] = name;
        }
        count++;
        forwards = forwards > 0 ? forwards - 1 : pe_u16(d + 6); /* a forwarder entry has no forwarders of its own */
    }
    return count;
}
