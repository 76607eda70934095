// Initialisers in a table: the first asks by CPUID and writes the answer to a global; the second reads it, and uses AVX.
#include "vectors.h"

typedef void (*initialiser)(void);

int has_avx;

static void ask(void) { has_avx = is_avx(cpuid_1_ecx()); }

static void use(void)
{
    if (has_avx)
        use_avx();
    counter++;
}

#define IN(name) __attribute__((section(name), used)) static const initialiser
IN(".CRT$XCA") first[] = {0};
IN(".CRT$XCM") between[] = {ask, use};
IN(".CRT$XCZ") last[] = {0};

__declspec(dllimport) void _initterm(const initialiser *, const initialiser *);

#define ATTACH _initterm(first, last)
#include "module.c"
