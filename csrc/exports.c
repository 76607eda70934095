/* Exports, forwarders, and how an import meets an export. */
#include "pe.h"

enum { EXPORT_DIRECTORY_SIZE = 40 };

/* The export directory with its counts cut to what the file can hold. */
typedef struct export_table {
    dw_directory directory;
    dw_export_info info;
    uint32_t name_rva;
    pe_table addresses, names, ordinals;
} export_table;

static void cannot_read(dw_image *image, uint32_t rva)
{
    pe_defect(image, DW_DEFECT_UNREADABLE_EXPORTS, pe_offset(image, rva), rva);
}

static uint32_t bounded_count(dw_image *image, uint32_t count, uint32_t rva)
{
    uint64_t most = image->size / 4; /* an entry takes 4 bytes */
    if (count > most) {
        cannot_read(image, rva);
        return (uint32_t)most;
    }
    return count;
}

/* False if the file has no export directory, or one that cannot be read. */
static bool open_exports(dw_image *image, export_table *table)
{
    uint8_t d[EXPORT_DIRECTORY_SIZE];
    *table = (export_table){.directory = pe_directory(image, DW_DIRECTORY_EXPORT)};
    if (table->directory.rva == 0) {
        return false;
    }
    if (!pe_fetch(image, table->directory.rva, d, sizeof d)) {
        cannot_read(image, table->directory.rva);
        return false;
    }
    table->addresses = pe_table_at(image, pe_u32(d + 28));
    table->names = pe_table_at(image, pe_u32(d + 32));
    table->ordinals = pe_table_at(image, pe_u32(d + 36));
    table->name_rva = pe_u32(d + 12);
    table->info.present = 1;
    table->info.base = pe_u32(d + 16);
    table->info.address_count = bounded_count(image, pe_u32(d + 20), table->addresses.rva);
    table->info.name_count = bounded_count(image, pe_u32(d + 24), table->names.rva);
    return true;
}

static bool table_u32(const dw_image *image, const pe_table *table, uint32_t index, uint32_t *value)
{
    uint8_t bytes[4];
    if (!pe_entry(image, table, index, bytes, sizeof bytes)) {
        return false;
    }
    *value = pe_u32(bytes);
    return true;
}

static bool table_u16(const dw_image *image, const pe_table *table, uint32_t index, uint32_t *value)
{
    uint8_t bytes[2];
    if (!pe_entry(image, table, index, bytes, sizeof bytes)) {
        return false;
    }
    *value = pe_u16(bytes);
    return true;
}

/* An export that points into the export directory itself is a forwarder's text. */
static bool is_forwarder(const export_table *table, uint32_t rva)
{
    return rva >= table->directory.rva && rva - table->directory.rva < table->directory.size;
}

dw_export_info dw_exports(dw_image *image)
{
    export_table table;
    if (open_exports(image, &table)) {
        pe_budget budget = pe_budget_for(image);
        (void)pe_text(image, table.name_rva, &budget, &table.info.dll_name); /* a file without this name loads */
    }
    return table.info;
}

uint32_t dw_export_addresses(dw_image *image, dw_export_address *addresses, uint32_t capacity)
{
    export_table table;
    pe_budget budget = pe_budget_for(image);
    if (!open_exports(image, &table)) {
        return 0;
    }
    for (uint32_t i = 0; i < table.info.address_count; i++) {
        dw_export_address address = {0, {0, 0}};
        if (!table_u32(image, &table.addresses, i, &address.rva)) {
            cannot_read(image, table.addresses.rva);
            return i;
        }
        if (is_forwarder(&table, address.rva) && !pe_text(image, address.rva, &budget, &address.forwarder)) {
            cannot_read(image, address.rva);
        }
        if (i < capacity) {
            addresses[i] = address;
        }
    }
    return table.info.address_count;
}

/* The order the loader's binary search relies on: byte by byte, unsigned, the shorter first. */
static int compare(const uint8_t *a, uint32_t a_length, const uint8_t *b, uint32_t b_length)
{
    uint32_t shared = a_length < b_length ? a_length : b_length;
    uint32_t i = 0;
    while (shared - i >= 8 && pe_u64(a + i) == pe_u64(b + i)) {
        i += 8;
    }
    for (; i < shared; i++) {
        if (a[i] != b[i]) {
            return a[i] < b[i] ? -1 : 1;
        }
    }
    return a_length == b_length ? 0 : a_length < b_length ? -1 : 1;
}

uint32_t dw_export_names(dw_image *image, dw_export_name *names, uint32_t capacity)
{
    export_table table;
    pe_budget budget = pe_budget_for(image);
    uint32_t count = 0;
    dw_text last = {0, 0};
    if (!open_exports(image, &table)) {
        return 0;
    }
    for (uint32_t i = 0; i < table.info.name_count; i++) {
        dw_export_name entry = {{0, 0}, 0};
        uint32_t rva;
        if (!table_u32(image, &table.names, i, &rva) || !table_u16(image, &table.ordinals, i, &entry.index)) {
            cannot_read(image, table.names.rva);
            return count;
        }
        if (!pe_text(image, rva, &budget, &entry.name)) {
            cannot_read(image, rva);
            continue;
        }
        if (compare(image->data + last.offset, last.length, image->data + entry.name.offset, entry.name.length) > 0) {
            pe_defect(image, DW_DEFECT_UNSORTED_EXPORTS, entry.name.offset, rva);
        }
        last = entry.name;
        if (count < capacity) {
            names[count] = entry;
        }
        count++;
    }
    return count;
}

/* ---- lookup ----------------------------------------------------------------------------------------------------- */

static bool text_at(const dw_image *image, uint32_t rva, pe_view *view)
{
    return rva != 0 && pe_find(image, rva, view) && view->length > 0;
}

/* Compare a name with the NUL-terminated one at an RVA, without measuring that first. */
static int compare_with_export(const uint8_t *name, uint32_t length, const pe_view *view)
{
    uint32_t i = 0;
    for (; i < length && i < view->length && view->data[i] != 0; i++) {
        if (name[i] != view->data[i]) {
            return name[i] < view->data[i] ? -1 : 1;
        }
    }
    bool export_ends = i >= view->length || view->data[i] == 0;
    return i < length ? 1 : export_ends ? 0 : -1;
}

/* The loader's search: the hint is the first guess, the middle every later one (windows-loader 2). With an unsorted
 * table this misses names that are there, exactly as the loader does. */
static bool find_name(const dw_image *image, const export_table *table, const uint8_t *name, uint32_t length,
                      uint32_t hint, uint32_t *index)
{
    uint32_t low = 0, high = table->info.name_count;
    uint32_t guess = hint < high ? hint : high / 2;
    while (low < high) {
        uint32_t rva;
        pe_view view;
        if (!table_u32(image, &table->names, guess, &rva) || !text_at(image, rva, &view)) {
            return false;
        }
        int order = compare_with_export(name, length, &view);
        if (order == 0) {
            return table_u16(image, &table->ordinals, guess, index);
        }
        if (order < 0) {
            high = guess;
        } else {
            low = guess + 1;
        }
        guess = low + (high - low) / 2;
    }
    return false;
}

static dw_binding bind_symbol(dw_image *exporter, const export_table *table, pe_budget *budget, const uint8_t *name,
                              uint32_t length, uint32_t hint, uint32_t ordinal)
{
    dw_binding binding = {{0, 0}, 0, DW_UNRESOLVED, 0};
    uint32_t index = ordinal - table->info.base;
    if (length > 0 && !find_name(exporter, table, name, length, hint, &index)) {
        return binding;
    }
    if (index >= table->info.address_count || !table_u32(exporter, &table->addresses, index, &binding.rva) ||
        binding.rva == 0) {
        return binding;
    }
    binding.result = DW_RESOLVED;
    if (is_forwarder(table, binding.rva)) {
        bool read = pe_text(exporter, binding.rva, budget, &binding.forwarder);
        binding.result = read ? DW_FORWARDED : DW_UNRESOLVED;
    }
    return binding;
}

dw_binding dw_lookup(dw_image *exporter, const char *name, uint32_t length, uint32_t hint, uint32_t ordinal)
{
    export_table table;
    dw_binding none = {{0, 0}, 0, DW_NO_EXPORTS, 0};
    pe_budget budget = pe_budget_for(exporter);
    return open_exports(exporter, &table)
               ? bind_symbol(exporter, &table, &budget, (const uint8_t *)name, length, hint, ordinal)
               : none;
}

uint32_t dw_match(const dw_image *importer, const dw_symbol *symbols, uint32_t count, dw_image *exporter,
                  dw_binding *bindings, uint32_t capacity)
{
    export_table table;
    uint32_t stored = 0;
    pe_budget budget = pe_budget_for(exporter);
    bool has_exports = open_exports(exporter, &table);
    for (uint32_t i = 0; i < count; i++) {
        const dw_symbol *symbol = &symbols[i];
        dw_binding binding = {{0, 0}, i, DW_NO_EXPORTS, 0};
        if (has_exports) {
            binding = bind_symbol(exporter, &table, &budget, importer->data + symbol->name.offset,
                                  symbol->name.length, symbol->hint, symbol->ordinal);
            binding.symbol = i;
        }
        if (binding.result == DW_RESOLVED) {
            continue;
        }
        if (stored < capacity) {
            bindings[stored] = binding;
        }
        stored++;
    }
    return stored;
}
