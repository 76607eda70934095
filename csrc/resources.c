/* Where the resources of one type lie. Their content is read by the caller. */
#include "pe.h"

enum {
    DIRECTORY_SIZE = 16,
    ENTRY_SIZE = 8,
    LEVELS = 3              /* type, id, language */
};

#define HIGH_BIT 0x80000000u
#define NAMED 0xFFFFFFFFu

typedef struct resource_walk {
    dw_image *image;
    pe_budget budget;
    uint32_t root, size;
    dw_resource *resources;
    uint32_t capacity, count;
} resource_walk;

static void cannot_read(resource_walk *walk, uint32_t rva)
{
    pe_defect(walk->image, DW_DEFECT_UNREADABLE_RESOURCES, pe_offset(walk->image, rva), rva);
}

static bool fetch(resource_walk *walk, uint32_t offset, uint8_t *to, uint32_t size)
{
    bool read = offset <= UINT32_MAX - walk->root && pe_fetch(walk->image, walk->root + offset, to, size);
    if (!read) {
        cannot_read(walk, walk->root);
    }
    return read;
}

static void store_leaf(resource_walk *walk, uint32_t offset, uint32_t id, uint32_t language)
{
    uint8_t entry[16];
    if (!fetch(walk, offset, entry, sizeof entry)) {
        return;
    }
    pe_view view;
    uint32_t size = pe_u32(entry + 4);
    if (!pe_find(walk->image, pe_u32(entry), &view) || view.length < size || view.length == 0 ||
        view.offset > UINT32_MAX) {
        cannot_read(walk, pe_u32(entry));
        return;
    }
    dw_resource resource = {id, language, (uint32_t)view.offset, size};
    if (walk->count < walk->capacity) {
        walk->resources[walk->count] = resource;
    }
    walk->count++;
}

/* Entries of one directory: at the first level only `type` is followed, below it everything. */
static void walk_level(resource_walk *walk, uint32_t offset, uint32_t level, uint32_t type, uint32_t id)
{
    uint8_t bytes[DIRECTORY_SIZE];
    if (!fetch(walk, offset, bytes, sizeof bytes)) {
        return;
    }
    uint32_t entries = (uint32_t)pe_u16(bytes + 12) + pe_u16(bytes + 14);
    for (uint32_t i = 0; i < entries; i++) {
        uint8_t entry[ENTRY_SIZE];
        if (walk->budget.entries == 0) {
            cannot_read(walk, walk->root);
            return;
        }
        walk->budget.entries--;
        if (!fetch(walk, offset + DIRECTORY_SIZE + i * ENTRY_SIZE, entry, sizeof entry)) {
            return;
        }
        uint32_t key = pe_u32(entry) & HIGH_BIT ? NAMED : pe_u32(entry);
        uint32_t target = pe_u32(entry + 4);
        bool deeper = (target & HIGH_BIT) != 0;
        if (level == 1 && key != type) {
            continue;
        }
        if (deeper && level < LEVELS) {
            walk_level(walk, target & ~HIGH_BIT, level + 1, type, level == 2 ? key : id);
        } else if (!deeper && level == LEVELS) {
            store_leaf(walk, target, id, key);
        } else {
            cannot_read(walk, walk->root);
        }
    }
}

uint32_t dw_resources(dw_image *image, uint32_t type, dw_resource *resources, uint32_t capacity)
{
    dw_directory directory = pe_directory(image, DW_DIRECTORY_RESOURCE);
    resource_walk walk = {image,    pe_budget_for(image), directory.rva, directory.size,
                          resources, capacity,             0};
    if (directory.rva != 0) {
        walk_level(&walk, 0, 1, type, 0);
    }
    return walk.count;
}
