/* The table of parameters and their values. config_table.h holds the rows; here they become descriptions, and texts become numbers and back. */
#include "server/config.h"
#include "base/glob.h"
#include "base/mem.h"
#include "base/num.h"
#include "server/config_check.h"
#include <stdio.h>
#include <strings.h>

enum kind { KIND_BOOL, KIND_ENUM, KIND_INT, KIND_MEM, KIND_TEXT };

static const char *const words_store[] = {"disk", "memory", NULL};
static const char *const words_appendfsync[] = {"no", "everysec", "always", NULL};
static const char *const words_loglevel[] = {"debug", "verbose", "notice", "warning", NULL};
static const char *const words_guard[] = {"no", "yes", "local", NULL};
static const char *const words_eviction[] = {"volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl", "allkeys-lru",
                                             "allkeys-lfu", "allkeys-random", "noeviction", NULL};
static const char *const words_sanitize[] = {"no", "yes", "clients", NULL};
static const char *const words_oom_score[] = {"no", "yes", "relative", "absolute", NULL};
static const char *const words_supervised[] = {"upstart", "systemd", "auto", "no", NULL};
static const char *const words_pubsub_default[] = {"allchannels", "resetchannels", NULL};
static const char *const words_propagation[] = {"ignore", "panic", "panic-on-replicas", NULL};
static const char *const words_diskless_load[] = {"disabled", "on-empty-db", "swapdb", NULL};
static const char *const words_endpoint[] = {"ip", "hostname", "unknown-endpoint", NULL};
static const char *const words_tls_auth[] = {"no", "yes", "optional", NULL};

struct row {
    const char *name, *alias;
    enum kind kind;
    unsigned flags;
    int64_t low, high, number;
    const char *const *words;
    const char *text;
    config_check check;
};

#define FIXED CONFIG_FIXED
#define GUARDED CONFIG_GUARDED
#define SECRET CONFIG_SECRET
#define IDLE CONFIG_IDLE
#define HIDDEN CONFIG_HIDDEN
#define OWN CONFIG_OWN
#define OR_ZERO CONFIG_OR_ZERO
#define POWER CONFIG_POWER
#define BOOL(id, name, alias, flags, value) {name, alias, KIND_BOOL, flags, 0, 1, value, NULL, NULL, NULL},
#define ENUM(id, name, alias, flags, words, value) {name, alias, KIND_ENUM, flags, 0, 0, value, words, NULL, NULL},
#define INT(id, name, alias, flags, low, high, value) {name, alias, KIND_INT, flags, low, high, value, NULL, NULL, NULL},
#define MEM(id, name, alias, flags, low, high, value) {name, alias, KIND_MEM, flags, low, high, value, NULL, NULL, NULL},
#define TEXT(id, name, alias, flags, check, value) {name, alias, KIND_TEXT, flags, 0, 0, 0, NULL, value, check},
static const struct row rows[CFG_COUNT] = {
#include "server/config_table.h"
};

const char *config_name(enum config_id id) { return rows[id].name; }
unsigned config_flags(enum config_id id) { return rows[id].flags; }

static slice owned(slice s) { return slice_of(mem_dup(s.p ? s.p : (const uint8_t *)"", s.n), s.n); }
static void disown(slice s) { mem_free((void *)(uintptr_t)s.p); }

void config_init(struct config *c)
{
    memset(c, 0, sizeof *c);
    mutex_init(&c->mutex, "config", RANK_LEAF);
    mutex_init(&c->setting, "setting", RANK_SETTING);
    for (int i = 0; i < CFG_COUNT; i++) {
        atomic_init(&c->number[i], rows[i].number);
        if (rows[i].kind == KIND_TEXT) c->text[i] = owned(slice_str(rows[i].text));
    }
}

void config_fini(struct config *c)
{
    for (int i = 0; i < CFG_COUNT; i++) disown(c->text[i]);
    mem_free(c->file);
    buf_fini(&c->modules);
    buf_fini(&c->renames);
    mutex_fini(&c->mutex);
    mutex_fini(&c->setting);
}

int config_find(slice name)
{
    for (int i = 0; i < CFG_COUNT; i++)
        if (slice_is(name, rows[i].name) || (rows[i].alias && slice_is(name, rows[i].alias))) return i;
    return -1;
}

void config_text(struct config *c, enum config_id id, struct buf *out)
{
    ASSERT(rows[id].kind == KIND_TEXT);
    buf_clear(out);
    mutex_lock(&c->mutex);
    buf_add_slice(out, c->text[id]);
    mutex_unlock(&c->mutex);
    buf_reserve(out, 1)[0] = 0;
}

bool config_text_is(struct config *c, enum config_id id, slice s)
{
    mutex_lock(&c->mutex);
    bool same = slice_eq(c->text[id], s);
    mutex_unlock(&c->mutex);
    return same;
}

void config_show(struct config *c, enum config_id id, struct buf *out)
{
    const struct row *r = &rows[id];
    int64_t v = config_num(c, id);
    switch (r->kind) {
    case KIND_BOOL: buf_add_str(out, v ? "yes" : "no"); break;
    case KIND_ENUM: buf_add_str(out, r->words[v]); break;
    case KIND_INT:
    case KIND_MEM: buf_printf(out, "%lld", (long long)v); break;
    case KIND_TEXT:
        mutex_lock(&c->mutex);
        buf_add_slice(out, c->text[id]);
        mutex_unlock(&c->mutex);
        break;
    }
}

void config_each(struct config *c, slice pattern, void (*fn)(void *ctx, const char *name, slice value), void *ctx)
{
    struct buf value = {0};
    bool plain = true; /* a name as it is, so also a backslash in it */
    for (size_t i = 0; i < pattern.n; i++) plain = plain && pattern.p[i] != '*' && pattern.p[i] != '?' && pattern.p[i] != '[';
    for (int i = 0; i < CFG_COUNT; i++) {
        const char *names[2] = {rows[i].name, rows[i].alias};
        for (int k = 0; k < 2 && names[k]; k++) {
            bool exact = slice_is(pattern, names[k]);
            if (!exact && (plain || (rows[i].flags & HIDDEN) || !glob_match(pattern, slice_str(names[k]), true))) continue;
            buf_clear(&value);
            config_show(c, (enum config_id)i, &value);
            fn(ctx, names[k], buf_slice(&value));
        }
    }
    buf_fini(&value);
}

/* ---- from text ---- */

static const char *parse_words(const struct row *r, slice value, int64_t *out, char error[CONFIG_ERROR_MAX])
{
    int words = 0;
    for (; r->words[words]; words++)
        if (slice_is(value, r->words[words])) {
            *out = words;
            return NULL;
        }
    int first = r->words == words_appendfsync; /* redis-server names "no" last */
    int n = snprintf(error, CONFIG_ERROR_MAX, "argument(s) must be one of the following: ");
    for (int i = 0; i < words && n < CONFIG_ERROR_MAX; i++)
        n += snprintf(error + n, (size_t)(CONFIG_ERROR_MAX - n), "%s%s", i ? ", " : "", r->words[(first + i) % words]);
    return error;
}

/* Of a memory value that cannot be taken: is it one, only of more than 64 bits? Its last digit with the unit is one then. */
static bool too_large(slice value)
{
    size_t digits = 0;
    uint64_t last;
    while (digits < value.n && value.p[digits] >= '0' && value.p[digits] <= '9') digits++;
    return digits > 0 && num_parse_memory(slice_of(value.p + digits - 1, value.n - digits + 1), &last);
}

static const char *parse_number(const struct row *r, slice value, int64_t *out, char error[CONFIG_ERROR_MAX])
{
    uint64_t bytes = 0;
    if (r->kind == KIND_BOOL) {
        if (!slice_is(value, "yes") && !slice_is(value, "no")) return "argument must be 'yes' or 'no'";
        *out = slice_is(value, "yes");
        return NULL;
    }
    if (r->kind == KIND_ENUM) return parse_words(r, value, out, error);
    if (r->kind == KIND_MEM) {
        /* No digits are 0, as Redis has it. */
        if (value.n > 0 && !num_parse_memory(value, &bytes)) {
            if (!too_large(value)) return "argument must be a memory value";
            bytes = UINT64_MAX;
        }
        *out = bytes > INT64_MAX ? -1 : (int64_t)bytes; /* no range holds -1 */
    } else if (!num_parse_i64(value, out)) {
        return "argument couldn't be parsed into an integer";
    }
    bool zero = r->flags & OR_ZERO;
    if (zero && *out == 0) return NULL;
    if (*out >= r->low && *out <= r->high) return (r->flags & POWER) && (*out & (*out - 1)) ? "argument must be a power of two" : NULL;
    snprintf(error, CONFIG_ERROR_MAX, "argument must be %sbetween %lld and %lld inclusive", zero ? "0 or " : "", (long long)r->low, (long long)r->high);
    return error;
}

/* Puts a value in place. With `old` the text before is handed over instead of freed. */
static const char *store(struct config *c, enum config_id id, slice value, slice *old, char error[CONFIG_ERROR_MAX])
{
    const struct row *r = &rows[id];
    int64_t v = 0;
    if (r->kind != KIND_TEXT) {
        const char *why = parse_number(r, value, &v, error);
        if (!why) atomic_store_explicit(&c->number[id], v, memory_order_relaxed);
        return why;
    }
    /* Redis takes passwords as they are, and cuts other texts at a NUL. */
    if (!(r->flags & SECRET) && memchr(value.p ? value.p : (const uint8_t *)"", 0, value.n)) return "argument must not contain a NUL byte";
    struct buf text = {0};
    const char *why = NULL;
    if (r->check)
        why = r->check(value, c->text[id], &text);
    else
        buf_add_slice(&text, value);
    if (!why) {
        mutex_lock(&c->mutex);
        if (old)
            *old = c->text[id];
        else
            disown(c->text[id]);
        c->text[id] = owned(buf_slice(&text));
        mutex_unlock(&c->mutex);
    }
    buf_fini(&text);
    return why;
}

const char *config_preset(struct config *c, enum config_id id, slice value, char error[CONFIG_ERROR_MAX])
{
    ASSERT(!c->apply);
    return store(c, id, value, NULL, error);
}

struct change {
    int id;
    slice name;
    int64_t number;
    slice text; /* the one before, with p NULL until there is one */
    bool done;
};

static bool shows(struct config *c, enum config_id id, slice value)
{
    struct buf now = {0};
    config_show(c, id, &now);
    bool same = slice_eq(buf_slice(&now), value);
    buf_fini(&now);
    return same;
}

static const char *refuse_early(struct config *c, const struct change *all, size_t i, slice value, bool local)
{
    const struct row *r = &rows[all[i].id];
    if ((r->flags & FIXED) && !((r->flags & OWN) && shows(c, (enum config_id)all[i].id, value))) return "can't set immutable config";
    if (r->flags & GUARDED) {
        int64_t guard = config_num(c, CFG_ENABLE_PROTECTED_CONFIGS);
        if (guard == 0 || (guard == 2 && !local)) return "can't set protected config";
    }
    for (size_t k = 0; k < i; k++)
        if (all[k].id == all[i].id) return "duplicate parameter";
    return NULL;
}

static void put_back(struct config *c, struct change *all, size_t n)
{
    const char *ignored;
    for (size_t i = n; i-- > 0;) {
        if (!all[i].done) continue;
        atomic_store_explicit(&c->number[all[i].id], all[i].number, memory_order_relaxed);
        if (all[i].text.p) {
            mutex_lock(&c->mutex);
            disown(c->text[all[i].id]);
            c->text[all[i].id] = all[i].text;
            mutex_unlock(&c->mutex);
            all[i].text = slice_of(NULL, 0);
        }
        if (c->apply) (void)c->apply(c->ctx, (enum config_id)all[i].id, &ignored);
    }
}

/* A value set to what it is has no effect to apply: a server that listens on a port is not asked to listen again. */
static bool differs_now(struct config *c, const struct change *ch)
{
    return ch->text.p ? !slice_eq(ch->text, c->text[ch->id]) : config_num(c, (enum config_id)ch->id) != ch->number;
}

static bool set_all(struct config *c, const slice *pairs, size_t n_pairs, bool local, char error[CONFIG_ERROR_MAX])
{
    struct change *all = mem_zalloc(n_pairs * sizeof *all);
    char detail[CONFIG_ERROR_MAX] = "";
    const char *why = NULL;
    size_t i, failed = 0;
    for (i = 0; i < n_pairs && !why; i++) {
        slice name = pairs[i * 2];
        all[i] = (struct change){.id = config_find(name), .name = name};
        if (all[i].id < 0) {
            snprintf(error, CONFIG_ERROR_MAX, "ERR Unknown option or number of arguments for CONFIG SET - '%.*s'", (int)(name.n > 128 ? 128 : name.n),
                     (const char *)name.p);
            mem_free(all);
            return false;
        }
        why = refuse_early(c, all, i, pairs[i * 2 + 1], local);
        failed = i;
    }
    for (i = 0; i < n_pairs && !why; i++) {
        all[i].number = config_num(c, (enum config_id)all[i].id);
        why = store(c, (enum config_id)all[i].id, pairs[i * 2 + 1], &all[i].text, detail);
        all[i].done = !why;
        failed = i;
    }
    for (i = 0; i < n_pairs && !why && c->apply; i++) {
        const char *refusal = "";
        if (differs_now(c, &all[i]) && !c->apply(c->ctx, (enum config_id)all[i].id, &refusal)) why = refusal, failed = i;
    }
    if (why) {
        snprintf(error, CONFIG_ERROR_MAX, "ERR CONFIG SET failed (possibly related to argument '%.*s') - %.300s", (int)all[failed].name.n,
                 (const char *)all[failed].name.p, why);
        put_back(c, all, n_pairs);
    }
    for (i = 0; i < n_pairs; i++) disown(all[i].text);
    mem_free(all);
    return !why;
}

bool config_set(struct config *c, const slice *pairs, size_t n_pairs, bool local, char error[CONFIG_ERROR_MAX])
{
    mutex_lock(&c->setting);
    bool ok = set_all(c, pairs, n_pairs, local, error);
    mutex_unlock(&c->setting);
    return ok;
}

void config_output_limits(struct config *c, struct output_limit out[CLASS_COUNT])
{
    struct buf text = {0};
    slice words[12];
    memset(out, 0, CLASS_COUNT * sizeof *out);
    config_text(c, CFG_CLIENT_OUTPUT_BUFFER_LIMIT, &text);
    size_t n = config_words(buf_slice(&text), words, 12);
    ASSERT(n == 12);
    for (size_t k = 0; k < CLASS_COUNT; k++) {
        bool ok = num_parse_u64(words[k * 4 + 1], &out[k].hard) && num_parse_u64(words[k * 4 + 2], &out[k].soft) &&
                  num_parse_u64(words[k * 4 + 3], &out[k].soft_seconds);
        ASSERT(ok);
    }
    buf_fini(&text);
}
