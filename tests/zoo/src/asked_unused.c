// CPUID is executed first, as by __isa_available_init of the C runtime; what uses AVX then does not look at the answer.
#include "vectors.h"

int __isa_available;

APART int __isa_available_init(void)
{
    __isa_available = is_avx(cpuid_1_ecx()) ? 3 : 2;
    return 0;
}

#define ATTACH __isa_available_init(), use_avx()
#include "module.c"
