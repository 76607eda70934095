// A function with SSE and AVX that chooses by a constant, as memset does in a DLL whose __isa_available is never set.
#include "vectors.h"

int __isa_available; // stays 0: the file has nothing that asks

APART static void fill(void *place)
{
    if (__isa_available >= 3)
        __asm__ volatile("vxorps %%ymm0, %%ymm0, %%ymm0\n\tvmovups %%ymm0, (%0)\n\tvzeroupper" ::"r"(place) : "xmm0", "memory");
    else
        __asm__ volatile("xorps %%xmm0, %%xmm0\n\tmovups %%xmm0, (%0)\n\tmovups %%xmm0, 16(%0)" ::"r"(place) : "xmm0", "memory");
}

#define ATTACH fill(&numbers)
#include "module.c"
