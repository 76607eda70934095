// A DllMain that refuses to start: the load ends with ERROR_DLL_INIT_FAILED (1114).
#define ATTACH return 0
#include "module.c"
