// A DllMain with an instruction that no processor has: the exception code itself becomes the error (0xC000001D).
#define ATTACH __asm__ volatile("ud2")
#include "module.c"
