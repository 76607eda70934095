/* Mapping a file on Windows. */
#define WIN32_LEAN_AND_MEAN
#include <windows.h>

#include "pe.h"

static int32_t map_handle(HANDLE file, const uint8_t **data, uint64_t *size, uint32_t *os_error)
{
    LARGE_INTEGER length;
    if (GetFileType(file) != FILE_TYPE_DISK) {
        return DW_NOT_A_FILE;
    }
    if (!GetFileSizeEx(file, &length)) {
        *os_error = GetLastError();
        return DW_CANNOT_OPEN;
    }
    if (length.QuadPart == 0) {
        return DW_EMPTY;
    }
    if ((uint64_t)length.QuadPart > SIZE_MAX / 2) {
        return DW_TOO_LARGE;
    }
    /* Of this very size: a file that has shrunk since is refused, not mapped with less than *size bytes. */
    HANDLE mapping = CreateFileMappingW(file, NULL, PAGE_READONLY, (DWORD)length.HighPart, length.LowPart, NULL);
    if (mapping == NULL) {
        *os_error = GetLastError();
        return DW_CANNOT_OPEN;
    }
    *data = MapViewOfFile(mapping, FILE_MAP_READ, 0, 0, 0);
    *os_error = *data ? 0 : GetLastError();
    *size = (uint64_t)length.QuadPart;
    (void)CloseHandle(mapping); /* the view keeps the mapping alive */
    return *data ? DW_OK : DW_CANNOT_OPEN;
}

int32_t pe_map(const dw_char *path, const uint8_t **data, uint64_t *size, uint32_t *os_error)
{
    *os_error = 0;
    /* A path may name a pipe: its server must not act in our name. */
    DWORD flags = FILE_ATTRIBUTE_NORMAL | SECURITY_SQOS_PRESENT | SECURITY_IDENTIFICATION;
    HANDLE file = CreateFileW(path, GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, NULL,
                              OPEN_EXISTING, flags, NULL);
    if (file == INVALID_HANDLE_VALUE) {
        *os_error = GetLastError();
        return DW_CANNOT_OPEN;
    }
    int32_t status = map_handle(file, data, size, os_error);
    (void)CloseHandle(file);
    return status;
}

void pe_unmap(const uint8_t *data, uint64_t size)
{
    (void)size;
    (void)UnmapViewOfFile(data);
}
