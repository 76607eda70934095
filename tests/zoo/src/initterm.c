// A table of initialisers, one of which uses AVX unasked: for _initterm, IMPORTED or its own, or a LOOP in DllMain.
#include "vectors.h"

typedef void (*initialiser)(void);

static void harmless(void) { counter++; }

// As the C runtime has it: the linker sorts the sections by what follows the dollar sign.
#define IN(name) __attribute__((section(name), used)) const initialiser
IN(".CRT$XCA") first[] = {0};
static IN(".CRT$XCM") between[] = {harmless, use_avx};
IN(".CRT$XCZ") last[] = {0};

#ifdef IMPORTED
__declspec(dllimport)
#endif
void _initterm(const initialiser *, const initialiser *);

#ifndef IMPORTED
#ifndef LOOP
APART
#else
__attribute__((always_inline)) inline
#endif
void _initterm(const initialiser *each, const initialiser *end)
{
    __asm__("" : "+r"(each), "+r"(end)); // nothing is known of what lies between them
    for (; each < end; each++)
        if (*each)
            (*each)();
}
#endif

#define ATTACH _initterm(first, last)
#include "module.c"
