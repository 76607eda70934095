/* What must hold for the functions of the core that read x86 code. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

enum {
    GUARD = 0xA5,           /* what stands behind the last entry */
    LONGEST = 15,           /* bytes of an instruction */
    SETS = 128,             /* more than there are */
    FUNCTIONS = 64,        /* that a walk has room for: enough for a small file, and too few for a large one */
    NEEDS = 64
};

static void *zeros(uint64_t size)
{
    uint8_t *room = calloc(1, (size_t)size + 1);
    if (!room) {
        fputs("out of memory\n", stderr);
        exit(2);
    }
    room[size] = GUARD;
    return room;
}

/* The instructions follow each other from the first byte to the last, whatever the bytes are. */
static void check_instructions(const uint8_t *data, uint64_t size, uint32_t bits)
{
    fuzz_allow_code(size);
    uint64_t count = dw_instructions(data, size, bits, NULL, 0), next = 0;
    fuzz_end_work(size);
    MUST(count <= size);
    dw_instruction *found = zeros(count * sizeof *found);
    MUST(dw_instructions(data, size, bits, found, count) == count);
    for (uint64_t i = 0; i < count; i++) {
        MUST(found[i].offset == next && found[i].length >= 1 && found[i].length <= LONGEST);
        MUST(found[i].encoding <= 4);
        next += found[i].length;
    }
    MUST(next == size);
    free(found);
}

static void check_contents(const dw_image *image)
{
    uint64_t size = dw_contained_room(image);
    uint8_t *room = zeros(size);
    dw_isa_use *uses = zeros(SETS * sizeof *uses);
    fuzz_allow_code(image->size);
    dw_contents contents = dw_contained(image, room, uses, SETS);
    fuzz_end_work(image->size);
    MUST(room[size] == GUARD && ((uint8_t *)uses)[SETS * sizeof *uses] == GUARD);
    MUST(contents.code <= 3 * image->size && contents.instructions <= contents.code);
    MUST(contents.unknown <= image->size && contents.listed <= contents.functions);
    MUST(contents.asking <= contents.functions + 1);
    for (uint32_t i = 0; i < SETS; i++) {
        MUST(uses[i].instructions <= contents.instructions);
    }
    free(room);
    free(uses);
}

static dw_reach walk(const dw_image *image, uint32_t from_exports, dw_need *needs, uint32_t capacity)
{
    uint64_t size = dw_reached_room(image, FUNCTIONS);
    uint8_t *room = zeros(size);
    fuzz_allow_code(image->size);
    dw_reach reach = dw_reached(image, from_exports, room, FUNCTIONS, needs, capacity);
    fuzz_end_work(image->size);
    MUST(room[size] == GUARD);
    MUST(reach.functions <= FUNCTIONS && reach.asking <= reach.functions && reach.incomplete <= 1);
    free(room);
    return reach;
}

/* With less room for needs the walk is the same, and so are the first ones. */
static void check_reach(const dw_image *image, uint32_t from_exports)
{
    dw_need *needs = zeros(NEEDS * sizeof *needs), *fewer = zeros(sizeof *fewer);
    dw_reach reach = walk(image, from_exports, needs, NEEDS);
    dw_reach again = walk(image, from_exports, fewer, 1);
    MUST(((uint8_t *)needs)[NEEDS * sizeof *needs] == GUARD && ((uint8_t *)fewer)[sizeof *fewer] == GUARD);
    MUST(memcmp(&reach, &again, sizeof reach) == 0);
    MUST(reach.needs == 0 || memcmp(needs, fewer, sizeof *fewer) == 0);
    for (uint32_t i = 0; i < reach.needs && i < NEEDS; i++) {
        MUST(needs[i].set < SETS && needs[i].mixed <= 1);
        MUST(needs[i].kind >= DW_ROOT_TLS && needs[i].kind <= DW_ROOT_EXPORT);
        MUST(dw_offset(image, needs[i].rva) != 0 && dw_offset(image, needs[i].function) != 0);
    }
    free(needs);
    free(fewer);
}

void fuzz_check_code(const dw_image *image)
{
    check_instructions(image->data, image->size, 64);
    check_instructions(image->data, image->size, 32);
    check_contents(image);
    check_reach(image, 0);
    check_reach(image, 1);
}
