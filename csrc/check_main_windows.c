/* depwalk-check.exe: tells installers why a file does not load, and is the process in which dw_check tries it.
 *
 * A console program without the C runtime: started with CREATE_NO_WINDOW, or hidden as installers do, it shows no
 * window. It writes to its output, in UTF-8 if that is no console, and to no file. */
#define WIN32_LEAN_AND_MEAN
#include <windows.h>

#include "check.h"

#ifndef CHECK_VERSION
#  define CHECK_VERSION "of unknown version"
#endif

enum {
    USAGE = 2,
    MOST_WORDS = 4096,
    MOST_CPUS = 64,
    LINE = 4 * CHECK_PATH
};

static const char help[] =
    "usage: depwalk-check [options] FILE...\n"
    "\n"
    "Tries whether DLLs, extension modules and programs load on this machine, and says in a line for each why not.\n"
    "\n"
    "  --dir DIRECTORY      search this directory, too; may be given again, the last is searched first\n"
    "  --require-cpu WHAT   the processor must offer a level (v1 to v4) or an instruction set (avx2); may be given again\n"
    "  --require-vc VERSION the Visual C++ runtime must be of this version or later (14.40)\n"
    "  --timeout SECONDS    how long each load may take (30)\n"
    "  --json               a JSON object in each line\n"
    "  --quiet              print nothing: the exit code tells\n"
    "  --help, --version\n"
    "\n"
    "The exit code is that of the first file that fails: 0 all load, 1 another reason, 2 wrong usage or a file that\n"
    "cannot be read, 3 it could not be tried, and:";

/* What the command line says, and where lines are made. The program has one thread. */
static struct {
    dw_char text[CHECK_PATH + MOST_WORDS]; /* of the words */
    const dw_char *words[MOST_WORDS];
    uint32_t count;
    dw_char dirs[CHECK_PATH];
    const dw_char *cpus[MOST_CPUS];
    uint32_t cpu_count;
    uint32_t runtime;       /* version wanted, 0 if none is */
    uint32_t runtime_told;  /* machines of which it was asked, a bit each */
    uint32_t seconds;
    bool json, quiet;
    uint32_t status;
    dw_check_result result;
    dw_char line[LINE];
    char bytes[3 * LINE];
} program;

/* ---- the command line */

/* Split as the C runtime's documentation says: 2n backslashes and a quote are n backslashes and a quote that begins or
 * ends a part, 2n+1 are n backslashes and the quote itself; "" within a part is a quote. */
static const dw_char *take_word(const dw_char *at, dw_char **to)
{
    bool quoted = false;
    while (*at != 0 && (quoted || (*at != ' ' && *at != '\t'))) {
        uint32_t slashes = 0;
        while (*at == '\\') {
            slashes++;
            at++;
        }
        for (uint32_t i = *at == '"' ? slashes / 2 : slashes; i > 0; i--) {
            *(*to)++ = '\\';
        }
        if (*at != '"') {
            if (slashes == 0) {
                *(*to)++ = *at++;
            }
        } else if (slashes % 2 != 0 || (quoted && at[1] == '"')) {
            at += slashes % 2 != 0 ? 1 : 2;
            *(*to)++ = '"';
        } else {
            quoted = !quoted;
            at++;
        }
    }
    *(*to)++ = 0;
    return at;
}

/* The program's name has other rules: a quote ends it, and no backslash is special. */
static const dw_char *skip_program(const dw_char *at)
{
    bool quoted = *at == '"';
    at += quoted;
    while (*at != 0 && (quoted ? *at != '"' : *at != ' ' && *at != '\t')) {
        at++;
    }
    return at + (*at == '"');
}

static void split(const dw_char *at)
{
    dw_char *to = program.text;
    at = skip_program(at);
    for (;;) {
        while (*at == ' ' || *at == '\t') {
            at++;
        }
        if (*at == 0 || program.count == MOST_WORDS) {
            return;
        }
        program.words[program.count++] = to;
        at = take_word(at, &to);
    }
}

/* ---- output */

static void write_to(DWORD stream, check_text *text)
{
    HANDLE output = GetStdHandle(stream);
    DWORD mode, written;
    if (GetConsoleMode(output, &mode)) {
        (void)WriteConsoleW(output, text->text, text->length, &written, NULL);
        return;
    }
    int size = WideCharToMultiByte(CP_UTF8, 0, text->text, (int)text->length, program.bytes, sizeof program.bytes, NULL,
                                   NULL);
    (void)WriteFile(output, program.bytes, (DWORD)size, &written, NULL);
}

static void print(check_text *text)
{
    if (!program.quiet) {
        check_add(text, "\r\n");
        write_to(STD_OUTPUT_HANDLE, text);
    }
}

static uint32_t wrong_usage(const char *what, const dw_char *word)
{
    check_text text = check_begin(program.line, LINE);
    check_add(&text, "depwalk-check: ");
    check_add(&text, what);
    check_add(&text, " ");
    check_add_wide(&text, word);
    check_add(&text, "\r\nTry: depwalk-check --help\r\n");
    write_to(STD_ERROR_HANDLE, &text);
    return USAGE;
}

static void print_help(void)
{
    check_text text = check_begin(program.line, LINE);
    char one[2] = {0, 0};
    for (const char *at = help; *at != 0; at++) {
        one[0] = *at;
        check_add(&text, *at == '\n' ? "\r\n" : one);
    }
    for (uint32_t family = USAGE + 2; family < 256; family++) {
        if (dw_family_name(family) != NULL) {
            check_add(&text, "\r\n  ");
            check_add_number(&text, family);
            check_add(&text, " ");
            check_add(&text, dw_family_name(family));
        }
    }
    print(&text);
}

static void add_json(check_text *text, const char *key, const dw_char *value)
{
    static const char digits[] = "0123456789abcdef";
    check_add(text, text->length > 1 ? ", \"" : "\"");
    check_add(text, key);
    check_add(text, "\": \"");
    for (; *value != 0; value++) {
        char plain[] = {(char)*value, 0};
        dw_char one[] = {*value, 0};
        if (*value == '"' || *value == '\\') {
            check_add(text, "\\");
            check_add(text, plain);
        } else if (*value < ' ') {
            char escape[] = {digits[*value >> 4], digits[*value & 0xF], 0};
            check_add(text, "\\u00");
            check_add(text, escape);
        } else {
            check_add_wide(text, one);
        }
    }
    check_add(text, "\"");
}

static void add_json_number(check_text *text, const char *key, uint32_t value)
{
    check_add(text, ", \"");
    check_add(text, key);
    check_add(text, "\": ");
    check_add_number(text, value);
}

static void print_json(const char *what, const dw_char *subject)
{
    const dw_check_result *result = &program.result;
    dw_char family[32];
    check_text name = check_begin(family, 32), text = check_begin(program.line, LINE);
    check_add(&name, dw_family_name(result->family));
    check_add(&text, "{");
    add_json(&text, what, subject);
    add_json(&text, "family", family);
    add_json_number(&text, "exit", result->family);
    add_json_number(&text, "code", result->code);
    add_json(&text, "module", result->module);
    add_json(&text, "needed_by", result->needed_by);
    add_json(&text, "sentence", result->sentence);
    add_json(&text, "url", result->url);
    check_add(&text, "}");
    print(&text);
}

/* Tell what program.result says of a file, or of what is required. */
static void tell(const char *what, const dw_char *subject)
{
    if (program.status == 0) {
        program.status = program.result.family;
    }
    if (program.json) {
        print_json(what, subject);
        return;
    }
    check_text text = check_begin(program.line, LINE);
    check_add_wide(&text, subject);
    check_add(&text, ": ");
    check_add(&text, program.result.family == DW_FAMILY_LOADS ? "loads" : "");
    check_add_wide(&text, program.result.sentence);
    print(&text);
}

/* ---- what is asked */

static bool is_word(const dw_char *word, const char *option)
{
    while (*option != 0 && *word == (dw_char)*option) {
        word++;
        option++;
    }
    return *option == 0 && *word == 0;
}

/* A number at the beginning of a text; moves behind it. False if there is none up to `most`. */
static bool take_number(const dw_char **at, uint32_t most, uint32_t *number)
{
    const dw_char *begin = *at;
    for (*number = 0; **at >= '0' && **at <= '9'; (*at)++) {
        *number = *number * 10 + (uint32_t)(**at - '0');
        if (*number > most) {
            return false;
        }
    }
    return *at != begin;
}

/* "14.40" or "14.40.33810"; 0 for anything else. */
static uint32_t version_in(const dw_char *text)
{
    uint32_t major = 0, minor = 0, build = 0;
    if (!take_number(&text, 255, &major) || *text++ != '.' || !take_number(&text, 255, &minor)) {
        return 0;
    }
    if (*text == '.') {
        text++;
        if (!take_number(&text, 65535, &build)) {
            return 0;
        }
    }
    return *text == 0 ? DW_VERSION(major, minor, build) : 0;
}

static void require_runtime(uint32_t machine)
{
    const char *architecture = check_architecture(machine);
    dw_char subject[64];
    uint32_t bit = machine == CHECK_AMD64 ? 1 : machine == CHECK_I386 ? 2 : 4;
    if (program.runtime == 0 || architecture == NULL || (program.runtime_told & bit) != 0) {
        return;
    }
    program.runtime_told |= bit;
    check_vc_runtime(machine, dw_vc_runtime_version(architecture), program.runtime, &program.result);
    if (program.result.family != DW_FAMILY_LOADS) {
        check_text text = check_begin(subject, 64);
        check_add(&text, "Visual C++ runtime (");
        check_add(&text, architecture);
        check_add(&text, ")");
        tell("requirement", subject);
    }
}

static void check_file(const dw_char *path)
{
    dw_image image;
    uint32_t code;
    if (program.runtime != 0 && dw_open(&image, path, &code) == DW_OK) {
        uint32_t machine = image.machine;
        dw_close(&image);
        require_runtime(machine);
    }
    program.result.size = sizeof program.result;
    (void)check_run(path, program.dirs, program.seconds, true, &program.result);
    tell("file", path);
}

/* The value of an option; NULL if there is none. */
static const dw_char *take_value(uint32_t *at)
{
    return *at + 1 < program.count ? program.words[++*at] : NULL;
}

static bool take_directory(const dw_char *value)
{
    check_text dirs = {program.dirs, CHECK_PATH, check_length(program.dirs)};
    check_add_wide(&dirs, value);
    check_add(&dirs, "|");
    return dirs.length + 1 < CHECK_PATH;
}

/* Take one option and its value. False if it has no value that it could have. */
static bool take_option(const dw_char *option, const dw_char *value)
{
    if (value == NULL) {
        return false;
    }
    if (is_word(option, "--dir")) {
        return take_directory(value);
    }
    if (is_word(option, "--require-cpu")) {
        bool known = check_cpu(value, &program.result) == DW_OK && program.cpu_count < MOST_CPUS;
        if (known) {
            program.cpus[program.cpu_count++] = value;
        }
        return known;
    }
    if (is_word(option, "--require-vc")) {
        program.runtime = version_in(value);
        return program.runtime != 0;
    }
    return take_number(&value, 65535, &program.seconds) && *value == 0 && program.seconds != 0;
}

static bool has_value(const dw_char *option)
{
    return is_word(option, "--dir") || is_word(option, "--require-cpu") || is_word(option, "--require-vc") ||
           is_word(option, "--timeout");
}

/* Take the options; the files go to the front of program.words. Returns how many they are, or stores the status with
 * which the program ends. */
static uint32_t take_options(uint32_t *status)
{
    uint32_t files = 0;
    bool options = true;
    for (uint32_t i = 0; i < program.count && *status == 0; i++) {
        const dw_char *word = program.words[i];
        if (!options || word[0] != '-' || word[1] == 0) {
            program.words[files++] = word;
        } else if (is_word(word, "--")) {
            options = false;
        } else if (is_word(word, "--json")) {
            program.json = true;
        } else if (is_word(word, "--quiet")) {
            program.quiet = true;
        } else if (!has_value(word)) {
            *status = wrong_usage("there is no option", word);
        } else if (!take_option(word, take_value(&i))) {
            *status = wrong_usage("no value that it takes behind", word);
        }
    }
    return files;
}

static uint32_t check_all(void)
{
    uint32_t status = 0;
    uint32_t files = take_options(&status);
    if (status == 0 && files == 0 && program.cpu_count == 0 && program.runtime == 0) {
        status = wrong_usage("nothing to check:", L"name a FILE");
    }
    if (status != 0) {
        return status;
    }
    for (uint32_t i = 0; i < program.cpu_count; i++) {
        (void)check_cpu(program.cpus[i], &program.result);
        if (program.result.family != DW_FAMILY_LOADS) {
            tell("requirement", L"processor");
        }
    }
    if (files == 0) {
        require_runtime(check_own_machine());
    }
    for (uint32_t i = 0; i < files; i++) {
        check_file(program.words[i]);
    }
    return program.status;
}

static uint32_t be_the_child(const dw_char *word)
{
    uint32_t number;
    check_room *room = NULL;
    if (take_number(&word, 0x7FFFFFFF, &number)) {
        room = MapViewOfFile((HANDLE)(uintptr_t)number, FILE_MAP_WRITE, 0, 0, sizeof(check_room));
    }
    if (room == NULL || room->version != DW_ABI_VERSION) {
        return USAGE;
    }
    check_child(room);
    return 0;
}

static uint32_t run(void)
{
    split(GetCommandLineW());
    if (program.count == 2 && is_word(program.words[0], "--child")) {
        return be_the_child(program.words[1]);
    }
    for (uint32_t i = 0; i < program.count; i++) {
        if (is_word(program.words[i], "--help")) {
            print_help();
            return 0;
        }
        if (is_word(program.words[i], "--version")) {
            check_text text = check_begin(program.line, LINE);
            check_add(&text, "depwalk-check " CHECK_VERSION);
            print(&text);
            return 0;
        }
    }
    return check_all();
}

void mainCRTStartup(void);

/* Not ExitProcess: no code of a DLL that was loaded runs any more. */
void mainCRTStartup(void)
{
    (void)TerminateProcess(GetCurrentProcess(), run());
    for (;;) {
    }
}
