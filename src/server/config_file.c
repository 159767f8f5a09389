/* Configuration files, command-line flags, and writing the file again.
 *
 * A line is a name and its words, quoted as in inline commands; '#' begins a comment. `save` and `client-output-buffer-limit` may stand on several lines
 * that add up; any other name that is repeated means its last line. Flags are turned into the lines of a file, so that there is one reader. */
#include "base/logline.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/os.h"
#include "server/config.h"
#include "server/config_check.h"
#include "server/resp.h"
#include <glob.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define WORDS_MAX 128
#define FILE_MAX_BYTES (16u << 20)
#define INCLUDES_DEEP_MAX 16

static void join_words(struct buf *out, const slice *words, int n)
{
    for (int i = 0; i < n; i++) {
        if (i) buf_add_byte(out, ' ');
        buf_add_slice(out, words[i]);
    }
}

/* Parameters whose value is several words of a line. */
static bool takes_words(enum config_id id)
{
    static const enum config_id many[] = {CFG_BIND, CFG_SAVE, CFG_CLIENT_OUTPUT_BUFFER_LIMIT, CFG_OOM_SCORE_ADJ_VALUES, CFG_LATENCY_TRACKING_INFO_PERCENTILES,
                                          CFG_SHUTDOWN_ON_SIGINT, CFG_SHUTDOWN_ON_SIGTERM, CFG_REPLICAOF};
    for (size_t i = 0; i < sizeof many / sizeof *many; i++)
        if (many[i] == id) return true;
    return false;
}

/* The value of a line. Several `save` lines add up to one value. */
static const char *take_line(struct config *c, enum config_id id, const slice *words, int n, char error[CONFIG_ERROR_MAX])
{
    struct buf value = {0};
    bool none = n == 2 && words[1].n == 0;
    if (id == CFG_SAVE && c->from_file[id] && !none) {
        config_show(c, id, &value);
        if (value.n) buf_add_byte(&value, ' ');
    }
    join_words(&value, words + 1, n - 1);
    bool may_be_none = id == CFG_SHUTDOWN_ON_SIGINT || id == CFG_SHUTDOWN_ON_SIGTERM; /* their check says which words there are */
    const char *why = (n < 2 && !may_be_none) || (n > 2 && !takes_words(id)) ? "wrong number of arguments" : config_preset(c, id, buf_slice(&value), error);
    c->from_file[id] = true;
    buf_fini(&value);
    return why;
}

/* Reads the files that a pattern names, in order of their names. A pattern may name none; a plain path must be there. */
static bool include(struct config *c, slice pattern, struct buf *error)
{
    char *path = mem_dup(pattern.p, pattern.n);
    glob_t found = {0};
    bool ok = true;
    if (c->includes_deep == INCLUDES_DEEP_MAX) {
        buf_printf(error, "more than %d files include one another", INCLUDES_DEEP_MAX);
        ok = false;
    } else {
        c->includes_deep++;
        if (!strpbrk(path, "*?["))
            ok = config_read_file(c, path, error);
        else if (glob(path, 0, NULL, &found) == 0)
            for (size_t i = 0; i < found.gl_pathc && ok; i++) ok = config_read_file(c, found.gl_pathv[i], error);
        c->includes_deep--;
    }
    globfree(&found);
    mem_free(path);
    return ok;
}

/* Names that old files still have and that have meant nothing for long. */
static bool forgotten(slice name)
{
    return slice_is(name, "list-max-ziplist-entries") || slice_is(name, "list-max-ziplist-value");
}

static bool take(struct config *c, slice line, struct buf *error)
{
    char detail[CONFIG_ERROR_MAX] = "";
    struct buf text = {0};
    slice words[WORDS_MAX];
    const char *why = NULL;
    int n = resp_split_words(line, &text, words, WORDS_MAX);
    if (n < 0)
        why = n == -1 ? "Unbalanced quotes in configuration line" : "too many words in one line";
    else if (n > 0) {
        int id = config_find(words[0]);
        if (id < 0 && slice_is(words[0], "include") && n == 2) {
            bool ok = include(c, words[1], error);
            buf_fini(&text);
            return ok;
        }
        if (id < 0 && slice_is(words[0], "loadmodule") && n == 2) {
            buf_add_slice(&c->modules, words[1]);
            buf_add_byte(&c->modules, 0);
            buf_fini(&text);
            return true;
        }
        if (id < 0 && slice_is(words[0], "rename-command") && n == 3) {
            for (int i = 1; i < 3; i++) {
                buf_add_slice(&c->renames, words[i]);
                buf_add_byte(&c->renames, 0);
            }
            buf_fini(&text);
            return true;
        }
        if (id < 0 && n == 2 && forgotten(words[0])) {
            buf_fini(&text);
            return true;
        }
        why = id < 0 ? "Bad directive or wrong number of arguments" : take_line(c, (enum config_id)id, words, n, detail);
    }
    if (why) buf_add_str(error, why);
    buf_fini(&text);
    return !why;
}

bool config_read(struct config *c, slice text, const char *where, struct buf *error)
{
    size_t line_no = 0;
    for (size_t i = 0; i < text.n;) {
        const uint8_t *lf = memchr(text.p + i, '\n', text.n - i);
        size_t end = lf ? (size_t)(lf - text.p) : text.n;
        slice line = slice_of(text.p + i, end - i);
        i = end + 1;
        line_no++;
        while (line.n && (*line.p == ' ' || *line.p == '\t')) line.p++, line.n--;
        while (line.n && (line.p[line.n - 1] == '\r' || line.p[line.n - 1] == ' ')) line.n--;
        if (line.n == 0 || *line.p == '#') continue;
        struct buf why = {0};
        if (take(c, line, &why)) {
            buf_fini(&why);
            continue;
        }
        buf_printf(error, "%s, line %zu: '%.*s': ", where, line_no, (int)line.n, (const char *)line.p);
        buf_add_slice(error, buf_slice(&why));
        buf_fini(&why);
        return false;
    }
    return true;
}

static bool read_stdin(struct buf *out)
{
    char block[4096];
    size_t n;
    while ((n = fread(block, 1, sizeof block, stdin)) > 0 && out->n < FILE_MAX_BYTES) buf_add(out, block, n);
    return !ferror(stdin);
}

bool config_read_file(struct config *c, const char *path, struct buf *error)
{
    struct buf text = {0};
    bool standard = strcmp(path, "-") == 0;
    bool ok = standard ? read_stdin(&text) : os_read_file(os_posix(), path, FILE_MAX_BYTES, &text) == E_OK;
    if (!ok)
        buf_printf(error, "cannot read the configuration file '%s'", path);
    else
        ok = config_read(c, buf_slice(&text), standard ? "standard input" : path, error);
    buf_fini(&text);
    return ok;
}

static void add_quoted(struct buf *out, slice s)
{
    buf_add_byte(out, '"');
    for (size_t i = 0; i < s.n; i++) {
        uint8_t b = s.p[i];
        if (b == '"' || b == '\\')
            buf_printf(out, "\\%c", b);
        else if (b < ' ' || b >= 127)
            buf_printf(out, "\\x%02x", b);
        else
            buf_add_byte(out, b);
    }
    buf_add_byte(out, '"');
}

/* A word as it can stand in a line. */
static void add_word(struct buf *out, slice s)
{
    bool plain = s.n > 0;
    for (size_t i = 0; i < s.n; i++) plain = plain && s.p[i] > ' ' && s.p[i] < 127 && !strchr("\"'\\#", s.p[i]);
    if (plain)
        buf_add_slice(out, s);
    else
        add_quoted(out, s);
}

static bool is_name(const char *arg) { return strncmp(arg, "--", 2) == 0; }

void config_flags_to_text(int argc, const char *const *argv, struct buf *text)
{
    for (int i = 0; i < argc;) {
        /* Words before the first name are a line, too: Redis takes them as they stand in a file. */
        bool flag = is_name(argv[i]), named = flag && strpbrk(argv[i], " \t") == NULL, save = strcasecmp(argv[i], "--save") == 0;
        if (flag) buf_add_str(text, argv[i++] + 2);
        if (save && (i == argc || is_name(argv[i]))) buf_add_str(text, " \"\""); /* --save alone: never */
        /* The first word behind a name is its value, whatever it looks like: passwords begin with -- too. */
        for (bool first = named && !save; i < argc && (first || !is_name(argv[i])); i++, first = false) {
            buf_add_byte(text, ' ');
            add_quoted(text, slice_str(argv[i]));
        }
        buf_add_byte(text, '\n');
    }
}

/* ---- writing ---- */

/* The line of a parameter. Values of several words are written as words, others as one quoted word. */
static void add_line(struct config *c, enum config_id id, struct buf *out)
{
    struct buf value = {0};
    config_show(c, id, &value);
    slice words[WORDS_MAX];
    size_t n = config_words(buf_slice(&value), words, WORDS_MAX);
    if (id == CFG_CLIENT_OUTPUT_BUFFER_LIMIT && n == 12) {
        for (int k = 0; k < 12; k += 4) {
            buf_printf(out, "%s ", config_name(id));
            join_words(out, words + k, 4);
            buf_add_byte(out, '\n');
        }
        buf_fini(&value);
        return;
    }
    buf_printf(out, "%s ", config_name(id));
    if (takes_words(id) && n)
        join_words(out, words, (int)n);
    else
        add_word(out, buf_slice(&value));
    buf_add_byte(out, '\n');
    buf_fini(&value);
}

static bool differs(struct config *c, const struct config *fresh, enum config_id id)
{
    /* One that only a start can set and nobody did has what the server chose for this machine. */
    if ((config_flags(id) & CONFIG_FIXED) && !c->from_file[id]) return false;
    if (c->text[id].p) return !slice_eq(c->text[id], fresh->text[id]);
    return config_num(c, id) != atomic_load_explicit(&fresh->number[id], memory_order_relaxed);
}

/* Copies the old text line by line; the first line of a known name becomes its present value, later ones of that name go. */
static void copy_lines(struct config *c, slice old, bool written[CFG_COUNT], struct buf *out)
{
    for (size_t i = 0; i < old.n;) {
        const uint8_t *lf = memchr(old.p + i, '\n', old.n - i);
        size_t end = lf ? (size_t)(lf - old.p) : old.n;
        slice line = slice_of(old.p + i, end - i), word;
        i = end + 1;
        int id = config_words(line, &word, 1) == 1 && word.p[0] != '#' ? config_find(word) : -1;
        if (id < 0) {
            buf_add_slice(out, line);
            buf_add_byte(out, '\n');
        } else if (!written[id]) {
            add_line(c, (enum config_id)id, out);
            written[id] = true;
        }
    }
}

const char *config_rewrite(struct config *c, bool all)
{
    static const char mark[] = "# Generated by CONFIG REWRITE\n";
    bool written[CFG_COUNT] = {false};
    struct buf old = {0}, out = {0};
    struct config fresh;
    if (!c->file) return "The server is running without a config file";
    if (os_read_file(os_posix(), c->file, FILE_MAX_BYTES, &old) < 0) buf_clear(&old);
    copy_lines(c, buf_slice(&old), written, &out);
    config_init(&fresh);
    bool marked = memmem(old.p ? old.p : (const uint8_t *)"", old.n, mark, sizeof mark - 1) != NULL;
    for (int i = 0; i < CFG_COUNT; i++) {
        if (written[i] || (!all && !differs(c, &fresh, (enum config_id)i))) continue;
        if (!marked) buf_add_str(&out, mark);
        marked = true;
        add_line(c, (enum config_id)i, &out);
    }
    config_fini(&fresh);
    struct stat was;
    bool known = stat(c->file, &was) == 0;
    char *dir = mem_strdup(c->file), *slash = strrchr(dir, '/');
    ASSERT(slash);
    *slash = 0;
    int rc = os_replace_file(os_posix(), *dir ? dir : "/", slash + 1, buf_slice(&out));
    /* Who could read the file still can. */
    if (rc >= 0 && known && (chown(c->file, was.st_uid, was.st_gid) != 0 || chmod(c->file, was.st_mode & 0777) != 0))
        log_line(LOG_WARNING, "The new configuration file has not the owner and the permissions of the old one: %s", strerror(errno));
    mem_free(dir);
    buf_fini(&old);
    buf_fini(&out);
    return rc < 0 ? "Rewriting config file: the file could not be written; it is unchanged" : NULL;
}
