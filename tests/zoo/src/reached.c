// AVX unasked, to which the entry point leads by CALLS, a jump out of a function (JUMP), or a branch IF something is so.
#include "vectors.h"

#ifndef IF
#define IF 1
#endif

#ifdef CALLS
APART static void inner(void) { use_avx(), counter++; }
APART static void outer(void) { inner(), counter++; }
#elif defined JUMP
APART static void outer(void) { counter++, use_avx(); }
#else
volatile int is_so = IF; // nothing of the processor
APART static void outer(void)
{
    if (is_so)
        use_avx();
    counter++;
}
#endif

#define ATTACH outer()
#include "module.c"
