/* What the process does that dw_check starts: it loads the file, and if that fails finds with the same loader which of
 * its imports is at fault. Whatever happens to it, what it found so far lies in the room. */
#define WIN32_LEAN_AND_MEAN
#include <windows.h>

#include "check.h"

enum {
    /* winbase.h has these only for newer systems; they are numbers. */
    SEARCH_DLL_LOAD_DIR = 0x100,
    SEARCH_USUAL = 0xC00,   /* the directories added, and System32; not where this program lies: anybody may have put
                             * something there, and it is not the product's */
    MANIFEST_OF_A_DLL = 2,  /* id of its resource */
    PROC_NOT_FOUND = 127
};

typedef void (*any_function)(void); /* what a function pointer is converted through */
typedef PVOID(WINAPI *add_dll_directory)(PCWSTR directory);

/* A Windows 7 without update KB2533623 has no such flags, and a program (.exe) does not set them before it starts. */
static bool is_standard_search(const check_room *room)
{
    HMODULE kernel32 = GetModuleHandleW(L"kernel32.dll");
    return room->is_program || kernel32 == NULL || GetProcAddress(kernel32, "AddDllDirectory") == NULL;
}

/* "C:\\" keeps its end. */
static void directory_of(dw_char *to, const dw_char *path)
{
    check_copy(to, CHECK_PATH, path);
    uint32_t length = (uint32_t)(check_name(to) - to);
    to[length > 3 ? length - 1 : length] = 0;
}

/* ---- files */

static bool fits_process(const check_room *room, const dw_char *path)
{
    dw_image image;
    uint32_t code;
    if (dw_open(&image, path, &code) != DW_OK) {
        return true; /* the loader takes it, and fails */
    }
    bool fits = check_fits(&image, room->machine);
    dw_close(&image);
    return fits;
}

/* Whether `directory` has a file of this name for the process: its path is stored. That of the first file for another
 * machine is stored, too, as long as there is no better one. */
static bool is_in(check_room *room, const dw_char *directory, const dw_char *name, dw_char *path)
{
    check_text candidate = check_begin(room->candidate, CHECK_PATH);
    check_add_wide(&candidate, directory);
    check_add(&candidate, "\\");
    check_add_wide(&candidate, name);
    if (GetFileAttributesW(room->candidate) == INVALID_FILE_ATTRIBUTES) {
        return false;
    }
    bool fits = fits_process(room, room->candidate);
    if (fits || path[0] == 0) {
        check_copy(path, CHECK_PATH, room->candidate);
    }
    return fits;
}

/* Where the loader takes a name from, as far as its directories tell. */
static void locate(check_room *room, const dw_char *name, dw_char *path, bool standard)
{
    dw_char *directory = room->directory;
    const dw_char *added[CHECK_DIRECTORIES];
    uint32_t count = 0;
    path[0] = 0;
    for (const dw_char *each = room->directories; *each != 0 && count < CHECK_DIRECTORIES;
         each += check_length(each) + 1) {
        added[count++] = each;
    }
    directory_of(directory, room->path);
    bool found = is_in(room, directory, name, path);
    if (!found && standard && GetModuleFileNameW(NULL, room->other_path, CHECK_PATH) != 0) {
        directory_of(directory, room->other_path);
        found = is_in(room, directory, name, path);
    }
    while (!found && count > 0) {
        found = is_in(room, added[--count], name, path);
    }
    if (!found && GetSystemDirectoryW(directory, CHECK_PATH) != 0) {
        (void)is_in(room, directory, name, path);
    }
}

/* ---- what is found */

static void fault(check_room *room, uint32_t kind, uint32_t code, const dw_char *module, const dw_char *needed_by)
{
    room->fault.kind = kind;
    room->fault.code = code;
    check_copy(room->fault.module, CHECK_PATH, module);
    check_copy(room->fault.needed_by, CHECK_PATH, needed_by);
}

/* A name of a file, which is ASCII. */
static void copy_name(const dw_image *image, dw_text text, dw_char *to, uint32_t capacity)
{
    check_text made = check_begin(to, capacity);
    char one[2] = {0, 0};
    for (uint32_t i = 0; i < text.length; i++) {
        one[0] = (char)(image->data[text.offset + i] & 0x7F);
        check_add(&made, one);
    }
}

static void keep_symbol(check_room *room, const dw_image *image, const dw_symbol *symbol)
{
    dw_char number[16];
    char *to = room->fault.symbol;
    uint32_t length = symbol->name.length < CHECK_SYMBOL - 1 ? symbol->name.length : CHECK_SYMBOL - 1;
    for (uint32_t i = 0; i < length; i++) {
        to[i] = (char)image->data[symbol->name.offset + i];
    }
    if (symbol->name.length == 0) {
        check_text text = check_begin(number, 16);
        check_add(&text, "#");
        check_add_number(&text, symbol->ordinal);
        for (length = 0; length < text.length; length++) {
            to[length] = (char)number[length];
        }
    }
    to[length] = 0;
}

/* ---- loading */

static uint32_t load_by_name(const dw_char *name, HMODULE *module, bool standard)
{
    *module = LoadLibraryExW(name, NULL, standard ? 0 : SEARCH_USUAL);
    return *module != NULL ? 0 : GetLastError();
}

/* From here on names are looked for beside the file, too, as its own imports are. */
static void search_beside(check_room *room, bool standard)
{
    directory_of(room->directory, room->path);
    if (standard) {
        (void)SetDllDirectoryW(room->directory);
        return;
    }
    HMODULE kernel32 = GetModuleHandleW(L"kernel32.dll");
    add_dll_directory add = (add_dll_directory)(any_function)GetProcAddress(kernel32, "AddDllDirectory");
    (void)add(room->directory);
}

/* Put the directories before those of PATH. */
static void add_to_path(check_room *room)
{
    check_text path = check_begin(room->other_path, CHECK_PATH);
    for (const dw_char *each = room->directories; *each != 0; each += check_length(each) + 1) {
        check_add_wide(&path, each);
        check_add(&path, ";");
    }
    (void)GetEnvironmentVariableW(L"PATH", path.text + path.length, path.capacity - path.length);
    (void)SetEnvironmentVariableW(L"PATH", room->other_path);
}

static uint32_t load_file(check_room *room, bool standard)
{
    const dw_char *added[CHECK_DIRECTORIES];
    dw_load_request request = {room->path, added, 0, SEARCH_USUAL, SEARCH_DLL_LOAD_DIR | SEARCH_USUAL};
    dw_load_result result;
    const dw_char *each = room->directories;
    if (standard) {
        request.default_flags = 0;
        request.flags = LOAD_WITH_ALTERED_SEARCH_PATH;
        add_to_path(room);
        each = L"";
    }
    for (; *each != 0 && request.directory_count < CHECK_DIRECTORIES; each += check_length(each) + 1) {
        added[request.directory_count++] = each;
    }
    if (room->mode == CHECK_WALK || room->is_program) {
        request.path = L"kernel32.dll"; /* only the directories are wanted */
        request.flags = 0;
    }
    if (dw_load(&request, &result) == DW_OK) {
        return 0;
    }
    if (result.call != DW_CALL_LOAD_LIBRARY) {
        fault(room, CHECK_NO_DIRECTORY, result.code, added[result.directory], L"");
    }
    return result.code;
}

/* ---- functions */

/* Whether the DLL fails to load to which an exporter passes a function on, as "NAME.function". */
static bool is_forwarded_to_nothing(check_room *room, dw_image *exporter, const dw_binding *binding, bool standard)
{
    HMODULE module;
    copy_name(exporter, binding->forwarder, room->tried, 256);
    dw_char *dot = NULL;
    for (dw_char *at = room->tried; *at != 0; at++) {
        dot = *at == '.' ? at : dot;
    }
    if (dot == NULL) {
        return false;
    }
    check_copy(dot, 8, L".dll");
    uint32_t code = load_by_name(room->tried, &module, standard);
    if (code != 0) {
        locate(room, room->tried, room->tried_path, standard);
        bool missing = room->tried_path[0] == 0;
        fault(room, missing ? CHECK_MISSING : CHECK_NOT_FOLLOWED, code, room->tried, room->exporter);
    }
    return code != 0;
}

/* Wine has DLLs of its own, and may name the file whose place one of them takes. */
static bool is_of_wine(HMODULE module)
{
    static const char mark[] = "Wine builtin DLL";
    const char *at = (const char *)(const void *)module + 0x40; /* in the page with the headers */
    uint32_t same = 0;
    while (mark[same] != 0 && at[same] == mark[same]) {
        same++;
    }
    return mark[same] == 0;
}

/* Whether a loaded module lacks what a file imports from it. */
static bool lacks(check_room *room, const dw_image *importer, const dw_char *importer_path, const dw_import *import,
                  HMODULE module, bool standard)
{
    dw_image exporter;
    uint32_t code;
    dw_char *path = room->exporter;
    bool whole = import->first_symbol < CHECK_SYMBOLS && import->symbol_count <= CHECK_SYMBOLS - import->first_symbol;
    if (!whole || is_of_wine(module) || dw_module_path(module, path, CHECK_PATH) == 0 ||
        dw_open(&exporter, path, &code) != DW_OK) {
        return false;
    }
    const dw_symbol *symbols = room->symbols + import->first_symbol;
    uint32_t count = dw_match(importer, symbols, import->symbol_count, &exporter, room->bindings, CHECK_BINDINGS);
    bool of_windows = check_is_of_windows(path);
    bool found = false;
    for (uint32_t i = 0; i < count && i < CHECK_BINDINGS && !found; i++) {
        const dw_binding *binding = &room->bindings[i];
        if (binding->result == DW_FORWARDED) {
            found = !of_windows && is_forwarded_to_nothing(room, &exporter, binding, standard);
        } else {
            fault(room, CHECK_LACKS, PROC_NOT_FOUND, path, importer_path);
            room->fault.of_windows = of_windows;
            keep_symbol(room, importer, &symbols[binding->symbol]);
            found = true;
        }
    }
    dw_close(&exporter);
    return found;
}

/* Whether one of the DLLs that a file imports lacks a function; they are loaded. */
static bool functions_are_missing(check_room *room, dw_image *image, const dw_char *path, bool standard)
{
    dw_counts counts =
        dw_imports(image, DW_DIRECTORY_IMPORT, room->imports, CHECK_IMPORTS, room->symbols, CHECK_SYMBOLS);
    for (uint32_t i = 0; i < counts.dlls && i < CHECK_IMPORTS; i++) {
        dw_char name[256];
        copy_name(image, room->imports[i].dll, name, 256);
        HMODULE module = room->imports[i].skipped ? NULL : GetModuleHandleW(name);
        if (module != NULL && lacks(room, image, path, &room->imports[i], module, standard)) {
            return true;
        }
    }
    return false;
}

/* Wine loads a file although a function is missing, and Windows does not: there, the files tell. */
static void look_as_windows_would(check_room *room, bool standard)
{
    void *modules[CHECK_MODULES / 4];
    HMODULE ntdll = GetModuleHandleW(L"ntdll.dll");
    if (ntdll == NULL || GetProcAddress(ntdll, "wine_get_version") == NULL) {
        return;
    }
    uint32_t count = dw_modules(modules, CHECK_MODULES / 4);
    for (uint32_t i = 1; i < count && i < CHECK_MODULES / 4; i++) { /* the first is this program */
        dw_image image;
        uint32_t code;
        if (dw_module_path(modules[i], room->here, CHECK_PATH) == 0 || check_is_of_windows(room->here) ||
            dw_open(&image, room->here, &code) != DW_OK) {
            continue;
        }
        bool missing = functions_are_missing(room, &image, room->here, standard);
        dw_close(&image);
        if (missing) {
            return;
        }
    }
}

/* ---- the walk */

static uint32_t hash(const dw_char *name)
{
    uint32_t value = 2166136261u;
    for (; *name != 0; name++) {
        uint32_t character = (uint32_t)*name;
        value = (value ^ (character >= 'A' && character <= 'Z' ? character + 'a' - 'A' : character)) * 16777619u;
    }
    return value;
}

static bool is_on_the_way(const check_room *room, uint32_t name)
{
    for (uint32_t i = 0; i < room->depth; i++) {
        if (room->chain[i] == name) {
            return true;
        }
    }
    return false;
}

/* The manifest of a file holds for its imports. False if it has none. */
static bool activate(const dw_char *path, ULONG_PTR *cookie)
{
    ACTCTXW asked = {0};
    asked.cbSize = sizeof asked;
    asked.dwFlags = ACTCTX_FLAG_RESOURCE_NAME_VALID;
    asked.lpSource = path;
    asked.lpResourceName = MAKEINTRESOURCEW(MANIFEST_OF_A_DLL);
    HANDLE context = CreateActCtxW(&asked); /* given back with the process */
    return context != INVALID_HANDLE_VALUE && ActivateActCtx(context, cookie);
}

/* Load what a file imports, one after the other, up to one that fails: its name is then in room->tried. */
static uint32_t load_imports(check_room *room, dw_image *image, bool standard)
{
    room->fault.circle = 0;
    dw_counts counts = dw_imports(image, DW_DIRECTORY_IMPORT, room->imports, CHECK_IMPORTS, room->symbols, 0);
    uint32_t code = 0;
    for (uint32_t i = 0; i < counts.dlls && i < CHECK_IMPORTS && code == 0; i++) {
        HMODULE module;
        copy_name(image, room->imports[i].dll, room->tried, 256);
        bool circle = is_on_the_way(room, hash(room->tried));
        room->fault.circle |= circle;
        if (room->imports[i].skipped || circle) {
            continue;
        }
        locate(room, room->tried, room->tried_path, standard);
        room->stage = CHECK_WALKING;
        room->event.kind = DW_EVENT_OTHER;
        code = load_by_name(room->tried, &module, standard);
    }
    return code;
}

/* Look into the file at room->here, which fails with *code. True if one that it imports is to be looked into. */
static bool look(check_room *room, uint32_t *code, bool standard)
{
    dw_image image;
    ULONG_PTR cookie = 0;
    uint32_t os_error = 0;
    int32_t status = dw_open(&image, room->here, &os_error);
    if (status != DW_OK) {
        fault(room, status == DW_CANNOT_OPEN ? CHECK_UNREADABLE : CHECK_CORRUPT, os_error ? os_error : *code,
              room->here, room->parent);
        return false;
    }
    bool fits = check_fits(&image, room->machine), damaged = check_is_damaged(&image);
    uint32_t next = 0;
    if (fits && !damaged) {
        bool active = activate(room->here, &cookie);
        next = load_imports(room, &image, standard);
        if (active) {
            (void)DeactivateActCtx(0, cookie);
        }
    }
    if (damaged || !fits) {
        room->fault.machine = image.machine;
        fault(room, damaged ? CHECK_CORRUPT : CHECK_WRONG_MACHINE, *code, room->here, room->parent);
    } else if (next != 0 && room->tried_path[0] == 0) {
        fault(room, CHECK_MISSING, next, room->tried, room->here);
    } else if (next == 0 && !functions_are_missing(room, &image, room->here, standard) && *code != 0) {
        fault(room, CHECK_REFUSED, *code, room->here, room->parent);
        room->fault.of_windows = check_is_of_windows(room->here);
    }
    dw_close(&image);
    *code = next;
    return next != 0 && room->fault.kind == CHECK_NO_FAULT;
}

static void walk(check_room *room, const dw_char *from, const dw_char *needed_by, uint32_t code, bool standard)
{
    check_copy(room->here, CHECK_PATH, from);
    check_copy(room->parent, CHECK_PATH, needed_by);
    for (room->depth = 0; room->depth < CHECK_DEPTH;) {
        room->chain[room->depth++] = hash(check_name(room->here));
        room->own_event = room->event; /* of its load, before its imports are loaded */
        if (!look(room, &code, standard)) {
            room->event = room->own_event;
            return;
        }
        check_copy(room->parent, CHECK_PATH, room->here);
        check_copy(room->here, CHECK_PATH, room->tried_path);
    }
    fault(room, CHECK_NOT_FOLLOWED, code, room->here, room->parent);
}

void check_child(check_room *room)
{
    bool standard = is_standard_search(room);
    bool only_imports = room->mode == CHECK_WALK || room->is_program;
    (void)SetErrorMode(SEM_FAILCRITICALERRORS | SEM_NOGPFAULTERRORBOX | SEM_NOOPENFILEERRORBOX);
    (void)dw_watch(&room->event, NULL); /* nothing is written: the room itself is seen from outside */
    room->stage = CHECK_LOADING;
    room->code = load_file(room, standard);
    if (room->fault.kind == CHECK_NO_FAULT && (room->code != 0 || only_imports)) {
        if (room->code == ERROR_SXS_CANT_GEN_ACTCTX) {
            fault(room, CHECK_REFUSED, room->code, room->path, L"");
        } else {
            search_beside(room, standard);
            const dw_char *start = room->mode == CHECK_WALK ? room->start : room->path;
            walk(room, start, room->start_needed_by, room->code, standard);
        }
    }
    if (room->fault.kind == CHECK_NO_FAULT) {
        look_as_windows_would(room, standard);
    }
    room->stage = CHECK_DONE;
}
