// The list of constructors of MinGW, -1, pointers, 0, as its __do_global_ctors runs it: one of them uses AVX unasked.
#include "vectors.h"

typedef void (*constructor)(void);

static void harmless(void) { counter++; }

// The linker of MinGW puts it into the code, or among the constants.
__attribute__((section(".ctors"))) static const constructor volatile list[] = {
    (constructor)-1, harmless, use_avx, harmless, 0,
};

APART static void __do_global_ctors(void)
{
    unsigned long count = (unsigned long)(__UINTPTR_TYPE__)list[0];
    if (count == (unsigned long)-1)
        for (count = 0; list[count + 1]; count++)
            ;
    for (; count; count--)
        list[count]();
}

APART static void __main(void)
{
    static int initialized;
    if (!initialized) {
        initialized = 1;
        __do_global_ctors();
    }
}

#define ATTACH __main()
#include "module.c"
