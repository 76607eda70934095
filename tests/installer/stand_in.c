/* Stands in for depwalk-check-x64.exe where a test needs an answer that this machine would not give: says what it was
 * asked, and ends with the code that is in DEPWALK_ANSWER. */
#include <windows.h>

void start(void)
{
    char code[16] = "3";
    char *line = GetCommandLineA();
    DWORD written;
    UINT value = 0;
    HANDLE output = GetStdHandle(STD_OUTPUT_HANDLE);

    GetEnvironmentVariableA("DEPWALK_ANSWER", code, sizeof code);
    for (int i = 0; code[i]; i++)
        value = value * 10 + (UINT)(code[i] - '0');
    WriteFile(output, "asked: ", 7, &written, NULL);
    WriteFile(output, line, (DWORD)lstrlenA(line), &written, NULL);
    ExitProcess(value);
}
