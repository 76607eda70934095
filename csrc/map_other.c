/* Mapping a file on POSIX systems. */
#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pe.h"

static int32_t map_descriptor(int file, const uint8_t **data, uint64_t *size, uint32_t *os_error)
{
    struct stat facts;
    if (fstat(file, &facts) != 0) {
        *os_error = (uint32_t)errno;
        return DW_CANNOT_OPEN;
    }
    if (S_ISDIR(facts.st_mode)) {
        *os_error = EISDIR;
        return DW_CANNOT_OPEN;
    }
    if (!S_ISREG(facts.st_mode)) {
        return DW_NOT_A_FILE;
    }
    if (facts.st_size == 0) {
        return DW_EMPTY;
    }
    if ((uint64_t)facts.st_size > SIZE_MAX / 2) {
        return DW_TOO_LARGE;
    }
    void *mapped = mmap(NULL, (size_t)facts.st_size, PROT_READ, MAP_PRIVATE, file, 0);
    if (mapped == MAP_FAILED) {
        *os_error = (uint32_t)errno;
        return DW_CANNOT_OPEN;
    }
    *data = mapped;
    *size = (uint64_t)facts.st_size;
    return DW_OK;
}

int32_t pe_map(const dw_char *path, const uint8_t **data, uint64_t *size, uint32_t *os_error)
{
    *os_error = 0;
    /* Without O_NONBLOCK a named pipe in the way would wait for ever. */
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0) {
        *os_error = (uint32_t)errno;
        return DW_CANNOT_OPEN;
    }
    int32_t status = map_descriptor(file, data, size, os_error);
    (void)close(file);
    return status;
}

void pe_unmap(const uint8_t *data, uint64_t size)
{
    (void)munmap((void *)(uintptr_t)data, (size_t)size);
}
