/* Reads stanzas of `Field: value` lines, as apt and dpkg keep them. Compressed lists are unpacked by apt's own helper. */
#include "demo/catalogue.h"
#include "base/mem.h"
#include "base/num.h"
#include "demo/version.h"
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#define LISTS_DIR   "/var/lib/apt/lists"
#define STATUS_FILE "/var/lib/dpkg/status"
#define LISTS_MAX   64

struct set {
    struct package *at;
    size_t n, cap;
};

static void set_add(struct set *s, const struct package *p)
{
    if (s->n == s->cap) {
        s->cap = s->cap ? s->cap * 2 : 1024;
        s->at = mem_realloc(s->at, s->cap * sizeof *s->at);
    }
    s->at[s->n++] = *p;
}

static const char *field_value(const char *line, const char *field)
{
    size_t n = strlen(field);
    if (strncmp(line, field, n) != 0 || line[n] != ':') return NULL;
    line += n + 1;
    while (*line == ' ') line++;
    return line;
}

static void take_field(struct package *p, const char *line)
{
    const struct {
        const char *field;
        const char **into;
    } fields[] = {{"Package", &p->name},           {"Version", &p->version}, {"Section", &p->section},
                  {"Maintainer", &p->maintainer},  {"Depends", &p->depends}, {"Recommends", &p->recommends},
                  {"Description", &p->description}};
    const char *v;
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if ((v = field_value(line, fields[i].field)) != NULL) *fields[i].into = mem_strdup(v);
    if ((v = field_value(line, "Installed-Size")) != NULL) (void)num_parse_u64(slice_str(v), &p->size_kb);
}

/* Reads one list. The strings stay for the life of the program: a demo's catalogue is read once. */
static void read_stanzas(FILE *f, struct set *out)
{
    char *line = NULL;
    size_t cap = 0;
    struct package p = {0};
    for (;;) {
        ssize_t n = getline(&line, &cap, f);
        bool ends = n <= 0 || line[0] == '\n';
        if (!ends) {
            if (line[n - 1] == '\n') line[n - 1] = 0;
            take_field(&p, line);
            continue;
        }
        if (p.name && p.version) set_add(out, &p);
        memset(&p, 0, sizeof p);
        if (n <= 0) break;
    }
    free(line);
}

static void read_list(const char *path, struct set *out)
{
    char command[1024];
    size_t n = strlen(path);
    bool plain = n > 9 && strcmp(path + n - 9, "_Packages") == 0;
    if (plain) {
        FILE *f = fopen(path, "r");
        if (f) read_stanzas(f, out), fclose(f);
        return;
    }
    if (snprintf(command, sizeof command, "/usr/lib/apt/apt-helper cat-file '%s' 2>/dev/null", path) >= (int)sizeof command)
        return;
    FILE *f = popen(command, "r");
    if (f) read_stanzas(f, out), (void)pclose(f);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct package *)a)->name, ((const struct package *)b)->name);
}

static int by_name_newest(const void *a, const void *b)
{
    int order = by_name(a, b);
    return order ? order : version_compare(((const struct package *)b)->version, ((const struct package *)a)->version);
}

/* Sorts and keeps one package a name: the newest. */
static void settle(struct set *s)
{
    size_t kept = 0;
    if (s->n == 0) return;
    qsort(s->at, s->n, sizeof *s->at, by_name_newest);
    for (size_t i = 0; i < s->n; i++)
        if (kept == 0 || strcmp(s->at[kept - 1].name, s->at[i].name) != 0) s->at[kept++] = s->at[i];
    s->n = kept;
}

static bool is_packages_list(const char *name)
{
    return strstr(name, "_Packages") != NULL && strchr(name, '\'') == NULL;
}
static bool is_newer_list(const char *name)
{
    return strstr(name, "security") || strstr(name, "-updates") || strstr(name, "-backports");
}

static void read_lists(struct set *base, struct set *newer)
{
    DIR *d = opendir(LISTS_DIR);
    char path[512];
    size_t taken = 0;
    if (d == NULL) return;
    for (struct dirent *e; taken < LISTS_MAX && (e = readdir(d));) {
        if (!is_packages_list(e->d_name) || snprintf(path, sizeof path, LISTS_DIR "/%s", e->d_name) >= (int)sizeof path) continue;
        read_list(path, is_newer_list(e->d_name) ? newer : base);
        taken++;
    }
    closedir(d);
}

static const struct package *find(const struct package *at, size_t n, const char *name)
{
    struct package key = {.name = name};
    return n ? bsearch(&key, at, n, sizeof *at, by_name) : NULL;
}

/* What the second pass writes: newer versions, and what is installed here. */
static void find_changes(struct catalogue *c, struct set *newer, const struct set *status)
{
    struct set changed = {0};
    for (size_t i = 0; i < c->n_base; i++) {
        struct package p = c->base[i];
        const struct package *up = find(newer->at, newer->n, p.name), *here = find(status->at, status->n, p.name);
        bool moved = up && version_compare(up->version, p.version) > 0;
        if (moved) p.version = up->version, p.size_kb = up->size_kb;
        if (here) p.installed = here->version;
        if (moved || here) set_add(&changed, &p);
    }
    c->changed = changed.at;
    c->n_changed = changed.n;
}

int catalogue_read(struct catalogue *out)
{
    struct set base = {0}, newer = {0}, status = {0};
    read_lists(&base, &newer);
    FILE *f = fopen(STATUS_FILE, "r");
    if (f) read_stanzas(f, &status), fclose(f);
    settle(&status);
    bool lists = base.n > 0;
    if (!lists) {
        base = (struct set){mem_dup(status.at, status.n * sizeof *status.at), status.n, status.n};
    }
    settle(&base);
    settle(&newer);
    *out = (struct catalogue){.base = base.at, .n_base = base.n};
    (void)snprintf(out->source, sizeof out->source, "%s",
                   lists ? "the apt package lists in " LISTS_DIR : "the dpkg status file " STATUS_FILE);
    find_changes(out, &newer, &status);
    mem_free(newer.at);
    mem_free(status.at);
    return out->n_base ? E_OK : E_NOTFOUND;
}

void catalogue_fini(struct catalogue *c)
{
    mem_free(c->base);
    mem_free(c->changed);
    memset(c, 0, sizeof *c);
}

const struct package *catalogue_find(const struct catalogue *c, const char *name, size_t n)
{
    char text[256];
    if (n >= sizeof text) return NULL;
    memcpy(text, name, n);
    text[n] = 0;
    return find(c->base, c->n_base, text);
}

/* Does the name stand in the relations before `end`? A package may be named twice, with a lowest and a highest version. */
static bool named_before(const char *text, const char *end, const char *name, size_t n)
{
    while (text < end) {
        text += strspn(text, " ,");
        if (text < end && strcspn(text, " ,:|(") == n && strncmp(text, name, n) == 0) return true;
        text += strcspn(text, ",");
    }
    return false;
}

void catalogue_relations(const char *text, void (*fn)(void *ctx, const char *name, size_t n), void *ctx)
{
    for (const char *at = text; at && *at;) {
        at += strspn(at, " ,");
        size_t n = strcspn(at, " ,:|(");
        if (n && !named_before(text, at, at, n)) fn(ctx, at, n);
        at += strcspn(at, ",");
    }
}
