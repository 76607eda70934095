// An ordinary DLL with a function of AVX that nothing runs while it is loaded; its recipe says whether it is exported.
#include "vectors.h"
#include "module.c"

FOR_AVX void scale(void) { numbers *= 3; }
