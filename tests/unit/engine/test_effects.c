/* Effects of a node, and idempotency tokens. */
#include "unit/engine/foldbed.h"

static void test_effects(void **state)
{
    struct bed *b = bed_new();
    uint8_t causes[2 * 40] = {0};
    struct effect_cursor *c = NULL;
    uint64_t seq;
    bed_put(b, 0, "a", TYPE_STRING, "v");
    bed_put(b, 0, "b", TYPE_STRING, "v");
    put_u64(causes, 1), put_u64(causes + 40, 2);
    for (int i = 0; i < 5; i++)
        bed_write(b, (struct node){.op = NODE_PUT,
                                   .type = TYPE_DOCUMENT,
                                   .key = slice_str("c"),
                                   .payload = slice_str("1"),
                                   .causes = causes,
                                   .n_causes = i % 2 ? 1 : 2});
    bed_step(b);
    assert_int_equal(engine_effects(&b->e, 1, &c), E_OK);
    for (uint64_t want = 3; want <= 7; want++) {
        assert_int_equal(effect_next(c, &seq), E_OK);
        assert_int_equal(seq, want);
    }
    assert_int_equal(effect_next(c, &seq), E_END);
    effect_close(&c);
    assert_int_equal(engine_effects(&b->e, 2, &c), E_OK);
    for (uint64_t want = 3; want <= 7; want += 2) {
        assert_int_equal(effect_next(c, &seq), E_OK);
        assert_int_equal(seq, want);
    }
    assert_int_equal(effect_next(c, &seq), E_END);
    effect_close(&c);
    assert_int_equal(engine_effects(&b->e, 3, &c), E_OK);
    assert_int_equal(effect_next(c, &seq), E_END);
    effect_close(&c);
    assert_null(c);
    bed_free(b);
}

static void test_tokens(void **state)
{
    struct bed *b = bed_new();
    uint64_t seq;
    bed_write(b, (struct node){.op = NODE_PUT, .type = TYPE_STRING, .key = slice_str("a"), .idem = slice_str("t")});
    bed_write(b, (struct node){.op = NODE_PUT, .type = TYPE_STRING, .key = slice_str("a"), .idem = slice_str("tt")});
    bed_write(b, (struct node){.op = NODE_PUT, .type = TYPE_STRING, .lineage = 1, .key = slice_str("a"), .idem = slice_str("u")});
    bed_step(b);
    for (int flushed = 0; flushed < 2; flushed++) {
        assert_int_equal(engine_find_token(&b->e, 0, slice_str("t"), &seq), E_OK);
        assert_int_equal(seq, 1);
        assert_int_equal(engine_find_token(&b->e, 0, slice_str("tt"), &seq), E_OK);
        assert_int_equal(seq, 2);
        assert_int_equal(engine_find_token(&b->e, 0, slice_str("u"), &seq), E_NOTFOUND);
        assert_int_equal(engine_find_token(&b->e, 0, slice_str(""), &seq), E_NOTFOUND);
        if (!flushed) assert_int_equal(index_flush(b->e.index), E_OK);
    }
    bed_write(b, (struct node){.op = NODE_PUT, .type = TYPE_STRING, .key = slice_str("z"), .idem = slice_str("t")});
    bed_step(b);
    assert_int_equal(engine_find_token(&b->e, 0, slice_str("t"), &seq), E_OK);
    assert_int_equal(seq, 4);
    bed_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_effects), cmocka_unit_test(test_tokens)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
