/* What the machine has: its Windows, and the Visual C++ runtime. */
#define WIN32_LEAN_AND_MEAN
#include <windows.h>
#include <winternl.h>

#include "check.h"

/* ntdll, present in every Windows; GetVersionEx tells programs without a manifest of an older one. */
NTSTATUS NTAPI RtlGetVersion(PRTL_OSVERSIONINFOW version);

enum {
    VERSION_RESOURCE = 16,
    FIXED_INFO_AT = 40,     /* behind the header of VS_VERSION_INFO, in bytes */
    FIXED_INFO_SIZE = 52
};

#define FIXED_INFO_SIGNATURE 0xFEEF04BDu

uint32_t dw_windows_version(void)
{
    RTL_OSVERSIONINFOW version = {0};
    version.dwOSVersionInfoSize = sizeof version;
    if (RtlGetVersion(&version) < 0) {
        return 0;
    }
    return DW_VERSION(version.dwMajorVersion, version.dwMinorVersion, version.dwBuildNumber & 0xFFFF);
}

static uint32_t word(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

/* The file version in an image's version resource; 0 if there is none. */
static uint32_t version_of(dw_image *image)
{
    dw_resource found;
    if (dw_resources(image, VERSION_RESOURCE, &found, 1) == 0 || found.size < FIXED_INFO_AT + FIXED_INFO_SIZE ||
        found.offset > image->size || found.size > image->size - found.offset) {
        return 0;
    }
    const uint8_t *info = image->data + found.offset + FIXED_INFO_AT;
    if (word(info) != FIXED_INFO_SIGNATURE) {
        return 0;
    }
    uint32_t high = word(info + 8), low = word(info + 12);
    return DW_VERSION(high >> 16 & 0xFF, high & 0xFF, low >> 16);
}

/* Where the loader has System32 for processes of a machine, as this process names it. Its length, 0 without one. */
static uint32_t system_directory(uint32_t machine, dw_char *directory)
{
    BOOL redirected = FALSE;
    (void)IsWow64Process(GetCurrentProcess(), &redirected);
    if (machine == CHECK_I386 && check_own_machine() != CHECK_I386) {
        return GetSystemWow64DirectoryW(directory, MAX_PATH);
    }
    if (machine == CHECK_I386 || !redirected) {
        return GetSystemDirectoryW(directory, MAX_PATH);
    }
    uint32_t length = GetSystemWindowsDirectoryW(directory, MAX_PATH);
    check_text text = {directory, MAX_PATH, length};
    check_add(&text, "\\Sysnative");
    return text.length;
}

static uint32_t version_in(uint32_t machine, const char *name)
{
    dw_char path[MAX_PATH + 32];
    dw_image image;
    uint32_t code, version = 0;
    uint32_t length = system_directory(machine, path);
    if (length == 0 || length >= MAX_PATH) {
        return 0;
    }
    check_text text = {path, MAX_PATH + 32, length};
    check_add(&text, "\\");
    check_add(&text, name);
    if (dw_open(&image, path, &code) != DW_OK) {
        return 0;
    }
    if (check_fits(&image, machine)) {
        version = version_of(&image);
    }
    dw_close(&image);
    return version;
}

uint32_t dw_vc_runtime_version(const char *architecture)
{
    static const uint32_t machines[] = {CHECK_AMD64, CHECK_I386, CHECK_ARM64};
    for (uint32_t i = 0; i < sizeof machines / sizeof *machines; i++) {
        const char *name = check_architecture(machines[i]);
        uint32_t at = 0;
        while (name[at] != 0 && name[at] == architecture[at]) {
            at++;
        }
        if (name[at] == architecture[at]) {
            uint32_t c = version_in(machines[i], "vcruntime140.dll"), cpp = version_in(machines[i], "msvcp140.dll");
            return c < cpp ? c : cpp;
        }
    }
    return 0;
}
