/* The way from one JSON text to another: as operations (RFC 6902) or as a merge patch (RFC 7396).
 *
 * Objects are compared by name, arrays by a longest common subsequence where the part between equal ends is small, else place by place. Values are equal when
 * json_compare says so: 1 and 1.0 do not differ. Recursion is bounded by JSON_DEPTH_MAX, the nesting of checked texts. When the budget of
 * the tree is used up, the values at hand are replaced whole: the answer gets longer, never wrong. */
#include "modules/doc/patch.h"

#define CELLS_MAX (1u << 18)   /* of the table for a common subsequence */
#define WORK_MAX  (1ull << 28) /* before values are replaced whole */
#define KEY_BYTES 128          /* of an element's sort key: beyond them elements are compared */

struct diff {
    struct patch_tree t; /* opened pieces and names */
    struct buf *out, pointer;
    size_t n; /* operations so far */
};

static void diff_init(struct diff *d, slice from, struct buf *out)
{
    patch_tree_init(&d->t, from);
    d->t.work_max = WORK_MAX;
    d->out = out;
    d->pointer = (struct buf){0};
    d->n = 0;
}

static void diff_fini(struct diff *d)
{
    patch_tree_fini(&d->t);
    buf_fini(&d->pointer);
}

static bool same(struct diff *d, slice a, slice b)
{
    if (slice_eq(a, b)) return true;
    d->t.work += a.n + b.n;
    return json_compare(a, b) == 0;
}

static struct patch_piece *opened(struct diff *d, slice text)
{
    struct patch_piece *p = patch_raw(&d->t, text);
    (void)patch_open(&d->t, p);
    return p;
}

static void emit(struct diff *d, const char *op, const slice *value)
{
    buf_add_byte(d->out, d->n++ ? ',' : '[');
    buf_printf(d->out, "{\"op\":\"%s\",\"path\":", op);
    json_quote(buf_slice(&d->pointer), d->out);
    if (value) {
        buf_add_str(d->out, ",\"value\":");
        buf_add_slice(d->out, *value);
    }
    buf_add_byte(d->out, '}');
}

static size_t push_index(struct diff *d, size_t index)
{
    size_t before = d->pointer.n;
    char text[24];
    patch_pointer_add(&d->pointer, slice_of(text, num_format_u64(text, index)));
    return before;
}

static void differ(struct diff *d, slice a, slice b);

static void differ_objects(struct diff *d, struct patch_piece *from, struct patch_piece *to)
{
    size_t before = d->pointer.n;
    for (size_t i = 0; i < from->n; i++) {
        const struct patch_child *was = &from->child[i], *is = patch_member(&d->t, to, was->name);
        patch_pointer_add(&d->pointer, was->name);
        if (is)
            differ(d, was->value->raw, is->value->raw);
        else
            emit(d, "remove", NULL);
        d->pointer.n = before;
    }
    for (size_t i = 0; i < to->n; i++) {
        const struct patch_child *is = &to->child[i];
        if (patch_member(&d->t, from, is->name)) continue;
        patch_pointer_add(&d->pointer, is->name);
        emit(d, "add", &is->value->raw);
        d->pointer.n = before;
    }
}

/* ---- arrays ---- */

struct span {
    const struct patch_child *v;
    size_t n;
};

/* Keys of all elements, so that a cell of the table costs one comparison of short texts. */
struct keys {
    struct buf bytes;
    size_t *end;
    bool *cut;
};

static void keys_make(struct keys *k, struct span s)
{
    k->end = mem_alloc((s.n + 1) * sizeof *k->end);
    k->cut = mem_alloc(s.n + 1);
    for (size_t i = 0; i < s.n; i++) {
        k->cut[i] = false;
        json_sort_key(s.v[i].value->raw, KEY_BYTES, &k->bytes, &k->cut[i]);
        k->end[i] = k->bytes.n;
    }
}

static void keys_free(struct keys *k)
{
    buf_fini(&k->bytes);
    mem_free(k->end);
    mem_free(k->cut);
}

static slice key_at(const struct keys *k, size_t i)
{
    size_t from = i ? k->end[i - 1] : 0;
    return slice_of(k->bytes.p + from, k->end[i] - from);
}

/* table[i][j]: how many elements a[i…] and b[j…] have in common, in order. */
static uint32_t *common_table(struct diff *d, struct span a, struct span b)
{
    size_t row = b.n + 1;
    uint32_t *t = mem_zalloc((a.n + 1) * row * sizeof *t);
    struct keys ka = {0}, kb = {0};
    keys_make(&ka, a);
    keys_make(&kb, b);
    for (size_t i = a.n; i-- > 0;)
        for (size_t j = b.n; j-- > 0;) {
            bool eq = slice_eq(key_at(&ka, i), key_at(&kb, j)) &&
                      (!ka.cut[i] || !kb.cut[j] || same(d, a.v[i].value->raw, b.v[j].value->raw));
            uint32_t down = t[(i + 1) * row + j], right = t[i * row + j + 1];
            t[i * row + j] = eq ? t[(i + 1) * row + j + 1] + 1 : down > right ? down : right;
        }
    keys_free(&ka);
    keys_free(&kb);
    return t;
}

/* Elements a have become elements b, at *at of the array as it is by then. */
static void replace_span(struct diff *d, struct span a, struct span b, size_t *at)
{
    size_t pairs = a.n < b.n ? a.n : b.n, before;
    for (size_t i = 0; i < pairs; i++) {
        before = push_index(d, (*at)++);
        differ(d, a.v[i].value->raw, b.v[i].value->raw);
        d->pointer.n = before;
    }
    for (size_t i = pairs; i < a.n; i++) {
        before = push_index(d, *at);
        emit(d, "remove", NULL);
        d->pointer.n = before;
    }
    for (size_t i = pairs; i < b.n; i++) {
        before = push_index(d, (*at)++);
        emit(d, "add", &b.v[i].value->raw);
        d->pointer.n = before;
    }
}

static void differ_by_table(struct diff *d, struct span a, struct span b, size_t at)
{
    size_t row = b.n + 1, i = 0, j = 0, i0 = 0, j0 = 0;
    uint32_t *t = common_table(d, a, b);
    while (i < a.n && j < b.n) {
        uint32_t here = t[i * row + j];
        if (here == t[(i + 1) * row + j]) {
            i++;
        } else if (here == t[i * row + j + 1]) {
            j++;
        } else { /* a[i] and b[j] are common */
            replace_span(d, (struct span){a.v + i0, i - i0}, (struct span){b.v + j0, j - j0}, &at);
            at++;
            i0 = ++i;
            j0 = ++j;
        }
    }
    replace_span(d, (struct span){a.v + i0, a.n - i0}, (struct span){b.v + j0, b.n - j0}, &at);
    mem_free(t);
}

static void differ_arrays(struct diff *d, const struct patch_piece *pa, const struct patch_piece *pb)
{
    struct span a = {pa->child, pa->n}, b = {pb->child, pb->n};
    size_t at = 0;
    bool alone = a.n == 1 && b.n == 1; /* they are looked into anyway */
    while (!alone && a.n && b.n && same(d, a.v->value->raw, b.v->value->raw)) a.v++, a.n--, b.v++, b.n--, at++;
    while (!alone && a.n && b.n && same(d, a.v[a.n - 1].value->raw, b.v[b.n - 1].value->raw)) a.n--, b.n--;
    if (a.n > 1 && b.n > 1 && (a.n + 1) <= CELLS_MAX / (b.n + 1))
        differ_by_table(d, a, b, at);
    else if (a.n || b.n)
        replace_span(d, a, b, &at);
}

static void differ(struct diff *d, slice a, slice b)
{
    if (slice_eq(a, b)) return;
    enum json_type ta = json_type_of(a), tb = json_type_of(b);
    struct patch_piece *from = NULL, *to = NULL;
    if (ta == tb && ta >= JSON_ARRAY && patch_spend(&d->t, 0)) {
        from = opened(d, a);
        to = opened(d, b);
    }
    if (!from || !patch_spend(&d->t, 0)) {
        if (json_compare(a, b) != 0) emit(d, "replace", &b);
    } else if (ta == JSON_OBJECT) {
        differ_objects(d, from, to);
    } else {
        differ_arrays(d, from, to);
    }
}

void patch_diff_ops(slice from, slice to, struct buf *out)
{
    struct diff d;
    diff_init(&d, from, out);
    differ(&d, from, to);
    if (d.n) buf_add_byte(out, ']');
    diff_fini(&d);
}

/* ---- merge patches ---- */

/* Does the value hold a null that a merge patch would take for a removal? Those in arrays are safe. The pointer then stands at it. */
static bool loses_null(struct diff *d, slice value)
{
    slice name, inner;
    size_t at = 0, before = d->pointer.n;
    if (json_type_of(value) == JSON_NULL) return true;
    if (json_type_of(value) != JSON_OBJECT || !memmem(value.p, value.n, "null", 4)) return false;
    while (json_next(value, &at, &name, &inner) == E_OK) {
        patch_pointer_add(&d->pointer, patch_text(&d->t, name));
        if (loses_null(d, inner)) return true;
        d->pointer.n = before;
    }
    return false;
}

enum merged { MERGED_SAME, MERGED_WRITTEN, MERGED_LOST };

/* A value that takes the place of another, or of nothing. */
static enum merged write_whole(struct diff *d, slice b, bool top)
{
    if (!(top && json_type_of(b) == JSON_NULL) && loses_null(d, b)) return MERGED_LOST;
    buf_add_slice(d->out, b);
    return MERGED_WRITTEN;
}

static enum merged merge(struct diff *d, slice a, slice b, bool top);

static void begin_member(struct diff *d, slice name, bool *any)
{
    buf_add_byte(d->out, *any ? ',' : '{');
    json_quote(name, d->out);
    buf_add_byte(d->out, ':');
    *any = true;
}

static enum merged merge_objects(struct diff *d, slice a, slice b)
{
    struct patch_piece *from = opened(d, a), *to = opened(d, b);
    size_t before = d->pointer.n;
    bool any = false;
    for (size_t i = 0; i < from->n; i++) {
        const struct patch_child *was = &from->child[i], *is = patch_member(&d->t, to, was->name);
        size_t start = d->out->n;
        bool first = !any;
        begin_member(d, was->name, &any);
        patch_pointer_add(&d->pointer, was->name);
        enum merged r = MERGED_WRITTEN;
        if (is)
            r = merge(d, was->value->raw, is->value->raw, false);
        else
            buf_add_str(d->out, "null");
        if (r == MERGED_LOST) return r;
        d->pointer.n = before;
        if (r == MERGED_WRITTEN) continue;
        d->out->n = start;
        any = !first;
    }
    for (size_t i = 0; i < to->n; i++) {
        const struct patch_child *is = &to->child[i];
        if (patch_member(&d->t, from, is->name)) continue;
        begin_member(d, is->name, &any);
        patch_pointer_add(&d->pointer, is->name);
        if (write_whole(d, is->value->raw, false) == MERGED_LOST) return MERGED_LOST;
        d->pointer.n = before;
    }
    if (any) buf_add_byte(d->out, '}');
    return any ? MERGED_WRITTEN : MERGED_SAME;
}

static enum merged merge(struct diff *d, slice a, slice b, bool top)
{
    if (slice_eq(a, b)) return MERGED_SAME;
    if (json_type_of(a) == JSON_OBJECT && json_type_of(b) == JSON_OBJECT) return merge_objects(d, a, b);
    return json_compare(a, b) == 0 ? MERGED_SAME : write_whole(d, b, top);
}

bool patch_diff_merge(slice from, slice to, struct buf *out, struct buf *pointer)
{
    struct diff d;
    diff_init(&d, from, out);
    d.t.work_max = UINT64_MAX; /* each value is opened once a level: there is nothing to cut short */
    bool done = merge(&d, from, to, true) != MERGED_LOST;
    if (!done) buf_add_slice(pointer, buf_slice(&d.pointer));
    diff_fini(&d);
    return done;
}
