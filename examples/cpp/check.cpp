// What does the machine offer, and does a file load on it? The exit code is the family.
#include <stdio.h>
#include "depwalk.h"

int wmain(int count, wchar_t **words)
{
    const uint32_t runtime = dw_vc_runtime_version("x64");
    printf("x86-64-v%u, Visual C++ runtime %u.%u\n", dw_cpu_level(), runtime >> 24, runtime >> 16 & 0xFF);
    if (dw_cpu_has("sse4.2") != 1 || count != 2) {
        return DW_FAMILY_CPU_FEATURE_MISSING;
    }
    wchar_t sentence[DW_CHECK_TEXT];
    const uint32_t seconds = 10;
    const uint32_t family = dw_check_text(words[1], nullptr, seconds, sentence, DW_CHECK_TEXT);
    printf("%s: %ls\n", dw_family_name(family), sentence);
    return static_cast<int>(family);
}
