// IsProcessorFeaturePresent(FEATURE), called through the address table or a THUNK: AVX if it is there, or ANYWAY.
#include "vectors.h"
#ifndef THUNK
__declspec(dllimport)
#endif
int __stdcall IsProcessorFeaturePresent(unsigned long feature);

#ifdef ANYWAY
#define ATTACH counter = IsProcessorFeaturePresent(FEATURE), use_avx()
#else
#define ATTACH if (IsProcessorFeaturePresent(FEATURE)) use_avx()
#endif
#include "module.c"
