/* What Go asks for random bytes, which wine 8 does not have: ProcessPrng, by what it does have (RtlGenRandom of advapi32). */
#include <windows.h>
BOOLEAN NTAPI SystemFunction036(PVOID buffer, ULONG length);
__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE data, SIZE_T size) {
	return SystemFunction036(data, (ULONG)size);
}
