/* A custom action of Windows Installer that asks, before anything is copied, whether this machine can load the product.
 *
 * The package carries in its Binary table what is needed for that: depwalk-check-x64.exe and the DLLs that decide, each under
 * the name "check.FILE". They are unpacked into a directory of their own and removed again. Properties:
 *   DepwalkProgram       FILE of the check
 *   DepwalkFile          FILE that is loaded
 *   DepwalkRequirements  options such as --require-cpu v3; may be empty
 * If the product does not load, the installation ends with the sentence of the check. No C runtime is needed. */
#define WIN32_LEAN_AND_MEAN
#include <windows.h>

#include <msi.h>
#include <msiquery.h>

enum {
    ROOM = 2048,  /* characters of a path or a property */
    SAID = 8192,  /* bytes of what the check prints */
    PREFIX = 6,   /* characters of "check." */
    LOADS = 0,
    UNKNOWN = 3   /* it could not be tried, which is no reason to refuse */
};
#define ENDED_FROM_OUTSIDE 0x80000000 /* and above: the same */

typedef struct {
    STARTUPINFOW start;
    WCHAR folder[ROOM];
    WCHAR program[ROOM], file[ROOM], requirements[ROOM];
    WCHAR name[ROOM], path[2 * ROOM];
    WCHAR line[4 * ROOM];
    char bytes[SAID];
    WCHAR said[SAID];
} work; /* zeroed, and not on the stack */

static BOOL make_folder(WCHAR *folder)
{
    WCHAR parent[MAX_PATH + 1];
    if (GetTempPathW(MAX_PATH + 1, parent) == 0 || GetTempFileNameW(parent, L"dep", 0, folder) == 0)
        return FALSE;
    DeleteFileW(folder);
    return CreateDirectoryW(folder, NULL);
}

static void join(WCHAR *path, const WCHAR *folder, const WCHAR *name)
{
    lstrcpyW(path, folder);
    lstrcatW(path, L"\\");
    lstrcatW(path, name);
}

/* The data of a row as the file it->path. */
static BOOL write_stream(MSIHANDLE record, work *it)
{
    HANDLE file = CreateFileW(it->path, GENERIC_WRITE, 0, NULL, CREATE_NEW, FILE_ATTRIBUTE_NORMAL, NULL);
    BOOL good = file != INVALID_HANDLE_VALUE;
    DWORD size = SAID, written;
    while (good && size == SAID)
        good = MsiRecordReadStream(record, 2, it->bytes, &size) == ERROR_SUCCESS &&
               WriteFile(file, it->bytes, size, &written, NULL);
    if (file != INVALID_HANDLE_VALUE)
        CloseHandle(file);
    return good;
}

/* Every row of the Binary table whose name has the prefix, as a file. */
static BOOL unpack(MSIHANDLE install, work *it)
{
    MSIHANDLE database = MsiGetActiveDatabase(install), view = 0, record = 0;
    BOOL good = database != 0 &&
                MsiDatabaseOpenViewW(database, L"SELECT `Name`, `Data` FROM `Binary`", &view) == ERROR_SUCCESS &&
                MsiViewExecute(view, 0) == ERROR_SUCCESS;
    while (good && MsiViewFetch(view, &record) == ERROR_SUCCESS) {
        DWORD length = ROOM;
        good = MsiRecordGetStringW(record, 1, it->name, &length) == ERROR_SUCCESS;
        if (good && CompareStringOrdinal(it->name, PREFIX, L"check.", PREFIX, FALSE) == CSTR_EQUAL) {
            join(it->path, it->folder, it->name + PREFIX);
            good = write_stream(record, it);
        }
        MsiCloseHandle(record);
    }
    MsiCloseHandle(view);
    MsiCloseHandle(database);
    return good;
}

static void remove_folder(work *it)
{
    WIN32_FIND_DATAW found;
    join(it->path, it->folder, L"*");
    HANDLE search = FindFirstFileW(it->path, &found);
    if (search != INVALID_HANDLE_VALUE) {
        do {
            join(it->path, it->folder, found.cFileName);
            DeleteFileW(it->path);
        } while (FindNextFileW(search, &found));
        FindClose(search);
    }
    RemoveDirectoryW(it->folder);
}

/* Run the check without a window. Its exit code; what it prints is in it->said. */
static DWORD ask(work *it)
{
    SECURITY_ATTRIBUTES inherited = { sizeof inherited, NULL, TRUE };
    PROCESS_INFORMATION process;
    HANDLE read, write;
    DWORD code = UNKNOWN, size = 0, got;

    if (!CreatePipe(&read, &write, &inherited, 0))
        return UNKNOWN;
    SetHandleInformation(read, HANDLE_FLAG_INHERIT, 0);
    it->start.cb = sizeof it->start;
    it->start.dwFlags = STARTF_USESTDHANDLES;
    it->start.hStdOutput = write;
    it->start.hStdError = write;

    join(it->path, it->folder, it->program);
    lstrcpyW(it->line, L"\"");
    lstrcatW(it->line, it->path);
    lstrcatW(it->line, L"\" ");
    lstrcatW(it->line, it->requirements);
    lstrcatW(it->line, L" \"");
    lstrcatW(it->line, it->folder);
    lstrcatW(it->line, L"\\");
    lstrcatW(it->line, it->file);
    lstrcatW(it->line, L"\"");
    BOOL started =
        CreateProcessW(it->path, it->line, NULL, NULL, TRUE, CREATE_NO_WINDOW, NULL, NULL, &it->start, &process);
    CloseHandle(write);
    if (started) {
        while (size < SAID - 1 && ReadFile(read, it->bytes + size, SAID - 1 - size, &got, NULL) && got != 0)
            size += got;
        WaitForSingleObject(process.hProcess, INFINITE);
        GetExitCodeProcess(process.hProcess, &code);
        CloseHandle(process.hThread);
        CloseHandle(process.hProcess);
    }
    CloseHandle(read);
    it->said[MultiByteToWideChar(CP_UTF8, 0, it->bytes, (int)size, it->said, SAID - 1)] = 0;
    return code;
}

/* Behind "PATH: " in the first line. */
static WCHAR *sentence(WCHAR *said)
{
    WCHAR *begin = said;
    for (WCHAR *at = said; *at != 0; at++) {
        if (*at == '\r' || *at == '\n') {
            *at = 0;
            break;
        }
        if (begin == said && at[0] == ':' && at[1] == ' ')
            begin = at + 2;
    }
    return begin;
}

static void tell(MSIHANDLE install, UINT kind, const WCHAR *text)
{
    MSIHANDLE record = MsiCreateRecord(1);
    MsiRecordSetStringW(record, 0, L"[1]");
    MsiRecordSetStringW(record, 1, text);
    MsiProcessMessage(install, (INSTALLMESSAGE)kind, record);
    MsiCloseHandle(record);
}

static void property(MSIHANDLE install, const WCHAR *name, WCHAR *value)
{
    DWORD length = ROOM;
    if (MsiGetPropertyW(install, name, value, &length) != ERROR_SUCCESS)
        value[0] = 0;
}

__declspec(dllexport) UINT __stdcall CheckMachine(MSIHANDLE install)
{
    work *it = VirtualAlloc(NULL, sizeof *it, MEM_COMMIT | MEM_RESERVE, PAGE_READWRITE);
    DWORD code = UNKNOWN;
    if (it == NULL)
        return ERROR_SUCCESS;
    property(install, L"DepwalkProgram", it->program);
    property(install, L"DepwalkFile", it->file);
    property(install, L"DepwalkRequirements", it->requirements);
    if (make_folder(it->folder)) {
        if (unpack(install, it))
            code = ask(it);
        remove_folder(it);
    }
    tell(install, INSTALLMESSAGE_INFO, it->line);
    tell(install, INSTALLMESSAGE_INFO, it->said[0] != 0 ? it->said : L"depwalk-check could not be run");
    BOOL refused = code != LOADS && code != UNKNOWN && code < ENDED_FROM_OUTSIDE;
    if (refused)
        tell(install, INSTALLMESSAGE_ERROR | MB_OK | MB_ICONERROR, sentence(it->said));
    VirtualFree(it, 0, MEM_RELEASE);
    return refused ? ERROR_INSTALL_FAILURE : ERROR_SUCCESS;
}

BOOL WINAPI DllMainCRTStartup(HINSTANCE module, DWORD reason, void *reserved)
{
    (void)module, (void)reason, (void)reserved;
    return TRUE;
}
