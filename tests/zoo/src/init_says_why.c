// A DllMain that says on stdout and on stderr why it refuses to start: the only place where the reason can be read.
__declspec(dllimport) void *__stdcall GetStdHandle(unsigned which);
__declspec(dllimport) int __stdcall WriteFile(void *, const void *, unsigned size, unsigned *written, void *);

static const char out[] = "zoo: looking for a licence\r\n", err[] = "zoo: no licence found, giving up\r\n";

static void say(void)
{
    unsigned written;
    WriteFile(GetStdHandle(-11), out, sizeof out - 1, &written, 0); // STD_OUTPUT_HANDLE
    WriteFile(GetStdHandle(-12), err, sizeof err - 1, &written, 0); // STD_ERROR_HANDLE
}

#define ATTACH say(); return 0
#include "module.c"
