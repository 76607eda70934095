/* python.exe of the test bed: what the official one does, Py_Main on the wide arguments.
 * No C start-up code is linked in: the universal CRT, which the Python DLL brings anyway, splits the command line. */
#define IMPORTED __declspec(dllimport)

typedef unsigned short wide; /* wchar_t of Windows, without a header */

enum { ARGUMENTS_WITHOUT_WILDCARDS = 1 }; /* _crt_argv_unexpanded_arguments */

IMPORTED int Py_Main(int argc, wide **argv);
IMPORTED int _configure_wide_argv(int mode);
IMPORTED int *__p___argc(void);
IMPORTED wide ***__p___wargv(void);
IMPORTED void exit(int status);

void mainCRTStartup(void)
{
    _configure_wide_argv(ARGUMENTS_WITHOUT_WILDCARDS);
    exit(Py_Main(*__p___argc(), *__p___wargv()));
}
