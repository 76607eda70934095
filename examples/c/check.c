/* Does a file load on this machine, and if not, why? The exit code is the family: switch on it. */
#include <stdio.h>
#include "depwalk.h"

int wmain(int count, wchar_t **words)
{
    static dw_check_result result;
    result.size = sizeof result;
    if (count != 2 || dw_abi_version() != DW_ABI_VERSION || dw_windows_version() < DW_VERSION(6, 1, 7601)) {
        return DW_FAMILY_UNKNOWN;
    }
    (void)dw_check(words[1], NULL, 0, &result); /* the answer is in the result, whatever it returns */
    (void)printf("%s: %ls\n", dw_family_name(result.family), result.sentence);
    return (int)result.family;
}
