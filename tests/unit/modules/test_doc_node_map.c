/* Node maps: the longest that can be, the two protocols side by side, and errors in their place. */
#include "unit/modules/doc_bed.h"

#include "modules/doc/node_map.h"

#define CAUSE_STORED_BYTES 40

/* Bytes of one whole element of either protocol; 0: none. */
static size_t element_bytes(const uint8_t *p, size_t n)
{
    const uint8_t *end = n ? memchr(p, '\n', n) : NULL;
    if (end == NULL) return 0;
    size_t at = (size_t)(end - p) + 1;
    long count = *p == '_' ? 0 : strtol((const char *)p + 1, NULL, 10);
    if (*p == '$' && count >= 0) return at + (size_t)count + 2 <= n && p[at + (size_t)count] == '\r' ? at + (size_t)count + 2 : 0;
    if (*p == '%') count *= 2;
    for (; (*p == '*' || *p == '%') && count > 0; count--) {
        size_t one = element_bytes(p + at, n - at);
        if (one == 0) return 0;
        at += one;
    }
    return at;
}

static void fill(struct buf *b, size_t n, uint8_t byte)
{
    memset(buf_reserve(b, n + 1), byte, n);
    b->n = n;
}

/* Every field as long as a node can have it: the room that is reserved beforehand suffices, and the row is one whole element. */
static void test_longest_row(void **state)
{
    struct buf key = {0}, part = {0}, by = {0}, note = {0}, causes = {0}, out = {0};
    fill(&by, NODE_BY_MAX, 'b');
    fill(&note, NODE_NOTE_MAX, 'n');
    fill(&causes, NODE_CAUSES_MAX * CAUSE_STORED_BYTES, 0xff);
    fill(&part, NODE_KEY_MAX - 12, ' '); /* each blank is written as two bytes */
    link_key(&key, buf_slice(&part), slice_str("\\"), slice_str(" "));
    assert_true(key.n <= NODE_KEY_MAX);
    struct doc_view v = {.seq = INT64_MAX, .commit_first = INT64_MAX, .commit_last = INT64_MAX, .state = DOC_DELETED};
    v.node = (struct node){.op = NODE_PUT,
                           .type = TYPE_DOCUMENT,
                           .space = SPACE_LINK,
                           .seq = INT64_MAX,
                           .ts_ms = INT64_MAX,
                           .prev = INT64_MAX,
                           .ver = INT64_MAX,
                           .expire_ms = INT64_MAX,
                           .has_valid = true,
                           .valid_from = INT64_MIN + 1,
                           .valid_to = INT64_MIN + 2,
                           .causes = causes.p,
                           .n_causes = NODE_CAUSES_MAX,
                           .by = buf_slice(&by),
                           .note = buf_slice(&note),
                           .key = buf_slice(&key)};
    for (int resp = 2; resp <= 3; resp++)
        for (int pass = 0; pass < 4; pass++) {
            slice data = buf_slice(&note);
            v.node.space = pass & 1 ? SPACE_KEY : SPACE_LINK;
            v.pruned = pass & 2;
            struct buf fresh = {0}; /* its room is exactly what was reserved: the sanitizer sees one byte more */
            node_map_encode(&fresh, resp, &v, pass ? &data : NULL, UINT32_MAX - 1);
            assert_int_equal(element_bytes(fresh.p, fresh.n), fresh.n);
            buf_fini(&fresh);
        }
    buf_fini(&key), buf_fini(&part), buf_fini(&by), buf_fini(&note), buf_fini(&causes), buf_fini(&out);
}

/* RESP3 in RESP2's spelling. */
static void flatten(const struct buf *in, struct buf *out)
{
    buf_clear(out);
    for (size_t at = 0; at < in->n;) {
        const uint8_t *end = memchr(in->p + at, '\n', in->n - at);
        assert_non_null(end);
        size_t line = (size_t)(end + 1 - in->p) - at;
        long count = in->p[at] == '_' ? 0 : strtol((const char *)in->p + at + 1, NULL, 10);
        if (in->p[at] == '%')
            buf_printf(out, "*%ld\r\n", 2 * count);
        else if (in->p[at] == '_')
            buf_add_str(out, "$-1\r\n");
        else
            buf_add(out, in->p + at, line);
        if (in->p[at] == '$') {
            buf_add(out, in->p + at + line, (size_t)count + 2);
            line += (size_t)count + 2;
        }
        at += line;
    }
}

static void test_both_protocols_say_the_same(void **state)
{
    struct rng r = {17};
    struct buf two = {0}, three = {0}, flat = {0};
    uint8_t causes[3 * CAUSE_STORED_BYTES];
    for (size_t i = 0; i < sizeof causes; i++) causes[i] = (uint8_t)rng_next(&r) & 0x7f;
    for (int i = 0; i < 3000; i++) {
        static const uint8_t ops[] = {NODE_PUT,  NODE_DELETE, NODE_EXPIRE, NODE_EFFECT,
                                      NODE_META, NODE_FLUSH,  NODE_SWAP,   NODE_FILLER};
        struct doc_view v = {.seq = rng_next(&r) >> 1,
                             .state = (enum doc_state)rng_below(&r, 4),
                             .commit_first = rng_next(&r) >> (1 + rng_below(&r, 60)),
                             .commit_last = 9};
        v.pruned = rng_below(&r, 5) == 0;
        v.node = (struct node){.op = ops[rng_below(&r, 8)],
                               .type = (uint8_t)rng_below(&r, 12),
                               .space = (uint8_t)rng_below(&r, 5),
                               .ts_ms = rng_next(&r) >> 1,
                               .prev = rng_below(&r, 2),
                               .ver = rng_below(&r, 12),
                               .expire_ms = rng_below(&r, 2),
                               .has_valid = rng_below(&r, 2),
                               .valid_from = rng_below(&r, 2) ? INT64_MIN : -5,
                               .valid_to = rng_below(&r, 2) ? INT64_MAX : 12,
                               .causes = causes,
                               .n_causes = rng_below(&r, 4),
                               .key = slice_str("a key"),
                               .note = slice_str(rng_below(&r, 2) ? "" : "note")};
        slice data = slice_str("{}");
        uint32_t depth = rng_below(&r, 2) ? NODE_MAP_NO_DEPTH : rng_below(&r, 30);
        bool given = rng_below(&r, 2);
        buf_clear(&two), buf_clear(&three);
        node_map_encode(&two, 2, &v, given ? &data : NULL, depth);
        node_map_encode(&three, 3, &v, given ? &data : NULL, depth);
        assert_int_equal(element_bytes(two.p, two.n), two.n);
        assert_int_equal(element_bytes(three.p, three.n), three.n);
        assert_int_equal(strtol((const char *)three.p + 1, NULL, 10), DOC_MAP_FIELDS + (depth != NODE_MAP_NO_DEPTH));
        flatten(&three, &flat);
        assert_true(slice_eq(buf_slice(&flat), buf_slice(&two)));
    }
    buf_fini(&two), buf_fini(&three), buf_fini(&flat);
}

/* Rows that cannot be read stand between the others as errors, wherever they are, and none is left out. */
static void test_unreadable_rows(void **state)
{
    struct bed *b = *state;
    say(b, "DPUT k 1");
    uint64_t seq = head_of(b);
    struct call c = probe(b, NULL, 0);
    struct rng r = {23};
    for (int round = 0; round < 200; round++) {
        struct node_maps m = {.with_data = round & 1};
        char kind[60]; /* more than are finished together */
        size_t n = rng_below(&r, sizeof kind);
        for (size_t i = 0; i < n; i++) {
            kind[i] = "rfxe"[rng_below(&r, 4)];
            if (kind[i] == 'r') node_maps_add(&c, &m, seq, (uint32_t)i);
            if (kind[i] == 'f') node_maps_add_failure(&c, &m, E_CORRUPT);
            if (kind[i] == 'x') node_maps_add(&c, &m, seq + 1000, (uint32_t)i); /* the log has not come so far */
            if (kind[i] == 'e') node_map_add_int(node_maps_row(&c, &m), (int64_t)i);
        }
        assert_int_equal(m.n, n);
        node_maps_reply(&c, &m);
        struct buf *out = &bed_client(b)->out;
        size_t at = 0;
        for (size_t i = 0; i < n; i++) {
            assert_int_equal(out->p[at], kind[i] == 'r' ? '*' : kind[i] == 'e' ? ':' : '-');
            if (kind[i] == 'f') assert_memory_equal(out->p + at, "-CORRUPT ", 9);
            size_t one = element_bytes(out->p + at, out->n - at);
            assert_true(one > 0);
            at += one;
        }
        assert_int_equal(at, out->n);
        (void)probe_text(b);
        node_maps_clear(&m);
        node_maps_reply(&c, &m);
        assert_string_equal(probe_text(b), "");
        node_maps_fini(&m);
    }
}

/* A version whose value cannot be rebuilt: the row has an error where its data would be, and its other fields. */
static void test_unreadable_data(void **state)
{
    struct bed *b = *state;
    struct call c = probe(b, NULL, 0);
    struct node_maps m = {.with_data = true};
    struct doc_view v = {.seq = 70, .commit_first = 70, .commit_last = 70};
    v.node = (struct node){
        .op = NODE_EFFECT, .type = TYPE_STRING, .space = SPACE_KEY, .seq = 70, .prev = 69, .key = slice_str("gone")};
    struct buf mem = {0};
    slice data;
    int r = doc_view_data(&c, &v, &mem, &data);
    assert_true(r < 0);
    node_maps_add_view(&c, &m, &v, NODE_MAP_NO_DEPTH);
    node_maps_reply(&c, &m);
    struct buf *out = &bed_client(b)->out;
    assert_int_equal(element_bytes(out->p, out->n), out->n);
    const char *text = probe_text(b);
    if (r == E_NOTFOUND)
        assert_non_null(strstr(text, "$4 data $-1 $4 type $6 string"));
    else
        assert_non_null(strstr(text, "$4 data -"));
    assert_non_null(strstr(text, "$7 expires $-1"));
    buf_fini(&mem);
    node_maps_fini(&m);
}

static void test_link_names(void **state)
{
    struct buf out = {0};
    node_map_link_name(&out, slice_str("a b"), slice_str("\\"), (slice){0});
    assert_true(slice_is(buf_slice(&out), "a\\ b \\\\ "));
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_longest_row), cmocka_unit_test(test_both_protocols_say_the_same),
        WITH_SERVER(test_unreadable_rows),  WITH_SERVER(test_unreadable_data),
        cmocka_unit_test(test_link_names),
    };
    return cmocka_run_group_tests_name("doc_node_map", tests, NULL, NULL);
}
