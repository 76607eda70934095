/* Headers, sections and the way from an RVA to the bytes of the file. */
#include "pe.h"

enum {
    DOS_HEADER_SIZE = 64,
    SECTION_HEADER_SIZE = 40,
    PAGE = 0x1000,
    RAW_ROUNDING = 0x200,   /* the loader rounds PointerToRawData down to a sector */
    MAGIC_PE32 = 0x10B,
    MAGIC_PE32_PLUS = 0x20B,
    MACHINE_I386 = 0x14C,
    MACHINE_ARM = 0x1C4,
    MACHINE_AMD64 = 0x8664,
    MACHINE_ARM64 = 0xAA64
};

uint32_t dw_abi_version(void)
{
    return DW_ABI_VERSION;
}

void pe_defect(dw_image *image, uint32_t kind, uint64_t offset, uint32_t rva)
{
    for (uint32_t i = 0; i < image->defect_count; i++) {
        if (image->defects[i].kind == kind) {
            return;
        }
    }
    if (image->defect_count < DW_MAX_DEFECTS) {
        dw_defect *defect = &image->defects[image->defect_count++];
        defect->kind = kind;
        defect->offset = offset;
        defect->rva = rva;
    }
}

/* ---- headers ---------------------------------------------------------------------------------------------------- */

/* Bytes of the headers at a file offset; NULL, and a defect, if the file ends before them. */
static const uint8_t *header_bytes(dw_image *image, uint64_t offset, uint32_t size)
{
    if (offset > image->size || image->size - offset < size) {
        pe_defect(image, DW_DEFECT_CUT_HEADERS, offset, 0);
        return NULL;
    }
    return image->data + offset;
}

static uint16_t header_u16(dw_image *image, uint64_t offset)
{
    const uint8_t *at = header_bytes(image, offset, 2);
    return at ? pe_u16(at) : 0;
}

static uint32_t header_u32(dw_image *image, uint64_t offset)
{
    const uint8_t *at = header_bytes(image, offset, 4);
    return at ? pe_u32(at) : 0;
}

static uint64_t header_u64(dw_image *image, uint64_t offset)
{
    const uint8_t *at = header_bytes(image, offset, 8);
    return at ? pe_u64(at) : 0;
}

static void read_directories(dw_image *image, uint64_t count_at)
{
    uint32_t count = header_u32(image, count_at);
    image->directory_count = count < DW_DIRECTORIES ? count : DW_DIRECTORIES;
    for (uint32_t i = 0; i < image->directory_count; i++) {
        image->directories[i].rva = header_u32(image, count_at + 4 + 8 * (uint64_t)i);
        image->directories[i].size = header_u32(image, count_at + 8 + 8 * (uint64_t)i);
    }
}

static void read_optional_header(dw_image *image, uint64_t at)
{
    image->magic = header_u16(image, at);
    if (image->magic != MAGIC_PE32 && image->magic != MAGIC_PE32_PLUS) {
        if (image->size >= at + 2) {
            pe_defect(image, DW_DEFECT_BAD_MAGIC, at, 0);
        }
        return;
    }
    bool plus = image->magic == MAGIC_PE32_PLUS;
    uint16_t linker = header_u16(image, at + 2);
    image->linker_major = (uint16_t)(linker & 0xFF);
    image->linker_minor = (uint16_t)(linker >> 8);
    image->entry_point = header_u32(image, at + 16);
    image->image_base = plus ? header_u64(image, at + 24) : header_u32(image, at + 28);
    image->section_alignment = header_u32(image, at + 32);
    image->file_alignment = header_u32(image, at + 36);
    image->os_major = header_u16(image, at + 40);
    image->os_minor = header_u16(image, at + 42);
    image->subsystem_major = header_u16(image, at + 48);
    image->subsystem_minor = header_u16(image, at + 50);
    image->size_of_image = header_u32(image, at + 56);
    image->size_of_headers = header_u32(image, at + 60);
    image->checksum = header_u32(image, at + 64);
    image->subsystem = header_u16(image, at + 68);
    image->dll_characteristics = header_u16(image, at + 70);
    read_directories(image, at + (plus ? 108 : 92));
}

/* Returns the file offset of the optional header, 0 if the headers cannot be found. */
static uint64_t read_file_header(dw_image *image, uint16_t *optional_size)
{
    if (image->size < DOS_HEADER_SIZE) {
        pe_defect(image, DW_DEFECT_CUT_DOS_HEADER, image->size, 0);
        return 0;
    }
    uint64_t at = pe_u32(image->data + 60);
    const uint8_t *signature = header_bytes(image, at, 4);
    if (!signature) {
        return 0;
    }
    if (pe_u32(signature) != 0x00004550) { /* "PE\0\0" */
        pe_defect(image, DW_DEFECT_NO_PE_SIGNATURE, at, 0);
        return 0;
    }
    image->machine = header_u16(image, at + 4);
    image->section_count = header_u16(image, at + 6);
    image->timestamp = header_u32(image, at + 8);
    *optional_size = header_u16(image, at + 20);
    image->characteristics = header_u16(image, at + 22);
    return at + 24;
}

/* ---- sections --------------------------------------------------------------------------------------------------- */

static const uint8_t *section_header(const dw_image *image, uint32_t index)
{
    return image->data + image->section_table + SECTION_HEADER_SIZE * (size_t)index;
}

dw_section pe_section(const dw_image *image, uint32_t index)
{
    const uint8_t *at = section_header(image, index);
    dw_section section;
    for (uint32_t i = 0; i < sizeof section.name; i++) {
        section.name[i] = at[i];
    }
    section.virtual_size = pe_u32(at + 8);
    section.rva = pe_u32(at + 12);
    section.raw_size = pe_u32(at + 16);
    section.offset = pe_u32(at + 20);
    section.characteristics = pe_u32(at + 36);
    if (section.virtual_size == 0) {
        section.virtual_size = section.raw_size;
    }
    if (image->section_alignment >= PAGE) {
        section.offset &= ~(uint32_t)(RAW_ROUNDING - 1);
    }
    if (section.offset == 0) {
        section.raw_size = 0;
    }
    return section;
}

static uint64_t round_up(uint64_t value, uint64_t alignment)
{
    return (value + alignment - 1) & ~(alignment - 1);
}

/* Bytes of address space the section takes: whole pages. */
static uint64_t section_extent(const dw_section *section)
{
    return round_up(section->virtual_size, PAGE);
}

static bool power_of_two(uint32_t value)
{
    return value != 0 && (value & (value - 1)) == 0;
}

/* The loader's own consistency rules (windows-loader 2): what breaks one of them gives error 193. */
static void check_layout(dw_image *image)
{
    uint64_t at = image->section_table;
    if (!power_of_two(image->file_alignment) || !power_of_two(image->section_alignment) ||
        image->file_alignment > image->section_alignment) {
        pe_defect(image, DW_DEFECT_BAD_ALIGNMENT, at, 0);
        return;
    }
    bool wide = image->machine == MACHINE_AMD64 || image->machine == MACHINE_ARM64;
    bool narrow = image->machine == MACHINE_I386 || image->machine == MACHINE_ARM;
    if ((wide && image->magic != MAGIC_PE32_PLUS) || (narrow && image->magic != MAGIC_PE32)) {
        pe_defect(image, DW_DEFECT_MACHINE_AND_MAGIC_DISAGREE, at, 0);
    }
    uint64_t next = 0;      /* where the following section must start; unknown before the first */
    for (uint32_t i = 0; i < image->section_count; i++) {
        dw_section section = pe_section(image, i);
        uint64_t header_offset = at + SECTION_HEADER_SIZE * (uint64_t)i;
        if (image->section_alignment >= PAGE) {
            if (i > 0 && section.rva != next) {
                pe_defect(image, DW_DEFECT_BAD_SECTION_ADDRESS, header_offset, section.rva);
            }
            next = section.rva + round_up(section.virtual_size, image->section_alignment);
        }
        if (section.raw_size != 0 && (uint64_t)section.offset + section.raw_size > image->size) {
            pe_defect(image, DW_DEFECT_CUT_SECTION, image->size, section.rva);
        }
    }
    if (next > round_up(image->size_of_image, image->section_alignment)) {
        pe_defect(image, DW_DEFECT_BAD_IMAGE_SIZE, at, image->size_of_image);
    }
}

static void read_section_table(dw_image *image, uint64_t at)
{
    uint64_t held = at < image->size && at <= UINT32_MAX ? image->size - at : 0;
    uint32_t most = SECTION_HEADER_SIZE * UINT16_MAX;
    uint32_t room = (uint32_t)(held < most ? held : most) / SECTION_HEADER_SIZE; /* no 64-bit division: no C runtime */
    image->section_table = room ? (uint32_t)at : 0;
    if (image->section_count > room) {
        pe_defect(image, DW_DEFECT_CUT_SECTION_TABLE, image->size, 0);
        image->section_count = room;
    }
}

uint32_t dw_sections(const dw_image *image, dw_section *sections, uint32_t capacity)
{
    for (uint32_t i = 0; i < image->section_count && i < capacity; i++) {
        sections[i] = pe_section(image, i);
    }
    return image->section_count;
}

/* ---- from RVA to bytes ------------------------------------------------------------------------------------------ */

static void view_of_file(const dw_image *image, uint64_t offset, uint64_t raw, uint64_t extent, pe_view *view)
{
    uint64_t held = offset < image->size ? image->size - offset : 0;
    if (held > raw) {
        held = raw;
    }
    view->offset = offset;
    view->data = held ? image->data + offset : NULL;
    view->length = (uint32_t)held;
    view->zeros = held == raw && extent > raw ? (uint32_t)(extent - raw) : 0; /* a cut file holds no promise of zeros */
}

/* The last section that starts at or before an RVA: sections are in ascending order, or the loader refuses the file. */
static bool section_before(const dw_image *image, uint32_t rva, dw_section *section)
{
    uint32_t low = 0, high = image->section_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (pe_u32(section_header(image, middle) + 12) <= rva) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == 0) {
        return false;
    }
    *section = pe_section(image, low - 1);
    return true;
}

bool pe_find(const dw_image *image, uint32_t rva, pe_view *view)
{
    dw_section section;
    if (image->section_alignment < PAGE) { /* such an image is mapped as it lies in the file */
        view_of_file(image, rva, UINT32_MAX - rva, 0, view);
        return rva < image->size;
    }
    if (!section_before(image, rva, &section)) {
        if (rva >= image->size_of_headers) {
            return false;
        }
        view_of_file(image, rva, image->size_of_headers - rva, 0, view);
        return true;
    }
    uint64_t inside = rva - section.rva;
    uint64_t extent = section_extent(&section);
    if (inside >= extent) {
        return false;
    }
    uint64_t raw = section.raw_size < extent ? section.raw_size : extent;
    uint64_t raw_left = inside < raw ? raw - inside : 0;
    view_of_file(image, section.offset + inside, raw_left, extent - inside, view);
    return true;
}

bool pe_fetch(const dw_image *image, uint32_t rva, uint8_t *to, uint32_t size)
{
    while (size > 0) {
        pe_view view;
        if (!pe_find(image, rva, &view) || (view.length == 0 && view.zeros == 0)) {
            return false;
        }
        uint32_t count = 0;
        for (; count < size && count < view.length; count++) {
            to[count] = view.data[count];
        }
        for (uint32_t zeros = 0; count < size && zeros < view.zeros; zeros++) {
            to[count++] = 0;
        }
        to += count;
        size -= count;
        if (size > 0 && rva > UINT32_MAX - count) {
            return false;
        }
        rva += count;
    }
    return true;
}

pe_table pe_table_at(const dw_image *image, uint32_t rva)
{
    pe_table table = {.rva = rva};
    if (!pe_find(image, rva, &table.view)) {
        table.view.length = 0;
    }
    return table;
}

bool pe_entry(const dw_image *image, const pe_table *table, uint32_t index, uint8_t *to, uint32_t size)
{
    uint64_t at = size * (uint64_t)index;
    if (at + size > table->view.length) {
        at += table->rva;
        return at <= UINT32_MAX && pe_fetch(image, (uint32_t)at, to, size);
    }
    for (uint32_t i = 0; i < size; i++) {
        to[i] = table->view.data[at + i];
    }
    return true;
}

bool pe_section_of(const dw_image *image, uint32_t rva, dw_section *section)
{
    return section_before(image, rva, section) && rva - section->rva < section_extent(section);
}

uint64_t pe_offset(const dw_image *image, uint32_t rva)
{
    pe_view view;
    return pe_find(image, rva, &view) ? view.offset : 0;
}

uint64_t dw_offset(const dw_image *image, uint32_t rva)
{
    pe_view view;
    return pe_find(image, rva, &view) && view.length > 0 ? view.offset : 0;
}

/* Nonzero if one of eight bytes is 0: the lowest such byte, and none before it, borrows into its high bit. */
static uint64_t zero_bytes(uint64_t word)
{
    return (word - 0x0101010101010101u) & ~word & 0x8080808080808080u;
}

uint64_t pe_bytes_before(const uint8_t *data, uint64_t most, uint8_t end)
{
    uint32_t half = 0x01010101u * end; /* no 64-bit multiplication: no C runtime */
    uint64_t ends = half | (uint64_t)half << 32;
    uint64_t length = 0;
    while (most - length >= 32 &&
           (zero_bytes(pe_u64(data + length) ^ ends) | zero_bytes(pe_u64(data + length + 8) ^ ends) |
            zero_bytes(pe_u64(data + length + 16) ^ ends) | zero_bytes(pe_u64(data + length + 24) ^ ends)) == 0) {
        length += 32;
    }
    while (length < most && data[length] != end) {
        length++;
    }
    return length;
}

bool pe_text(const dw_image *image, uint32_t rva, pe_budget *budget, dw_text *text)
{
    pe_view view;
    if (rva == 0 || !pe_find(image, rva, &view) || view.length == 0 || view.offset > UINT32_MAX) {
        return false;
    }
    uint32_t most = budget->name_bytes < DW_MAX_NAME ? (uint32_t)budget->name_bytes : DW_MAX_NAME;
    uint32_t length = (uint32_t)pe_bytes_before(view.data, view.length < most ? view.length : most, 0);
    budget->name_bytes -= length; /* what was read has cost, also when it turns out to be no name */
    bool ends = length < view.length ? view.data[length] == 0 : view.zeros > 0;
    if (!ends) {
        return false;
    }
    text->offset = (uint32_t)view.offset;
    text->length = length;
    return true;
}

pe_budget pe_budget_for(const dw_image *image)
{
    /* The smallest entry takes 4 bytes, and names that are all different fit into the file. */
    pe_budget budget = {image->size / 4 + 1, image->size + DW_MAX_NAME};
    return budget;
}

dw_directory pe_directory(const dw_image *image, uint32_t index)
{
    dw_directory none = {0, 0};
    return index < image->directory_count && image->directories[index].rva != 0 ? image->directories[index] : none;
}

/* ---- small directories, read with the headers ------------------------------------------------------------------- */

/* A field of the load configuration; false if it is missing or would lie beyond the last address. */
static bool load_config_field(const dw_image *image, uint32_t directory, uint32_t at, uint8_t *to, uint32_t size)
{
    return directory <= UINT32_MAX - at && pe_fetch(image, directory + at, to, size);
}

static void read_load_config(dw_image *image)
{
    dw_directory directory = pe_directory(image, DW_DIRECTORY_LOAD_CONFIG);
    bool plus = image->magic == MAGIC_PE32_PLUS;
    uint32_t flags_at = plus ? 0x4E : 0x36;
    uint32_t chpe_at = plus ? 0xC8 : 0x7C;
    uint8_t bytes[8];
    if (directory.rva == 0) {
        return;
    }
    if (!pe_fetch(image, directory.rva, bytes, 4)) {
        pe_defect(image, DW_DEFECT_UNREADABLE_LOAD_CONFIG, pe_offset(image, directory.rva), directory.rva);
        return;
    }
    uint32_t size = pe_u32(bytes); /* the structure's own size says which fields it has */
    bool held = true;
    if (size >= flags_at + 2) {
        held = load_config_field(image, directory.rva, flags_at, bytes, 2);
        image->dependent_load_flags = held ? pe_u16(bytes) : 0;
    }
    uint32_t width = plus ? 8 : 4;
    if (held && size >= chpe_at + width) {
        held = load_config_field(image, directory.rva, chpe_at, bytes, width);
        image->chpe_metadata = !held ? 0 : plus ? pe_u64(bytes) : pe_u32(bytes);
    }
    if (!held) {
        pe_defect(image, DW_DEFECT_UNREADABLE_LOAD_CONFIG, pe_offset(image, directory.rva), directory.rva);
    }
}

static void read_clr_header(dw_image *image)
{
    dw_directory directory = pe_directory(image, DW_DIRECTORY_CLR);
    uint8_t bytes[20];
    if (directory.rva == 0) {
        return;
    }
    if (!pe_fetch(image, directory.rva, bytes, sizeof bytes)) {
        pe_defect(image, DW_DEFECT_UNREADABLE_CLR_HEADER, pe_offset(image, directory.rva), directory.rva);
        return;
    }
    image->has_clr = 1;
    image->clr_flags = pe_u32(bytes + 16);
}

int32_t dw_parse(dw_image *image, const uint8_t *data, uint64_t size)
{
    *image = (dw_image){.data = data, .size = size};
    if (size == 0) {
        return DW_EMPTY;
    }
    if (size < 2 || data[0] != 'M' || data[1] != 'Z') {
        return DW_NOT_PE;
    }
    uint16_t optional_size = 0;
    uint64_t optional = read_file_header(image, &optional_size);
    if (optional == 0) {
        image->section_count = 0;
        return DW_OK;
    }
    read_optional_header(image, optional);
    read_section_table(image, optional + optional_size);
    if (image->magic == MAGIC_PE32 || image->magic == MAGIC_PE32_PLUS) {
        check_layout(image);
        read_load_config(image);
        read_clr_header(image);
    }
    return DW_OK;
}

int32_t dw_open(dw_image *image, const dw_char *path, uint32_t *os_error)
{
    const uint8_t *data = NULL;
    uint64_t size = 0;
    int32_t status = pe_map(path, &data, &size, os_error);
    if (status != DW_OK) {
        return status;
    }
    status = dw_parse(image, data, size);
    if (status != DW_OK) {
        *image = (dw_image){0};
        pe_unmap(data, size);
        return status;
    }
    image->mapped = 1;
    return DW_OK;
}

void dw_close(dw_image *image)
{
    if (image->mapped) {
        pe_unmap(image->data, image->size);
    }
    *image = (dw_image){0};
}
