/* Encodings of index entries: round trips, order, and damage. */
#include "unit/engine/foldbed.h"

static const slice names[] = {
    {(const uint8_t *)"", 0},     {(const uint8_t *)"\0", 1},     {(const uint8_t *)"\0\0", 2},
    {(const uint8_t *)"\0\1", 2}, {(const uint8_t *)"\0\xff", 2}, {(const uint8_t *)"\1", 1},
    {(const uint8_t *)"a", 1},    {(const uint8_t *)"a\0", 2},    {(const uint8_t *)"a\0b", 3},
    {(const uint8_t *)"a\1", 2},  {(const uint8_t *)"ab", 2},     {(const uint8_t *)"b", 1},
    {(const uint8_t *)"\xff", 1}, {(const uint8_t *)"\xff\0", 2}, {(const uint8_t *)"\xff\xff", 2},
};
#define NAMES (sizeof names / sizeof names[0])

static void test_order(void **state)
{
    struct buf x = {0}, y = {0}, mem = {0};
    uint64_t seq;
    for (size_t i = 0; i < NAMES; i++)
        for (size_t k = 0; k < NAMES; k++) {
            int want = slice_cmp(names[i], names[k]);
            range_doc(&x, 3, names[i], 9);
            range_doc(&y, 3, names[k], 5);
            int have = slice_cmp(buf_slice(&x), buf_slice(&y));
            assert_int_equal(have < 0, want ? want < 0 : true); /* the same key: newer first */
            range_sorted(&x, 7, slice_str("S"), names[i]);
            range_sorted(&y, 7, slice_str("S"), names[k]);
            have = slice_cmp(buf_slice(&x), buf_slice(&y));
            assert_int_equal((have > 0) - (have < 0), (want > 0) - (want < 0));
            range_doc_from(&y, 3, names[k]); /* a prefix covers exactly the keys that begin so */
            range_doc(&x, 3, names[i], 9);
            assert_int_equal(slice_starts(buf_slice(&x), buf_slice(&y)), slice_starts(names[i], names[k]));
        }
    for (size_t i = 0; i < NAMES; i++) {
        range_doc(&x, 3, names[i], 77);
        assert_int_equal(range_doc_parse(buf_slice(&x), &mem, &seq), E_OK);
        assert_true(slice_eq(buf_slice(&mem), names[i]));
        assert_int_equal(seq, 77);
    }
    buf_fini(&x), buf_fini(&y), buf_fini(&mem);
}

static void test_versions(void **state)
{
    struct hash_seed seed = {{1, 2}};
    struct buf k = {0}, value = {0};
    struct version v = {.seq = 12,
                        .op = NODE_PUT,
                        .type = TYPE_HASH,
                        .flags = 0x700,
                        .ver = UINT64_MAX,
                        .expire_ms = 1u << 30,
                        .bytes = UINT32_MAX},
                   w;
    uint8_t space;
    uint16_t lineage;
    uint64_t seq;
    slice key;
    range_version(&k, &seed, SPACE_TAG, 513, slice_str("key"), 12);
    assert_int_equal(k.n, range_version_prefix(slice_str("key")) + 8);
    assert_int_equal(range_version_parse(buf_slice(&k), &space, &lineage, &key, &seq), E_OK);
    assert_int_equal(space, SPACE_TAG);
    assert_int_equal(lineage, 513);
    assert_true(slice_eq(key, slice_str("key")));
    assert_int_equal(seq, 12);
    range_version_value(&value, &v);
    assert_int_equal(range_version_parse_value(buf_slice(&value), 12, &w), E_OK);
    assert_true(w.seq == 12 && w.op == v.op && w.type == v.type && w.flags == v.flags);
    assert_true(w.ver == v.ver && w.expire_ms == v.expire_ms && w.bytes == v.bytes);
    for (size_t n = 0; n < k.n; n++)
        assert_int_equal(range_version_parse(slice_of(k.p, n), &space, &lineage, &key, &seq), E_CORRUPT);
    for (size_t n = 0; n < value.n; n++) assert_int_equal(range_version_parse_value(slice_of(value.p, n), 1, &w), E_CORRUPT);
    value.p[0] = NODE_FLUSH;
    assert_int_equal(range_version_parse_value(buf_slice(&value), 1, &w), E_CORRUPT);
    buf_fini(&k), buf_fini(&value);
}

static void test_links(void **state)
{
    struct buf k = {0}, prefix = {0}, mem = {0};
    slice part[3];
    uint64_t seq;
    for (size_t i = 0; i < NAMES; i++) {
        slice in[3] = {names[i], names[(i + 5) % NAMES], names[(i + 9) % NAMES]};
        range_link(&k, RANGE_LINK_IN, 2, in, 99);
        assert_int_equal(range_link_parse(buf_slice(&k), &mem, part, &seq), E_OK);
        for (int j = 0; j < 3; j++) assert_true(slice_eq(part[j], in[j]));
        assert_int_equal(seq, 99);
        range_link_from(&prefix, RANGE_LINK_IN, 2, in[0], in[1]);
        assert_true(slice_starts(buf_slice(&k), buf_slice(&prefix)));
        for (size_t n = 0; n < k.n; n++) assert_int_equal(range_link_parse(slice_of(k.p, n), &mem, part, &seq), E_CORRUPT);
    }
    buf_fini(&k), buf_fini(&prefix), buf_fini(&mem);
}

static void test_intervals(void **state)
{
    struct buf k = {0}, value = {0}, key = {0};
    struct range_interval v;
    size_t used;
    range_sorted(&k, 5, slice_str("sort"), names[8]);
    range_sorted_value(&value, 4, 300);
    assert_int_equal(range_interval_parse(buf_slice(&k), buf_slice(&value), &v), E_OK);
    assert_true(v.index == 5 && v.from == 300 && v.to == UINT64_MAX && slice_eq(v.sort_key, slice_str("sort")));
    range_closed(&k, 5, slice_str("sort"), names[8], 300);
    range_sorted_value(&value, 4, 400);
    assert_int_equal(range_interval_parse(buf_slice(&k), buf_slice(&value), &v), E_OK);
    assert_true(v.index == 5 && v.from == 300 && v.to == 400 && slice_eq(v.sort_key, slice_str("sort")));
    assert_int_equal(range_unescape(v.escaped, &key, &used), E_OK);
    assert_true(used == v.escaped.n && slice_eq(buf_slice(&key), names[8]));
    range_closed(&k, 0x12345, slice_str("sort"), names[8], 300);
    assert_int_equal(range_interval_parse(buf_slice(&k), buf_slice(&value), &v), E_OK);
    assert_true(v.index == 0x12345 && v.from == 300 && v.to == 400 && slice_eq(v.sort_key, slice_str("sort")));
    range_sorted_value(&value, 400, 400);
    assert_int_equal(range_interval_parse(buf_slice(&k), buf_slice(&value), &v), E_CORRUPT);
    assert_int_equal(range_unescape(slice_of("a\0\2", 3), &key, &used), E_CORRUPT);
    assert_int_equal(range_unescape(slice_of("a\0", 2), &key, &used), E_CORRUPT);
    assert_int_equal(range_unescape(slice_str("a"), &key, &used), E_CORRUPT);
    buf_fini(&k), buf_fini(&value), buf_fini(&key);
}

static void test_others(void **state)
{
    struct buf k = {0}, value = {0};
    struct live_key live;
    uint64_t ms, seq;
    uint16_t lineage, ab[2];
    uint8_t kind;
    slice key;
    bool alive;
    range_live(&k, 1, 2, 3, slice_str("key"));
    range_live_value(&value, TYPE_SET, true);
    assert_int_equal(range_live_parse(buf_slice(&k), buf_slice(&value), &live), E_OK);
    assert_true(live.hash == 3 && live.type == TYPE_SET && live.expires && slice_eq(live.key, slice_str("key")));
    assert_int_equal(range_live_parse(slice_of(k.p, k.n - 1), buf_slice(&value), &live), E_CORRUPT);
    range_expiry(&k, 77, 4, slice_str("key"));
    assert_int_equal(range_expiry_parse(buf_slice(&k), &ms, &lineage, &key), E_OK);
    assert_true(ms == 77 && lineage == 4 && slice_eq(key, slice_str("key")));
    range_effect(&k, 5, 6);
    assert_int_equal(range_effect_parse(buf_slice(&k), &seq), E_OK);
    assert_int_equal(seq, 6);
    range_flag_value(&value, true);
    assert_int_equal(range_flag_parse(buf_slice(&value), &alive), E_OK);
    assert_true(alive);
    assert_int_equal(range_flag_parse(slice_str("x"), &alive), E_CORRUPT);
    range_event(&k, 8);
    range_event_value(&value, NODE_SWAP, 1, 2);
    assert_int_equal(range_event_parse(buf_slice(&k), buf_slice(&value), &seq, &kind, ab), E_OK);
    assert_true(seq == 8 && kind == NODE_SWAP && ab[0] == 1 && ab[1] == 2);
    range_event_value(&value, NODE_SWAP, 1, NODE_ALL_LINEAGES);
    assert_int_equal(range_event_parse(buf_slice(&k), buf_slice(&value), &seq, &kind, ab), E_CORRUPT);
    assert_int_equal(range_seq_parse(slice_of("", 0), &seq), E_CORRUPT);
    k.n = 2;
    memset(k.p, 0xff, 2);
    assert_false(range_end(&k));
    buf_fini(&k), buf_fini(&value);
}

int main(void)
{
    log_set_level(LOG_NOTHING);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),     cmocka_unit_test(test_versions), cmocka_unit_test(test_links),
        cmocka_unit_test(test_intervals), cmocka_unit_test(test_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
