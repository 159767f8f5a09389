/* Look-up by hash: the name is folded to lower case eight bytes at a time, its first and last eight bytes (which overlap in names under 16) and its length
 * are the identity of every name up to 16 bytes; longer ones are compared in full. Open addressing, at most a quarter full. */
#include "server/command_table.h"
#include "base/mem.h"
#include <stdio.h>

#define BUCKETS 2048 /* power of two, four times what is expected */

struct command_table {
    struct command_entry *buckets[BUCKETS];
    struct command_entry *list[COMMANDS_MAX];  /* in order of the families */
    size_t n;
    struct command_entry *by_id[COMMANDS_MAX];
    size_t n_ids;
    struct command_entry *entries;             /* one array, sub-commands behind their container */
};

/* ---- names ---- */

static uint64_t fold(uint64_t w)
{
    /* 0x20 is added to those of the eight bytes that lie in 'A'..'Z'; bytes over 127 stay. */
    uint64_t low = w & 0x7f7f7f7f7f7f7f7full;
    uint64_t from_a = low + 0x3f3f3f3f3f3f3f3full, over_z = low + 0x2525252525252525ull;
    uint64_t upper = (from_a & ~over_z & ~w) & 0x8080808080808080ull;
    return w | (upper >> 2);
}

static inline void name_words(slice s, uint64_t *w0, uint64_t *w1)
{
    *w0 = *w1 = 0;
    if (s.n >= 8) {
        memcpy(w0, s.p, 8);
        memcpy(w1, s.p + s.n - 8, 8);
    } else if (s.n >= 4) {
        uint32_t a, b;
        memcpy(&a, s.p, 4);
        memcpy(&b, s.p + s.n - 4, 4);
        *w0 = a | (uint64_t)b << 32;
    } else if (s.n > 0) {
        *w0 = s.p[0] | (uint64_t)s.p[s.n >> 1] << 8 | (uint64_t)s.p[s.n - 1] << 16;
    }
    *w0 = fold(*w0);
    if (s.n >= 8) *w1 = fold(*w1);
}

static size_t bucket_of(uint64_t w0, uint64_t w1, size_t n)
{
    uint64_t h = (w0 ^ (w1 * 0x9e3779b97f4a7c15ull) ^ n) * 0xff51afd7ed558ccdull;
    return (size_t)(h >> 48) & (BUCKETS - 1);
}

static bool same_name(const struct command_entry *e, slice name, uint64_t w0, uint64_t w1)
{
    if (e->word0 != w0 || e->word1 != w1 || e->called_bytes != name.n) return false;
    return name.n <= 16 || slice_is(name, e->called);
}

const struct command_entry *command_find(const struct command_table *t, slice name)
{
    uint64_t w0, w1;
    name_words(name, &w0, &w1);
    for (size_t i = bucket_of(w0, w1, name.n);; i = (i + 1) & (BUCKETS - 1)) {
        const struct command_entry *e = t->buckets[i];
        if (!e || same_name(e, name, w0, w1)) return e;
    }
}

const struct command_entry *command_find_sub(const struct command_entry *container, slice name)
{
    for (size_t i = 0; i < container->n_subs; i++)
        if (slice_is(name, container->subs[i].row->name)) return &container->subs[i];
    return NULL;
}

const struct command_entry *command_find_full(const struct command_table *t, slice name)
{
    const uint8_t *bar = name.n ? memchr(name.p, '|', name.n) : NULL;
    if (!bar) return command_find(t, name);
    size_t head = (size_t)(bar - name.p);
    const struct command_entry *e = command_find(t, slice_of(name.p, head));
    return e ? command_find_sub(e, slice_of(bar + 1, name.n - head - 1)) : NULL;
}

size_t command_count(const struct command_table *t) { return t->n; }
const struct command_entry *command_at(const struct command_table *t, size_t i) { return t->list[i]; }
const struct command_entry *command_by_id(const struct command_table *t, size_t id) { return id < COMMANDS_MAX ? t->by_id[id] : NULL; }

/* ---- categories ---- */

static const char *const category_names[COMMAND_CATEGORIES] = {
    "keyspace", "read", "write", "set", "sortedset", "list", "hash", "string", "bitmap", "hyperloglog", "geo", "stream",
    "pubsub", "admin", "fast", "slow", "blocking", "dangerous", "connection", "transaction", "scripting", "document", "history",
};

const char *command_category_name(unsigned bit) { return category_names[bit]; }

int command_category_find(slice name)
{
    for (int i = 0; i < COMMAND_CATEGORIES; i++)
        if (slice_is(name, category_names[i])) return i;
    return -1;
}

static uint64_t bit_of(const char *name)
{
    int i = command_category_find(slice_str(name));
    ASSERT(i >= 0);
    return 1ull << i;
}

static uint64_t categories_of(const struct command *row)
{
    uint64_t bits = 0;
    const char *p = row->categories ? row->categories : "";
    while (*p) {
        size_t n = strcspn(p, " ");
        int i = command_category_find(slice_of(p, n));
        if (i >= 0) bits |= 1ull << i;
        p += n;
        p += strspn(p, " ");
    }
    if (row->flags & CMD_WRITE) bits |= bit_of("write");
    if ((row->flags & CMD_READONLY) && !(bits & bit_of("scripting"))) bits |= bit_of("read");
    if (row->flags & CMD_ADMIN) bits |= bit_of("admin") | bit_of("dangerous");
    if (row->flags & CMD_PUBSUB) bits |= bit_of("pubsub");
    if (row->flags & CMD_BLOCKING) bits |= bit_of("blocking");
    return bits | bit_of(row->flags & CMD_FAST ? "fast" : "slow");
}

/* ---- building ---- */

static void call_it(struct command_entry *e, const char *name)
{
    e->called = name;
    e->called_bytes = (uint16_t)strlen(name);
    name_words(slice_str(name), &e->word0, &e->word1);
}

static void fill_entry(struct command_table *t, struct command_entry *e, const struct command *row, const struct family *f, const struct command_entry *parent)
{
    e->table = t;
    e->row = row;
    e->family = f;
    e->parent = parent;
    snprintf(e->name, sizeof e->name, "%s%s%s", parent ? parent->row->name : "", parent ? "|" : "", row->name);
    e->flags = row->flags;
    e->categories = categories_of(row);
    const struct key_spec *k = &row->keys[0];
    e->has_keys = key_spec_used(k) || row->find_keys;
    bool plain = !k->keyword && k->last == 0 && k->keynum == 0 && k->begin > 0 && !row->find_keys && !(row->flags & CMD_WRAPS);
    if (key_spec_used(k) && plain && !key_spec_used(&row->keys[1]))
        e->first_key = (uint16_t)k->begin;
    e->name_bytes = (uint16_t)strlen(row->name);
    call_it(e, row->name);
}

static size_t rows_in(const struct command *c, bool deep)
{
    size_t n = 0;
    for (; c && c->name; c++) n += 1 + (deep ? rows_in(c->sub, false) : 0);
    return n;
}

static void number(struct command_table *t, const struct command_table *before, struct command_entry *e)
{
    const struct command_entry *old = NULL;
    for (size_t i = 0; before && i < before->n_ids && !old; i++)
        if (before->by_id[i] && strcmp(before->by_id[i]->name, e->name) == 0) old = before->by_id[i];
    e->id = (uint16_t)(old ? old->id : t->n_ids++);
    t->by_id[e->id] = e;
}

static void put_in_bucket(struct command_table *t, struct command_entry *e)
{
    size_t i = bucket_of(e->word0, e->word1, e->called_bytes);
    while (t->buckets[i]) i = (i + 1) & (BUCKETS - 1);
    t->buckets[i] = e;
}

static bool insert(struct command_table *t, struct command_entry *e)
{
    if (command_find(t, slice_str(e->row->name))) return false;
    put_in_bucket(t, e);
    t->list[t->n++] = e;
    return true;
}

/* Adds the rows of one of a family's tables at `next`; returns the place behind them, NULL for a clash. */
static struct command_entry *add_rows(struct command_table *t, const struct family *f, const struct command *row, const struct command_table *before,
                                      struct command_entry *next, const char **clash)
{
    for (; row->name; row++) {
        struct command_entry *e = next++;
        fill_entry(t, e, row, f, NULL);
        number(t, before, e);
        e->subs = next;
        for (const struct command *s = row->sub; s && s->name; s++) {
            fill_entry(t, next, s, f, e);
            number(t, before, next++);
            e->n_subs++;
        }
        *clash = row->name;
        if (!insert(t, e)) return NULL;
    }
    return next;
}

struct command_table *command_table_new(const struct family *const *families, size_t n, const struct command_table *before, const char **clash)
{
    size_t total = 0;
    *clash = "";
    for (size_t i = 0; i < n; i++)
        for (const struct command *const *rows = families[i]->tables; *rows; rows++) total += rows_in(*rows, true);
    if (total + (before ? before->n_ids : 0) > COMMANDS_MAX) return NULL;
    struct command_table *t = mem_zalloc(sizeof *t);
    t->entries = mem_zalloc((total + 1) * sizeof *t->entries);
    t->n_ids = before ? before->n_ids : 0;
    struct command_entry *next = t->entries;
    for (size_t i = 0; i < n && next; i++)
        for (const struct command *const *rows = families[i]->tables; *rows && next; rows++) next = add_rows(t, families[i], *rows, before, next, clash);
    if (!next) command_table_free(&t);
    return t;
}

void command_table_free(struct command_table **t)
{
    if (!*t) return;
    mem_free((*t)->entries);
    mem_free(*t);
    *t = NULL;
}

const char *command_table_rename(struct command_table *t, const char *from, const char *to)
{
    const struct command_entry *e = command_find(t, slice_str(from));
    if (!e) return "No such command in rename-command";
    if (strlen(to) >= COMMAND_NAME_MAX) return "Target command name is too long";
    if (*to && command_find(t, slice_str(to))) return "Target command name already exists";
    size_t n = 0;
    for (size_t i = 0; i < t->n; i++) {
        struct command_entry *kept = t->list[i];
        if (kept == e && !*to) continue;
        if (kept == e) call_it(kept, to);
        t->list[n++] = kept;
    }
    t->n = n;
    memset(t->buckets, 0, sizeof t->buckets);
    for (size_t i = 0; i < n; i++) put_in_bucket(t, t->list[i]);
    return NULL;
}

const char *command_table_rename_all(struct command_table *t, slice pairs, bool may_lack, const char **which)
{
    const char *p = (const char *)pairs.p, *end = p + pairs.n;
    while (p < end) {
        const char *to = p + strlen(p) + 1;
        const char *why = may_lack && !command_find(t, slice_str(p)) ? NULL : command_table_rename(t, p, to);
        *which = p;
        if (why) return why;
        p = to + strlen(to) + 1;
    }
    return NULL;
}

/* ---- keys ---- */

struct key_list {
    int *out;
    const char **flags;
    int n, max;
};

static void add_key(struct key_list *l, int position, const char *flags)
{
    if (l->n < l->max) {
        l->out[l->n] = position;
        if (l->flags) l->flags[l->n] = flags;
    }
    l->n++;
}

/* Where a spec begins: 0 = its keyword is not there. */
static int spec_begin(const struct key_spec *k, const slice *argv, int argc)
{
    if (!k->keyword) return k->begin;
    int from = k->begin < 0 ? argc + k->begin : k->begin, step = k->begin < 0 ? -1 : 1;
    for (int i = from; i >= 1 && i < argc - 1; i += step)
        if (slice_is(argv[i], k->keyword)) return i + 1;
    return 0;
}

static bool spec_range(const struct key_spec *k, int begin, int argc, int *last)
{
    *last = k->last >= 0 ? begin + k->last : argc + k->last;
    /* -1 with a limit: only that part of the arguments behind `begin`. */
    if (k->last == -1 && k->limit > 1) *last = begin + (argc - begin) / k->limit - 1;
    return *last < argc && begin < argc && begin <= *last;
}

static bool spec_keys(const struct key_spec *k, const slice *argv, int argc, struct key_list *l)
{
    int begin = spec_begin(k, argv, argc), last, step = k->step ? k->step : 1;
    if (begin == 0) return true;
    if (k->keynum > 0 || k->keynum_first > 0) {
        int at = begin + (k->keynum ? k->keynum - 1 : 0), first = begin + k->keynum_first;
        int64_t n;
        if (at >= argc || !num_parse_i64(argv[at], &n) || n < 0 || n > argc) return false;
        step = k->keynum_step ? k->keynum_step : 1;
        if (n > 0 && first + (n - 1) * step >= argc) return false;
        for (int64_t i = 0; i < n; i++) add_key(l, first + (int)i * step, k->flags);
        return true;
    }
    if (!spec_range(k, begin, argc, &last)) return false;
    for (int i = begin; i <= last; i += step) add_key(l, i, k->flags);
    return true;
}

/* Of a command by itself. */
static int own_keys(const struct command_entry *e, const slice *argv, int argc, struct key_list *l)
{
    const struct command *row = e->row;
    if (row->find_keys) {
        l->n = row->find_keys(argv, argc, l->out, l->max);
    } else {
        for (int s = 0; s < KEY_SPECS_MAX && key_spec_used(&row->keys[s]); s++)
            if (!spec_keys(&row->keys[s], argv, argc, l)) return -1;
    }
    if (!row->use_keys && !row->find_keys) return l->n;
    const char *use = row->use_keys ? row->use_keys(argv, argc) : key_spec_used(&row->keys[0]) ? row->keys[0].flags : "RW ACCESS UPDATE";
    for (int i = 0; l->flags && i < l->n && i < l->max; i++) l->flags[i] = use;
    return l->n;
}

int command_keys(const struct command_entry *e, const slice *argv, int argc, int *out, const char **flags, int max)
{
    struct key_list l = {.out = out, .flags = flags, .max = max};
    if (!(e->flags & CMD_WRAPS)) return own_keys(e, argv, argc, &l);
    int from = e->row->keys[0].begin;
    if (from >= argc) return -1;
    const struct command_entry *inner = command_find(e->table, argv[from]);
    if (inner && inner->n_subs && from + 1 < argc) inner = command_find_sub(inner, argv[from + 1]);
    /* One that wraps, too, would be refused when it runs. */
    if (!inner || (inner->flags & CMD_WRAPS) || !command_arity_fits(inner, argc - from)) return -1;
    int n = own_keys(inner, argv + from, argc - from, &l);
    for (int i = 0; i < n && i < max; i++) out[i] += from;
    return n;
}

void command_key_range(const struct command_entry *e, int *first, int *last, int *step)
{
    *first = *last = *step = 0;
    if (e->flags & CMD_WRAPS) return;
    for (int s = 0; s < KEY_SPECS_MAX && key_spec_used(&e->row->keys[s]); s++) {
        const struct key_spec *k = &e->row->keys[s];
        if (k->keyword || k->keynum > 0 || k->keynum_first > 0) continue;
        int end = k->last >= 0 ? k->begin + k->last : k->last;
        /* Only specs that go on where the range so far ends are one range. */
        if (*first && (k->begin != *last + 1 || *last < 0)) break;
        if (!*first) *first = k->begin;
        *last = end;
        *step = k->step ? k->step : 1;
    }
}
