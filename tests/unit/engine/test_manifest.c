/* The manifest: round trips, and every kind of damage refused. */
#include "unit/engine/engine_world.h"

#include "base/codec.h"
#include "engine/manifest.h"
#include "support/page.h"

static struct manifest sample(void)
{
    struct manifest m = {.clean = true,
                         .covers = 41,
                         .floor = 43,
                         .newest_ms = 1763697120000,
                         .horizon = 7,
                         .created_ms = 1763697000000,
                         .number = 5,
                         .first_unlisted = 42};
    for (size_t i = 0; i < sizeof(m.store_id); i++) m.store_id[i] = (uint8_t)i;
    for (size_t i = 0; i < HASH_BYTES; i++) m.root[i] = (uint8_t)(0xa0 + i);
    m.seed = (struct hash_seed){{1, 2}};
    m.segments = mem_zalloc(2 * sizeof(*m.segments));
    m.segments[0] = (struct seg_id){1, 3, true};
    m.segments[1] = (struct seg_id){30, 0, false};
    m.n_segments = 2;
    m.runs = mem_zalloc(sizeof(*m.runs));
    m.runs[0] = (struct run_id){.id = 9, .level = 1, .bytes = 4096, .entries = 100};
    m.n_runs = 1;
    buf_add_str(&m.books, "books");
    return m;
}

static void round_trip(void **state)
{
    struct manifest m = sample(), got;
    struct buf bytes = {0}, again = {0};
    manifest_encode(&m, &bytes);
    assert_int_equal(manifest_decode(buf_slice(&bytes), &got), E_OK);
    assert_true(got.clean && !got.forget_due);
    assert_int_equal(got.covers, 41);
    assert_int_equal(got.floor, 43);
    assert_int_equal(got.horizon, 7);
    assert_int_equal(got.n_segments, 2);
    assert_true(got.segments[0].compacted && got.segments[0].generation == 3);
    assert_int_equal(got.segments[1].first_seq, 30);
    assert_int_equal(got.runs[0].entries, 100);
    assert_int_equal(got.runs[0].level, 1);
    manifest_encode(&got, &again);
    assert_true(slice_eq(buf_slice(&bytes), buf_slice(&again)));
    manifest_fini(&m);
    manifest_fini(&got);
    buf_fini(&bytes);
    buf_fini(&again);
}

/* The example in src/docs/format-manifest.md. Its books are looked at in test_books. */
static void documented(void **state)
{
    struct manifest m = {.clean = true, .covers = 2, .floor = 2, .newest_ms = 1700000000000, .created_ms = 1699999999000, .number = 2, .first_unlisted = 2};
    struct seg_id segment = {1, 0, false};
    struct run_id run = {.id = 1, .bytes = 281, .entries = 3};
    struct manifest got;
    struct buf page = {0}, tree = {0}, bytes = {0};
    assert_true(page_example("src/docs/format-manifest.md", "manifest", &page));
    assert_true(page_example("src/docs/format-tree.md", "hashes", &tree));
    assert_int_equal(manifest_decode(buf_slice(&page), &got), E_OK);
    for (size_t i = 0; i < sizeof m.store_id; i++) m.store_id[i] = (uint8_t)(0xb0 + i);
    memcpy(m.root, tree.p + 3 * HASH_BYTES, HASH_BYTES);
    m.seed = (struct hash_seed){{1, 2}};
    m.segments = &segment, m.n_segments = 1, m.runs = &run, m.n_runs = 1;
    m.books = got.books;
    manifest_encode(&m, &bytes);
    assert_true(slice_eq(buf_slice(&bytes), buf_slice(&page)));
    manifest_fini(&got);
    buf_fini(&page), buf_fini(&tree), buf_fini(&bytes);
}

static void every_flipped_bit_is_seen(void **state)
{
    struct manifest m = sample(), got;
    struct buf bytes = {0};
    manifest_encode(&m, &bytes);
    for (size_t i = 0; i < bytes.n * 8; i++) {
        bytes.p[i / 8] ^= (uint8_t)(1u << (i % 8));
        assert_true(manifest_decode(buf_slice(&bytes), &got) < 0);
        bytes.p[i / 8] ^= (uint8_t)(1u << (i % 8));
    }
    for (size_t n = 0; n < bytes.n; n++) assert_int_equal(manifest_decode(slice_of(bytes.p, n), &got), E_CORRUPT);
    manifest_fini(&m);
    buf_fini(&bytes);
}

/* With the sum put right again, the content is still checked. */
static int decode_with(size_t at, uint8_t value)
{
    struct manifest m = sample(), got;
    struct buf bytes = {0};
    manifest_encode(&m, &bytes);
    bytes.p[at] = value;
    put_u32(bytes.p + bytes.n - 4, crc32c(0, bytes.p, bytes.n - 4));
    int rc = manifest_decode(buf_slice(&bytes), &got);
    if (rc == E_OK) manifest_fini(&got);
    manifest_fini(&m);
    buf_fini(&bytes);
    return rc;
}

static void content_is_checked(void **state)
{
    enum { VERSION = 8, FLAGS = 16, COVERS = 52, SEGMENT_1 = 152, SEGMENT_2 = 168, RUN_LEVEL = 184 + 24 };
    assert_int_equal(decode_with(VERSION, 2), E_VERSION);
    assert_int_equal(decode_with(FLAGS, 16), E_CORRUPT);
    assert_int_equal(decode_with(COVERS, 44), E_CORRUPT);
    assert_int_equal(decode_with(SEGMENT_1, 31), E_CORRUPT);
    assert_int_equal(decode_with(SEGMENT_1 + 12, 2), E_CORRUPT);
    assert_int_equal(decode_with(SEGMENT_2, 42), E_CORRUPT);
    assert_int_equal(decode_with(RUN_LEVEL, INDEX_LEVELS), E_CORRUPT);
    assert_int_equal(decode_with(COVERS, 43), E_OK);
}

static void read_and_write(void **state)
{
    struct os *os = os_memory_new();
    struct manifest m = sample(), got;
    assert_int_equal(os_mkdir(os, "/db"), E_OK);
    assert_int_equal(manifest_read(os, "/db", &got), E_NOTFOUND);
    assert_int_equal(manifest_write(os, "/db", &m), E_OK);
    assert_int_equal(m.number, 6);
    assert_int_equal(manifest_read(os, "/db", &got), E_OK);
    assert_int_equal(got.number, 6);
    manifest_fini(&got);
    manifest_fini(&m);
    os_free(&os);
}

int main(void)
{
    log_set_level(LOG_NOTHING);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),
        cmocka_unit_test(documented),
        cmocka_unit_test(every_flipped_bit_is_seen),
        cmocka_unit_test(content_is_checked),
        cmocka_unit_test(read_and_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
