/* Checking a load, and the machine, where there is no Windows. */
#include "depwalk.h"

int32_t dw_check(const dw_char *path, const dw_char *dirs, uint32_t flags, dw_check_result *result)
{
    (void)path;
    (void)dirs;
    (void)flags;
    if (result->size < sizeof *result) {
        return DW_INVALID;
    }
    *result = (dw_check_result){result->size, DW_FAMILY_UNKNOWN, 0, DW_NOT_HERE, "", "", "", ""};
    return DW_NOT_HERE;
}

uint32_t dw_check_text(const dw_char *path, const dw_char *dirs, uint32_t flags, dw_char *text, uint32_t capacity)
{
    (void)path;
    (void)dirs;
    (void)flags;
    if (capacity > 0) {
        text[0] = 0;
    }
    return DW_FAMILY_UNKNOWN;
}

uint32_t dw_vc_runtime_version(const char *architecture)
{
    (void)architecture;
    return 0;
}

uint32_t dw_windows_version(void)
{
    return 0;
}
