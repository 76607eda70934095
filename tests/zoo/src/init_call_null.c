// A DllMain that calls address 0: the exception is raised outside of every module, only the stack knows who called.
static void (*volatile nowhere)(void);
#define ATTACH nowhere()
#include "module.c"
