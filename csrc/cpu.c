/* Raw answers of the processor; what they mean is decided elsewhere. */
#include "depwalk.h"

#if defined(_M_IX86) || defined(_M_X64)
#  if !defined(_M_ARM64EC)
#    define DW_X86 1
#  endif
#elif defined(__i386__) || defined(__x86_64__)
#  define DW_X86 1
#endif

#if defined(DW_X86) && defined(_MSC_VER)
#  include <immintrin.h>
#  include <intrin.h>
#elif defined(DW_X86)
#  include <cpuid.h>
#endif

int32_t dw_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t registers[4])
{
#if defined(DW_X86) && defined(_MSC_VER)
    int answers[4];
    __cpuidex(answers, (int)leaf, (int)subleaf);
    for (int i = 0; i < 4; i++) {
        registers[i] = (uint32_t)answers[i];
    }
    return DW_OK;
#elif defined(DW_X86)
    __cpuid_count(leaf, subleaf, registers[0], registers[1], registers[2], registers[3]);
    return DW_OK;
#else
    (void)leaf;
    (void)subleaf;
    registers[0] = registers[1] = registers[2] = registers[3] = 0;
    return DW_NOT_HERE;
#endif
}

int32_t dw_xgetbv(uint32_t index, uint64_t *value)
{
#if defined(DW_X86) && defined(_MSC_VER)
    *value = _xgetbv(index);
    return DW_OK;
#elif defined(DW_X86)
    uint32_t low, high;
    __asm__ volatile(".byte 0x0F, 0x01, 0xD0" : "=a"(low), "=d"(high) : "c"(index)); /* older assemblers lack XGETBV */
    *value = ((uint64_t)high << 32) | low;
    return DW_OK;
#else
    (void)index;
    *value = 0;
    return DW_NOT_HERE;
#endif
}
