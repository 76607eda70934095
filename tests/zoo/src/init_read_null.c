// A DllMain that reads at address 0: an access violation like a write, told apart only by the exception's parameters.
#define ATTACH (void)*(volatile int *)0
#include "module.c"
