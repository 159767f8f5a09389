/* The validating scanner: one pass over the bytes, no tree, and no allocation for small documents.
 *
 * Strings are skipped sixteen bytes at a time. Nesting is an array of levels, not recursion, so a client cannot drive
 * the C stack. Duplicate names are the costly part of strictness, so they are found in two ways:
 *
 *   - up to SMALL_MEMBERS members: the object's names lie on a stack of (hash, place) that all open objects share, and
 *     a new one is compared with those of its own object;
 *   - more: they move into one open-addressed set, keyed by (object, name), where an object is named by the offset of
 *     its brace. Entries of closed objects just stay; the set is emptied when it fills and no large object is open.
 *
 * Both compare the unescaped name when hashes meet. The hash is seeded per process (the kernel's AT_RANDOM bytes), so
 * nobody can prepare names that meet.
 *
 * Invariants: names.n - level.first <= SMALL_MEMBERS for the innermost open object; a level's names start where those
 * of the level below end; a set entry's `at` is never 0, because a brace and a quote come before every name. */
#include "base/json.h"

#include "base/json_text.h"
#include "base/mem.h"

#include <sys/auxv.h>

#define SMALL_MEMBERS 16
#define NAMES_ON_STACK 64
#define UNESCAPE_ON_STACK 256
#define SET_SLOTS_MIN 256

struct name_at {
    uint64_t hash;
    uint32_t at, n; /* the name's inside, as it stands in the text */
};

struct set_slot {
    uint32_t hash;
    uint32_t object;
    uint32_t at, n; /* at 0: free */
};

struct level {
    uint32_t object; /* offset of the brace + 1; 0 = an array */
    uint32_t first;  /* its names begin here on the stack */
    bool large;      /* its names are in the set */
    uint64_t seen;   /* a bit for each of its names' hashes: most names need no comparison */
};

struct scan {
    const uint8_t *start, *end;
    const uint8_t *bad;
    const char *why;
    uint64_t seed[2];
    struct name_at *names;
    uint32_t n_names, names_cap;
    struct set_slot *set;
    uint32_t set_slots, set_used, large_open;
    uint32_t depth;
    struct level level[JSON_DEPTH_MAX];
    struct name_at on_stack[NAMES_ON_STACK];
};

static const uint8_t *fault(struct scan *s, const uint8_t *at, const char *why)
{
    s->bad = at;
    s->why = why;
    return NULL;
}

static const uint8_t *cut_short(struct scan *s) { return fault(s, s->end, "unexpected end"); }

/* ---- strings ---- */

/* The four hex digits behind \u. `low`: they must be the second half of a pair; else they must not be one. */
static bool check_hex4(const uint8_t *p, const uint8_t *end, bool low, const uint8_t **bad, const char **why)
{
    for (int i = 0; i < 4; i++) {
        *bad = p + i;
        if (p + i == end) return false;
        int d = json_hex_digit(p[i]);
        bool low_here = i == 1 && d >= 0xc && (p[0] | 0x20) == 'd';
        *why = low || low_here ? "lone surrogate" : "bad \\u escape";
        if (d < 0 || (low ? (i == 0 && d != 0xd) || (i == 1 && !low_here) : low_here)) return false;
    }
    return true;
}

/* Over one escape, p at the backslash. *bad is the first byte that no valid string could have there. */
static const uint8_t *check_escape(const uint8_t *p, const uint8_t *end, const uint8_t **bad, const char **why)
{
    *why = "bad escape";
    *bad = p + 1;
    if (p + 1 == end) return NULL;
    if (p[1] != 'u') return memchr("\"\\/bfnrt", p[1], 8) ? p + 2 : NULL;
    if (!check_hex4(p + 2, end, false, bad, why)) return NULL;
    bool high = (p[2] | 0x20) == 'd' && json_hex_digit(p[3]) >= 8;
    p += 6;
    if (!high) return p;
    *why = "lone surrogate";
    for (int i = 0; i < 2; i++)
        if (*bad = p + i, p + i == end || p[i] != "\\u"[i]) return NULL;
    return check_hex4(p + 2, end, true, bad, why) ? p + 6 : NULL;
}

const uint8_t *json_check_inside(const uint8_t *p, const uint8_t *start, const uint8_t *end, bool *escapes, const uint8_t **bad,
                                 const char **why)
{
    for (;;) {
        p = json_skip_plain(p, start, end);
        while (p < end && *p >= 0x80) {
            unsigned n = json_utf8(p, end, bad);
            if (n == 0) {
                *why = *bad == end ? "unexpected end" : "not UTF-8";
                return NULL;
            }
            p += n;
        }
        if (p < end && *p == '"') return p;
        if (p == end || *p < 0x20) {
            *bad = p;
            *why = p == end ? "unexpected end" : "control character in a string";
            return NULL;
        }
        if (*p == '\\') {
            *escapes = true;
            p = check_escape(p, end, bad, why);
            if (!p) {
                if (*bad == end) *why = "unexpected end";
                return NULL;
            }
        }
    }
}

/* ---- duplicate names ---- */

static inline uint64_t fold(uint64_t a, uint64_t b)
{
    unsigned __int128 m = (unsigned __int128)a * b;
    return (uint64_t)m ^ (uint64_t)(m >> 64);
}

static inline uint64_t load64(const uint8_t *p) { uint64_t v; memcpy(&v, p, 8); return v; }
static inline uint64_t load32(const uint8_t *p) { uint32_t v; memcpy(&v, p, 4); return v; }

/* Folded multiplication (the idea of wyhash): overlapping loads cover the ends, the rest goes 16 bytes a step. */
static inline uint64_t hash_bytes(const uint64_t seed[2], const uint8_t *p, size_t n)
{
    uint64_t a, b, h = seed[1] ^ n;
    if (n >= 8) {
        for (size_t left = n; left > 16; left -= 16, p += 16, n -= 16) h = fold(load64(p) ^ seed[0], load64(p + 8) ^ h);
        if (n >= 8) {
            a = load64(p), b = load64(p + n - 8);
        } else { /* the last n bytes, reached back into what is already in h */
            a = load64(p + n - 16), b = load64(p + n - 8);
        }
    } else if (n >= 4) {
        a = load32(p), b = load32(p + n - 4);
    } else {
        a = n ? (uint64_t)p[0] << 16 | (uint64_t)p[n >> 1] << 8 | p[n - 1] : 0;
        b = 0;
    }
    return fold(a ^ seed[0], b ^ h);
}

/* Hash of the unescaped name: two spellings of one name must meet. */
static uint64_t hash_escaped(const struct scan *s, slice name)
{
    uint8_t small[UNESCAPE_ON_STACK];
    uint8_t *text = name.n <= sizeof small ? small : mem_alloc(name.n);
    size_t n = 0;
    for (const uint8_t *p = name.p, *end = p + name.n; p < end;) {
        unsigned add = 1;
        if (*p == '\\') {
            uint8_t bytes[4]; /* never more than the escape itself is long */
            p = json_escape_bytes(p, end, bytes, &add);
            memcpy(text + n, bytes, add);
        } else {
            text[n] = *p++;
        }
        n += add;
    }
    uint64_t h = hash_bytes(s->seed, text, n);
    if (text != small) mem_free(text);
    return h;
}

static void set_put(struct set_slot *set, uint32_t slots, struct set_slot e)
{
    uint32_t i = e.hash & (slots - 1);
    while (set[i].at) i = (i + 1) & (slots - 1);
    set[i] = e;
}

/* Room for one more at half load. Emptying costs what the entries that filled it paid. */
static void set_room(struct scan *s)
{
    if (s->set && s->set_used + 1 <= s->set_slots / 2) return;
    if (s->set && s->large_open == 0) {
        memset(s->set, 0, s->set_slots * sizeof *s->set);
        s->set_used = 0;
        return;
    }
    uint32_t slots = s->set ? s->set_slots * 2 : SET_SLOTS_MIN;
    struct set_slot *bigger = mem_zalloc(slots * sizeof *bigger);
    for (uint32_t i = 0; i < s->set_slots; i++)
        if (s->set[i].at) set_put(bigger, slots, s->set[i]);
    mem_free(s->set);
    s->set = bigger;
    s->set_slots = slots;
}

/* False: the object has this name already. */
static bool set_add(struct scan *s, uint32_t object, const struct name_at *name)
{
    set_room(s);
    uint32_t hash = (uint32_t)(fold(name->hash ^ object, s->seed[0] | 1) >> 16);
    for (uint32_t i = hash & (s->set_slots - 1);; i = (i + 1) & (s->set_slots - 1)) {
        struct set_slot *e = &s->set[i];
        if (e->at == 0) {
            *e = (struct set_slot){hash, object, name->at, name->n};
            s->set_used++;
            return true;
        }
        if (e->hash == hash && e->object == object &&
            json_text_eq(slice_of(s->start + e->at, e->n), slice_of(s->start + name->at, name->n)))
            return false;
    }
}

static void names_grow(struct scan *s)
{
    struct name_at *old = s->names == s->on_stack ? NULL : s->names;
    s->names_cap *= 2;
    s->names = mem_realloc(old, s->names_cap * sizeof *s->names);
    if (!old) memcpy(s->names, s->on_stack, sizeof s->on_stack);
}

static bool add_large(struct scan *s, struct level *l, const struct name_at *name)
{
    if (!l->large) { /* the first one over: the others move along */
        for (uint32_t i = l->first; i < s->n_names; i++) (void)set_add(s, l->object, &s->names[i]);
        s->n_names = l->first;
        l->large = true;
        s->large_open++;
    }
    return set_add(s, l->object, name);
}

static inline bool name_is_new(struct scan *s, const uint8_t *p, const uint8_t *close, bool escapes)
{
    struct level *l = &s->level[s->depth - 1];
    slice text = {p, (size_t)(close - p)};
    struct name_at name = {escapes ? hash_escaped(s, text) : hash_bytes(s->seed, p, text.n), (uint32_t)(p - s->start), (uint32_t)text.n};
    if (l->large || s->n_names - l->first == SMALL_MEMBERS) return add_large(s, l, &name);
    uint64_t bit = 1ull << (name.hash >> 58);
    for (uint32_t i = l->seen & bit ? l->first : s->n_names; i < s->n_names; i++) {
        const struct name_at *old = &s->names[i];
        if (old->hash == name.hash && json_text_eq(slice_of(s->start + old->at, old->n), text)) return false;
    }
    l->seen |= bit;
    if (s->n_names == s->names_cap) names_grow(s);
    struct name_at *to = &s->names[s->n_names++]; /* field by field: copied whole, it would wait for its own parts to be stored */
    to->hash = name.hash;
    to->at = name.at;
    to->n = name.n;
    return true;
}

/* ---- values ---- */

static const uint8_t *check_number(struct scan *s, const uint8_t *p)
{
    const uint8_t *end = s->end;
    if (*p == '-' && ++p == end) return cut_short(s);
    if (*p == '0') p++;
    else if (json_is_digit(*p)) p = json_skip_digits(p, end);
    else return fault(s, p, "bad number");
    if (p < end && *p == '.') {
        if (++p == end) return cut_short(s);
        if (!json_is_digit(*p)) return fault(s, p, "bad number");
        p = json_skip_digits(p, end);
    }
    if (p < end && (*p | 0x20) == 'e') {
        if (++p == end) return cut_short(s);
        if ((*p == '+' || *p == '-') && ++p == end) return cut_short(s);
        if (!json_is_digit(*p)) return fault(s, p, "bad number");
        p = json_skip_digits(p, end);
    }
    return p;
}

/* Apart from the rest: the loop takes registers that the others need. */
static __attribute__((noinline)) const uint8_t *check_word(struct scan *s, const uint8_t *p)
{
    const char *word = *p == 't' ? "true" : *p == 'f' ? "false" : "null";
    for (; *word; word++, p++) {
        if (p == s->end) return cut_short(s);
        if (*p != (uint8_t)*word) return fault(s, p, "unknown word");
    }
    return p;
}

/* json_check_inside, at once for what is short and plain: most names, many values. */
static inline const uint8_t *check_inside(struct scan *s, const uint8_t *p, bool *escapes)
{
#ifdef __SSE2__
    if (s->end - p >= 16) {
        unsigned m = json_special_mask(p);
        const uint8_t *at = p + (m ? __builtin_ctz(m) : 0);
        if (m && *at == '"') return at;
    }
#endif
    return json_check_inside(p, s->start, s->end, escapes, &s->bad, &s->why);
}

static inline const uint8_t *check_string(struct scan *s, const uint8_t *p)
{
    bool escapes = false;
    p = check_inside(s, p + 1, &escapes);
    return p ? p + 1 : NULL;
}

static inline const uint8_t *skip_space(const uint8_t *p, const uint8_t *end)
{
    return p < end && *p <= ' ' ? json_skip_space(p, end) : p;
}

/* "name" : of the innermost object, up to where its value starts. */
static inline const uint8_t *check_name(struct scan *s, const uint8_t *p)
{
    p = skip_space(p, s->end);
    if (p == s->end) return cut_short(s);
    if (*p != '"') return fault(s, p, "member name expected");
    bool escapes = false;
    const uint8_t *close = check_inside(s, p + 1, &escapes);
    if (!close) return NULL;
    if (!name_is_new(s, p + 1, close, escapes)) return fault(s, p, "duplicate member name");
    p = skip_space(close + 1, s->end);
    if (p == s->end) return cut_short(s);
    return *p == ':' ? p + 1 : fault(s, p, "':' expected");
}

/* One scalar, or the opening bracket of a container; *opened: it has content and that comes next. */
static inline const uint8_t *check_start(struct scan *s, const uint8_t *p, bool *opened)
{
    *opened = false;
    p = skip_space(p, s->end);
    if (p == s->end) return cut_short(s);
    uint8_t c = *p;
    if (c == '"') return check_string(s, p);
    if (json_is_digit(c) || c == '-') return check_number(s, p);
    if (c == 't' || c == 'f' || c == 'n') {
        bool whole = s->end - p > 4 && (memcmp(p, "true", 4) == 0 || memcmp(p, "null", 4) == 0);
        return whole ? p + 4 : check_word(s, p);
    }
    if (c != '{' && c != '[') return fault(s, p, "value expected");
    if (s->depth == JSON_DEPTH_MAX) return fault(s, p, "nested too deep");
    s->level[s->depth++] = (struct level){.object = c == '{' ? (uint32_t)(p - s->start) + 1 : 0, .first = s->n_names};
    p = skip_space(p + 1, s->end);
    *opened = p < s->end && *p != (c == '{' ? '}' : ']');
    return p;
}

/* Behind a value: closes what ends here, up to the comma before the next value or the end of the outermost. */
static inline const uint8_t *check_after(struct scan *s, const uint8_t *p)
{
    while (s->depth > 0) {
        struct level *l = &s->level[s->depth - 1];
        p = skip_space(p, s->end);
        if (p == s->end) return cut_short(s);
        if (*p == ',') return p + 1;
        if (*p != (l->object ? '}' : ']')) return fault(s, p, l->object ? "',' or '}' expected" : "',' or ']' expected");
        p++;
        s->n_names = l->first;
        if (l->large) s->large_open--;
        s->depth--;
    }
    return p;
}

/* Byte behind the value, or NULL. */
static const uint8_t *check_value(struct scan *s, const uint8_t *p)
{
    for (;;) {
        bool opened;
        if (s->depth > 0 && s->level[s->depth - 1].object) p = check_name(s, p);
        if (p) p = check_start(s, p, &opened);
        if (!p) return NULL;
        if (opened) continue;
        p = check_after(s, p);
        if (!p || s->depth == 0) return p;
    }
}

/* The process's seed, fetched once: the race is harmless, since every thread would store the same words. */
static void seed_load(uint64_t seed[2])
{
    static uint64_t kept[2];
    if (__atomic_load_n(&kept[1], __ATOMIC_ACQUIRE) == 0) {
        const uint8_t *random = (const uint8_t *)getauxval(AT_RANDOM);
        __atomic_store_n(&kept[0], random ? load64(random) : 0x9e3779b97f4a7c15u, __ATOMIC_RELAXED);
        __atomic_store_n(&kept[1], (random ? load64(random + 8) : 0) | 1, __ATOMIC_RELEASE);
    }
    seed[0] = __atomic_load_n(&kept[0], __ATOMIC_RELAXED);
    seed[1] = __atomic_load_n(&kept[1], __ATOMIC_RELAXED);
}

int json_check(slice text, slice *trimmed, struct json_fault *where)
{
    ASSERT(text.p || text.n == 0);
    if (text.n > JSON_BYTES_MAX) {
        if (where) *where = (struct json_fault){JSON_BYTES_MAX, "too large"};
        return E_SYNTAX;
    }
    struct scan s;
    s.start = text.n ? text.p : (const uint8_t *)"";
    s.end = s.start + text.n;
    s.names = s.on_stack;
    s.n_names = s.set_slots = s.set_used = s.large_open = s.depth = 0;
    s.names_cap = NAMES_ON_STACK;
    s.set = NULL;
    seed_load(s.seed);

    const uint8_t *first = json_skip_space(s.start, s.end);
    const uint8_t *behind = check_value(&s, first);
    if (behind) {
        const uint8_t *rest = json_skip_space(behind, s.end);
        if (rest < s.end) behind = fault(&s, rest, "text behind the value");
    }
    if (s.names != s.on_stack) mem_free(s.names);
    if (s.set) mem_free(s.set);
    if (!behind) {
        if (where) *where = (struct json_fault){(size_t)(s.bad - s.start), s.why};
        return E_SYNTAX;
    }
    if (trimmed) *trimmed = slice_of(first, (size_t)(behind - first));
    return E_OK;
}
