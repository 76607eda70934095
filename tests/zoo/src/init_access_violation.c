// A DllMain that writes to address 0: the loader swallows the access violation and reports 998.
#define ATTACH *(volatile int *)0 = 1
#include "module.c"
