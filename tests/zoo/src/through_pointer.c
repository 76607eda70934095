// AVX unasked that runs at load, but through a pointer: nobody can tell from the file where that leads.
#include "vectors.h"

static void (*volatile plugin)(void) = use_avx;

#define ATTACH plugin()
#include "module.c"
