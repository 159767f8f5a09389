/* LCS: the longest common subsequence of two strings, by the classic table of prefix lengths (Wagner and Fischer 1974), walked back from the
 * end. Where both neighbours are as good, the walk goes along the second string: that choice decides which of several equally long answers
 * is given, and clients may compare. */
#include "modules/string/string.h"

#define LCS_STRING_MAX (UINT32_MAX - 1u)

struct lcs_options {
    bool len, idx, with_len;
    int64_t min_match;
};

struct lcs {
    slice a, b;
    uint32_t *table; /* (a.n + 1) rows of (b.n + 1) */
};

static uint32_t *cell(const struct lcs *l, size_t i, size_t j)
{
    return &l->table[i * (l->b.n + 1) + j];
}

static void fill(struct lcs *l)
{
    for (size_t j = 0; j <= l->b.n; j++) *cell(l, 0, j) = 0;
    for (size_t i = 1; i <= l->a.n; i++) {
        const uint32_t *above = cell(l, i - 1, 0);
        uint32_t *row = cell(l, i, 0);
        uint8_t ch = l->a.p[i - 1];
        row[0] = 0;
        for (size_t j = 1; j <= l->b.n; j++) {
            uint32_t best = above[j] > row[j - 1] ? above[j] : row[j - 1];
            row[j] = ch == l->b.p[j - 1] ? above[j - 1] + 1 : best;
        }
    }
}

/* One step back from (i, j); true when it was over a common byte. */
static bool step_back(const struct lcs *l, size_t *i, size_t *j)
{
    if (l->a.p[*i - 1] == l->b.p[*j - 1]) {
        --*i, --*j;
        return true;
    }
    if (*cell(l, *i - 1, *j) > *cell(l, *i, *j - 1))
        --*i;
    else
        --*j;
    return false;
}

static void reply_text(struct call *c, const struct lcs *l)
{
    size_t i = l->a.n, j = l->b.n, at = *cell(l, i, j);
    slice text = {0};
    uint8_t *mem = at ? mem_alloc(at) : NULL;
    if (mem != NULL) text = slice_of(mem, at);
    while (i > 0 && j > 0) {
        uint8_t ch = l->a.p[i - 1];
        if (step_back(l, &i, &j)) mem[--at] = ch;
    }
    reply_bulk(c, text);
    mem_free(mem);
}

static void reply_match(struct call *c, size_t i, size_t j, size_t n, bool with_len)
{
    reply_array(c, with_len ? 3 : 2);
    reply_array(c, 2);
    reply_int(c, (int64_t)i);
    reply_int(c, (int64_t)(i + n - 1));
    reply_array(c, 2);
    reply_int(c, (int64_t)j);
    reply_int(c, (int64_t)(j + n - 1));
    if (with_len) reply_int(c, (int64_t)n);
}

/* Runs of common bytes, from the last to the first. Two common bytes in a row on the way back are neighbours in both strings. */
static void reply_matches(struct call *c, const struct lcs *l, const struct lcs_options *o)
{
    size_t i = l->a.n, j = l->b.n, run = 0, matches = 0, from_a = 0, from_b = 0;
    reply_map(c, 2);
    reply_str(c, "matches");
    size_t token = reply_begin(c);
    for (;;) {
        bool common = i > 0 && j > 0 && step_back(l, &i, &j);
        if (common) {
            from_a = i;
            from_b = j;
            run++;
            continue;
        }
        if (run > 0 && (int64_t)run >= o->min_match) {
            reply_match(c, from_a, from_b, run, o->with_len);
            matches++;
        }
        run = 0;
        if (i == 0 || j == 0) break;
    }
    reply_end_array(c, token, matches);
    reply_str(c, "len");
    reply_int(c, *cell(l, l->a.n, l->b.n));
}

static bool parse(struct call *c, struct lcs_options *o)
{
    *o = (struct lcs_options){0};
    for (int i = 3; i < c->argc; i++) {
        if (arg_is(c, i, "len")) {
            o->len = true;
        } else if (arg_is(c, i, "idx")) {
            o->idx = true;
        } else if (arg_is(c, i, "withmatchlen")) {
            o->with_len = true;
        } else if (arg_is(c, i, "minmatchlen") && i + 1 < c->argc) {
            if (!arg_i64(c, ++i, &o->min_match)) return false;
        } else {
            reply_syntax(c);
            return false;
        }
    }
    if (o->len && o->idx) {
        reply_error(c, "ERR If you want both the length and indexes, please just use IDX.");
        return false;
    }
    return true;
}

/* Both strings; a missing one is empty. The first slice stays good: loading the second frees nothing. */
static bool both(struct call *c, slice out[2])
{
    int err[2];
    struct ks_value v[2];
    for (int i = 0; i < 2; i++) {
        err[i] = ks_get(&c->ks, c->argv[1 + i], &v[i]);
        if (err[i] != E_OK && err[i] != E_NOTFOUND) {
            reply_failure(c, err[i]);
            return false;
        }
    }
    for (int i = 0; i < 2; i++) {
        if (err[i] == E_OK && v[i].type != TYPE_STRING) {
            reply_error(c, "ERR The specified keys must contain string values");
            return false;
        }
        out[i] = err[i] == E_OK ? v[i].blob : (slice){0};
    }
    return true;
}

void cmd_lcs(struct call *c)
{
    struct lcs_options o;
    struct lcs l = {0};
    slice s[2];
    if (!both(c, s) || !parse(c, &o)) return;
    if (s[0].n >= LCS_STRING_MAX || s[1].n >= LCS_STRING_MAX) return reply_error(c, "ERR String too long for LCS");
    uint64_t bytes = (uint64_t)(s[0].n + 1) * (s[1].n + 1);
    if (__builtin_mul_overflow(bytes, (uint64_t)sizeof(uint32_t), &bytes) || bytes > limit_string_bytes())
        return reply_error(c, "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len");
    l.a = s[0];
    l.b = s[1];
    l.table = mem_alloc(bytes);
    fill(&l);
    if (o.idx)
        reply_matches(c, &l, &o);
    else if (o.len)
        reply_int(c, *cell(&l, l.a.n, l.b.n));
    else
        reply_text(c, &l);
    mem_free(l.table);
}
