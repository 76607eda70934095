// A DllMain that writes 100 MB to stdout and is content: whoever reads that must go on reading, and need not keep it.
__declspec(dllimport) void *__stdcall GetStdHandle(unsigned which);
__declspec(dllimport) int __stdcall WriteFile(void *, const void *, unsigned size, unsigned *written, void *);

static char block[0x10000];

static void flood(void)
{
    unsigned written;
    for (unsigned i = 0; i < sizeof block; i++)
        block[i] = i % 64 ? '.' : '\n';
    for (int i = 0; i < 1600; i++)
        WriteFile(GetStdHandle(-11), block, sizeof block, &written, 0); // STD_OUTPUT_HANDLE
}

#define ATTACH flood()
#include "module.c"
