/* Rows on their way into a reply: what went in comes out, in both protocols, with any bytes. */
#include "unit/modules/doc_bed.h"

#include "modules/doc/rows.h"

static void test_shapes(void **state)
{
    struct bed *b = *state;
    struct call c = probe(b, NULL, 0);
    struct rows r = {0};
    rows_reply(&c, &r, true);
    assert_string_equal(probe_text(b), "*0");
    rows_add(&r, slice_str("k"), slice_str("{}"));
    rows_add(&r, (slice){0}, (slice){0});
    rows_reply(&c, &r, false);
    assert_string_equal(probe_text(b), "*2 $1 k $0");
    rows_reply(&c, &r, true);
    assert_string_equal(probe_text(b), "*2 *2 $1 k $2 {} *2 $0  $0");
    rows_reply(&c, &r, true); /* as often as wanted */
    assert_string_equal(probe_text(b), "*2 *2 $1 k $2 {} *2 $0  $0");
    rows_fini(&r);
    assert_int_equal(r.n, 0);
    rows_add(&r, slice_str("again"), slice_str("1"));
    rows_reply(&c, &r, false);
    assert_string_equal(probe_text(b), "*1 $5 again");
    rows_fini(&r);
}

static void test_maps_of_both_protocols(void **state)
{
    struct bed *b = *state;
    struct call c = probe(b, NULL, 0);
    struct rows r = {0};
    rows_reply_maps(&c, &r, 3);
    assert_string_equal(probe_text(b), "*0");
    for (int i = 0; i < 4; i++) rows_add(&r, slice_str(i % 2 ? "n" : "g"), slice_str(i < 2 ? "1" : "2"));
    rows_reply_maps(&c, &r, 2);
    assert_string_equal(probe_text(b), "*2 *4 $1 g $1 1 $1 n $1 1 *4 $1 g $1 2 $1 n $1 2");
    c.resp = 3;
    rows_reply_maps(&c, &r, 2);
    assert_string_equal(probe_text(b), "*2 %2 $1 g $1 1 $1 n $1 1 %2 $1 g $1 2 $1 n $1 2");
    rows_reply_maps(&c, &r, 4); /* all pairs in one map */
    assert_string_equal(probe_text(b), "*1 %4 $1 g $1 1 $1 n $1 1 $1 g $1 2 $1 n $1 2");
    rows_fini(&r);
}

/* Lengths of all digits, bytes of all values; the buffer moves many times. */
static void test_many_of_any_bytes(void **state)
{
    struct bed *b = *state;
    struct call c = probe(b, NULL, 0);
    struct rows r = {0};
    struct rng random = {3};
    struct buf want = {0}, text = {0};
    for (size_t i = 0; i < 3000; i++) {
        size_t n = i < 3 ? i * 70000 : rng_below(&random, 130), key = rng_below(&random, 12);
        buf_clear(&text);
        for (size_t k = 0; k < n + key; k++) buf_add_byte(&text, (uint8_t)rng_next(&random));
        rows_add(&r, slice_of(text.p, key), slice_of(text.p + key, n));
        buf_printf(&want, "*2\r\n$%zu\r\n", key);
        buf_add(&want, text.p, key);
        buf_printf(&want, "\r\n$%zu\r\n", n);
        buf_add(&want, text.p + key, n);
        buf_add_str(&want, "\r\n");
    }
    rows_reply(&c, &r, true);
    struct buf *out = &bed_client(b)->out;
    assert_int_equal(out->n, want.n + strlen("*3000\r\n"));
    assert_memory_equal(out->p + strlen("*3000\r\n"), want.p, want.n);
    (void)probe_text(b);
    rows_fini(&r);
    buf_fini(&want);
    buf_fini(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SERVER(test_shapes),
        WITH_SERVER(test_maps_of_both_protocols),
        WITH_SERVER(test_many_of_any_bytes),
    };
    return cmocka_run_group_tests_name("doc_rows", tests, NULL, NULL);
}
