/* Unified diff of two texts. Lines are found once; what both have in common at the start and the end is set aside; between, Myers' greedy algorithm keeps, for
 * each number of edits, how far each diagonal reaches, and the way is read back from those. */
#include "base/mem.h"
#include "tool/text.h"

#define AROUND 3

struct lines {
    slice *at; /* without their line feeds */
    size_t n;
    bool ends; /* the last has a line feed */
};

struct edit {
    char kind; /* ' ', '-', '+' */
    slice line;
};

struct script {
    struct edit *at; /* filled from the end while it is read back, then turned */
    size_t n, cap;
};

static struct lines split(slice s)
{
    struct lines l = {.ends = s.n == 0 || s.p[s.n - 1] == '\n'};
    size_t count = 1;
    for (size_t i = 0; i < s.n; i++) count += s.p[i] == '\n';
    l.at = mem_alloc(count * sizeof *l.at);
    for (size_t from = 0; from < s.n;) {
        size_t to = from;
        while (to < s.n && s.p[to] != '\n') to++;
        l.at[l.n++] = slice_of(s.p + from, to - from);
        from = to + 1;
    }
    return l;
}

static void add(struct script *s, char kind, slice line)
{
    if (s->n == s->cap) {
        s->cap = s->cap ? s->cap * 2 : 64;
        s->at = mem_realloc(s->at, s->cap * sizeof *s->at);
    }
    s->at[s->n++] = (struct edit){kind, line};
}

/* a[0..n) into b[0..m), neither equal at the start nor at the end, appended in order. */
struct search {
    const slice *a, *b;
    int64_t n, m;
    int64_t *reach;  /* furthest x on diagonal k, at reach[k + edits_max + 1] */
    int64_t **steps; /* reach as it was before each number of edits, 2d + 3 values around diagonal 0 */
    int64_t most;
};

/* How far one more edit brings diagonal k. */
static int64_t advance(const struct search *s, int64_t d, int64_t k)
{
    const int64_t *r = s->reach + s->most + 1;
    int64_t x = k == -d || (k != d && r[k - 1] < r[k + 1]) ? r[k + 1] : r[k - 1] + 1;
    while (x < s->n && x - k < s->m && slice_eq(s->a[x], s->b[x - k])) x++;
    return x;
}

/* Number of edits, -1 when there are more than `most`. */
static int64_t edits_between(struct search *s)
{
    int64_t *r = s->reach + s->most + 1;
    for (int64_t d = 0; d <= s->most; d++) {
        s->steps[d] = mem_alloc((size_t)(2 * d + 3) * sizeof(int64_t));
        memcpy(s->steps[d], r - d - 1, (size_t)(2 * d + 3) * sizeof(int64_t));
        for (int64_t k = -d; k <= d; k += 2) {
            r[k] = advance(s, d, k);
            if (k == s->n - s->m && r[k] >= s->n) return d;
        }
    }
    return -1;
}

static void read_back(const struct search *s, int64_t d, struct script *out)
{
    int64_t x = s->n, y = s->m;
    size_t from = out->n;
    for (; d >= 0; d--) {
        const int64_t *r = s->steps[d] + d + 1;
        int64_t k = x - y, before = k == -d || (k != d && r[k - 1] < r[k + 1]) ? k + 1 : k - 1;
        int64_t x0 = d > 0 ? r[before] : 0, y0 = d > 0 ? x0 - before : 0;
        for (; x > x0 && y > y0; y--) add(out, ' ', s->a[--x]);
        if (d == 0) break;
        if (before > k)
            add(out, '+', s->b[--y]);
        else
            add(out, '-', s->a[--x]);
    }
    for (size_t i = from, j = out->n; i + 1 < j; i++) {
        struct edit t = out->at[i];
        out->at[i] = out->at[--j];
        out->at[j] = t;
    }
}

static void compare(const slice *a, size_t n, const slice *b, size_t m, struct script *out)
{
    size_t all = n + m, most = all < TEXT_EDITS_MAX ? all : TEXT_EDITS_MAX;
    struct search s = {.a = a, .b = b, .n = (int64_t)n, .m = (int64_t)m, .most = (int64_t)most};
    s.reach = mem_zalloc((2 * most + 4) * sizeof *s.reach);
    s.steps = mem_zalloc((most + 1) * sizeof *s.steps);
    int64_t d = edits_between(&s);
    if (d >= 0) {
        read_back(&s, d, out);
    } else {
        for (size_t i = 0; i < n; i++) add(out, '-', a[i]);
        for (size_t i = 0; i < m; i++) add(out, '+', b[i]);
    }
    for (size_t i = 0; i <= most; i++) mem_free(s.steps[i]);
    mem_free(s.steps);
    mem_free(s.reach);
}

static struct script script_of(const struct lines *a, const struct lines *b)
{
    struct script s = {0};
    size_t head = 0, tail = 0, least = a->n < b->n ? a->n : b->n;
    while (head < least && slice_eq(a->at[head], b->at[head])) head++;
    while (tail < least - head && slice_eq(a->at[a->n - 1 - tail], b->at[b->n - 1 - tail])) tail++;
    for (size_t i = 0; i < head; i++) add(&s, ' ', a->at[i]);
    compare(a->at + head, a->n - head - tail, b->at + head, b->n - head - tail, &s);
    for (size_t i = a->n - tail; i < a->n; i++) add(&s, ' ', a->at[i]);
    return s;
}

static void print_line(struct paper *p, const struct edit *e)
{
    paper_ink(p, e->kind == '+' ? INK_ADDED : e->kind == '-' ? INK_REMOVED : INK_PLAIN);
    putc(e->kind, p->f);
    (void)fwrite(e->line.p, 1, e->line.n, p->f);
    if (e->kind != ' ') paper_ink(p, INK_PLAIN);
    putc('\n', p->f);
}

/* Edits [from, to) with where they lie in both texts. */
static void print_hunk(struct paper *p, const struct script *s, size_t from, size_t to)
{
    size_t line[2] = {1, 1}, count[2] = {0, 0};
    for (size_t i = 0; i < to; i++) {
        size_t *of = i < from ? line : count;
        of[0] += s->at[i].kind != '+';
        of[1] += s->at[i].kind != '-';
    }
    paper_ink(p, INK_PLACE);
    fprintf(p->f, "@@ -%zu,%zu +%zu,%zu @@", count[0] ? line[0] : line[0] - 1, count[0], count[1] ? line[1] : line[1] - 1,
            count[1]);
    paper_ink(p, INK_PLAIN);
    putc('\n', p->f);
    for (size_t i = from; i < to; i++) print_line(p, &s->at[i]);
}

void text_diff(struct paper *p, slice a, slice b)
{
    if (slice_eq(a, b)) return;
    struct lines la = split(a), lb = split(b);
    struct script s = script_of(&la, &lb);
    for (size_t i = 0; i < s.n;) {
        while (i < s.n && s.at[i].kind == ' ') i++;
        if (i == s.n) break;
        size_t from = i > AROUND ? i - AROUND : 0, last = i;
        for (; i < s.n && i <= last + 2 * AROUND; i++)
            if (s.at[i].kind != ' ') last = i;
        size_t to = last + 1 + AROUND < s.n ? last + 1 + AROUND : s.n;
        print_hunk(p, &s, from, to);
        i = to;
    }
    if (la.ends != lb.ends) fprintf(p->f, "\\ the %s text has no line feed at its end\n", la.ends ? "new" : "old");
    mem_free(s.at);
    mem_free(la.at);
    mem_free(lb.at);
}
