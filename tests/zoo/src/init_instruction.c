// A DllMain with an instruction of BYTES that it does not ask for: 0xC000001D on a processor that lacks it.
#define TEXT_OF(...) #__VA_ARGS__
#define TEXT(...) TEXT_OF(__VA_ARGS__)
#define ATTACH __asm__ volatile(".byte " TEXT(BYTES)::: "eax", "cc", "xmm0")
#include "module.c"
