// An ordinary DLL that starts well: what it exports (each name is `answer`) and imports is said in its recipe.
#ifndef ATTACH
#define ATTACH // what DllMain does when a process loads the DLL
#endif

int answer(void) { return 0; } // as PyInit_*: NULL, so that a real import ends in SystemError and not in a crash

int __stdcall DllMain(void *module, unsigned long reason, void *reserved)
{
    (void)module, (void)reserved;
    if (reason == 1) { // DLL_PROCESS_ATTACH
        ATTACH;
    }
    return 1;
}
