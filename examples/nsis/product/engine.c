/* The DLL that the example product is about. It needs the C++ runtime of Visual Studio, and vectors.dll beside it. */

__declspec(dllimport) unsigned int _Thrd_hardware_concurrency(void); /* of msvcp140.dll */
__declspec(dllimport) float first_lane(void);                        /* of vectors.dll */

int _fltused; /* what a linker asks for where there is floating point and no C runtime */

__declspec(dllexport) float work(void) { return first_lane() * (float)_Thrd_hardware_concurrency(); }

int __stdcall DllMainCRTStartup(void *module, unsigned long reason, void *reserved)
{
    (void)module, (void)reason, (void)reserved;
    return 1;
}
