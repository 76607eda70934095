// A DllMain that uses AVX without asking: loads where processor and Windows offer it, 0xC000001D elsewhere.
#define ATTACH __asm__ volatile("vxorps %%ymm0, %%ymm0, %%ymm0\n\tvzeroupper" ::: "xmm0")
#include "module.c"
