#include "base/names.h"
#include "base/mem.h"

char *names_clean(const char *path)
{
    size_t n = strlen(path), out = 0;
    char *clean = mem_alloc(n + 2);
    if (path[0] == '/') clean[out++] = '/';
    for (size_t i = 0; i < n;) {
        size_t end = i;
        while (end < n && path[end] != '/') end++;
        bool skip = end == i || (end == i + 1 && path[i] == '.');
        if (!skip) {
            if (out > 0 && clean[out - 1] != '/') clean[out++] = '/';
            memcpy(clean + out, path + i, end - i);
            out += end - i;
        }
        i = end + 1;
    }
    if (out == 0) clean[out++] = '.';
    clean[out] = 0;
    return clean;
}

char *names_parent(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL) return mem_strdup(".");
    return slash == path ? mem_strdup("/") : mem_dup(path, (size_t)(slash - path));
}

void names_fini(struct names *t)
{
    for (size_t i = 0; i < t->n; i++) mem_free(t->v[i].path);
    mem_free(t->v);
    *t = (struct names){0};
}

/* Index of the first entry not before `path`. */
static size_t place(const struct names *t, const char *path)
{
    size_t lo = 0, hi = t->n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (strcmp(t->v[mid].path, path) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

bool names_find(const struct names *t, const char *path, void **file)
{
    size_t i = place(t, path);
    if (i == t->n || strcmp(t->v[i].path, path) != 0) return false;
    if (file) *file = t->v[i].file;
    return true;
}

bool names_is_dir(const struct names *t, const char *path)
{
    void *file = NULL;
    if (strcmp(path, "/") == 0 || strcmp(path, ".") == 0) return true;
    return names_find(t, path, &file) && file == NULL;
}

/* The part of `path` below directory `dir`, or NULL. */
static const char *below(const char *path, const char *dir)
{
    size_t n = strlen(dir);
    if (strcmp(dir, ".") == 0) return path[0] == '/' ? NULL : path;
    if (strcmp(dir, "/") == 0) return path[0] == '/' && path[1] ? path + 1 : NULL;
    return strncmp(path, dir, n) == 0 && path[n] == '/' ? path + n + 1 : NULL;
}

bool names_has_children(const struct names *t, const char *path)
{
    for (size_t i = 0; i < t->n; i++)
        if (below(t->v[i].path, path)) return true;
    return false;
}

void names_put(struct names *t, const char *path, void *file)
{
    size_t i = place(t, path);
    if (i < t->n && strcmp(t->v[i].path, path) == 0) {
        t->v[i].file = file;
        return;
    }
    if (t->n == t->cap) {
        t->cap = t->cap ? t->cap * 2 : 16;
        t->v = mem_realloc(t->v, t->cap * sizeof *t->v);
    }
    memmove(t->v + i + 1, t->v + i, (t->n - i) * sizeof *t->v);
    t->v[i] = (struct name){mem_strdup(path), file};
    t->n++;
}

static void drop_at(struct names *t, size_t i)
{
    mem_free(t->v[i].path);
    memmove(t->v + i, t->v + i + 1, (t->n - i - 1) * sizeof *t->v);
    t->n--;
}

bool names_drop(struct names *t, const char *path)
{
    size_t i = place(t, path);
    if (i == t->n || strcmp(t->v[i].path, path) != 0) return false;
    drop_at(t, i);
    return true;
}

bool names_has_parent(const struct names *t, const char *path)
{
    char *parent = names_parent(path);
    bool yes = names_is_dir(t, parent);
    mem_free(parent);
    return yes;
}

int names_check_move(const struct names *t, const char *from, const char *to, void **replaced)
{
    void *file = NULL;
    *replaced = NULL;
    if (!names_find(t, from, NULL) || !names_has_parent(t, to)) return E_NOTFOUND;
    if (strcmp(from, to) == 0) return E_OK;
    if (below(to, from)) return E_INVALID;
    if (names_find(t, to, &file) && file == NULL && names_has_children(t, to)) return E_EXISTS;
    *replaced = file;
    return E_OK;
}

void names_move(struct names *t, const char *from, const char *to)
{
    void *file = NULL;
    if (strcmp(from, to) == 0 || !names_find(t, from, &file)) return;
    ASSERT(below(to, from) == NULL); /* else the loop below would never end */
    names_drop(t, from);
    names_put(t, to, file);
    if (file != NULL) return;
    for (size_t i = 0; i < t->n;) {
        const char *rest = below(t->v[i].path, from);
        if (rest == NULL) {
            i++;
            continue;
        }
        struct buf path = {0};
        void *child = t->v[i].file;
        buf_printf(&path, "%s/%s%c", to, rest, 0);
        drop_at(t, i);
        names_put(t, (char *)path.p, child);
        buf_fini(&path);
        i = 0; /* the table has been sorted anew */
    }
}

void names_copy(struct names *to, const struct names *from)
{
    names_fini(to);
    for (size_t i = 0; i < from->n; i++) names_put(to, from->v[i].path, from->v[i].file);
}

void names_drop_orphans(struct names *t)
{
    /* A directory sorts before everything in it, so one pass sees parents first. */
    for (size_t i = 0; i < t->n;) {
        if (names_has_parent(t, t->v[i].path))
            i++;
        else
            drop_at(t, i);
    }
}

void names_children(const struct names *t, const char *path, struct buf *out)
{
    for (size_t i = 0; i < t->n; i++) {
        const char *rest = below(t->v[i].path, path);
        if (rest && strchr(rest, '/') == NULL) buf_add(out, rest, strlen(rest) + 1);
    }
}
