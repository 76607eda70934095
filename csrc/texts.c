/* Names of DLLs among the texts of a section: what a file may load by name at run time. */
#include "pe.h"

enum {
    ENDING = 4,             /* characters of ".dll" */
    LONGEST = 64            /* characters before it */
};

static bool is_of_name(uint8_t character)
{
    return (character >= 'a' && character <= 'z') || (character >= 'A' && character <= 'Z') ||
           (character >= '0' && character <= '9') || character == '_' || character == '.' || character == '+' ||
           character == '-';
}

/* Whether ".dll" and the zero behind it stand here, in characters of `width` bytes. */
static bool is_ending(const uint8_t *at, uint64_t length, uint32_t width)
{
    static const char ending[] = ".dll"; /* with its zero */
    if (length < (uint64_t)width * sizeof ending) {
        return false;
    }
    for (uint32_t i = 0; i < sizeof ending; i++) {
        if (at[i * width] != (uint8_t)ending[i] || (width == 2 && at[i * width + 1] != 0)) {
            return false;
        }
    }
    return true;
}

/* How many bytes of a name stand before `at`. */
static uint32_t stem_before(const uint8_t *data, uint64_t at, uint32_t width)
{
    uint32_t length = 0;
    while (length < LONGEST * width && at - length >= width && is_of_name(data[at - length - width]) &&
           (width == 1 || data[at - length - 1] == 0)) {
        length += width;
    }
    return length;
}

uint32_t dw_dll_names(const dw_image *image, uint32_t section, dw_text *names, uint32_t capacity)
{
    dw_section found = section < image->section_count ? pe_section(image, section) : (dw_section){0};
    uint64_t held = found.offset < image->size ? image->size - found.offset : 0;
    const uint8_t *data = image->data + (held ? found.offset : 0);
    uint64_t size = held < found.raw_size ? held : found.raw_size;
    uint32_t count = 0;
    for (uint64_t at = pe_bytes_before(data, size, '.'); at < size;
         at += 1 + pe_bytes_before(data + at + 1, size - at - 1, '.')) {
        uint32_t width = is_ending(data + at, size - at, 1) ? 1 : is_ending(data + at, size - at, 2) ? 2 : 0;
        uint32_t stem = width ? stem_before(data, at, width) : 0;
        if (stem == 0) {
            continue;
        }
        if (count < capacity) {
            names[count] = (dw_text){found.offset + (uint32_t)at - stem, stem + ENDING * width};
        }
        count++;
    }
    return count;
}
