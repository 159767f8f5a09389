/* Sidecars: every look-up against a plain array, every flipped bit and every cut refused. */
#include "logwork.h"

#include "engine/sidecar.h"

#define FIRST 1000u

static struct sidecar_info about(uint32_t flags, uint64_t last)
{
    struct sidecar_info i = {.first_seq = FIRST, .last_seq = last, .generation = 5, .segment_bytes = 1 << 24, .flags = flags};
    memcpy(i.store_id, work_store, 16);
    return i;
}

static void check_lookups(struct os *os, const uint64_t *seqs, size_t n, uint64_t last)
{
    struct sidecar *s;
    struct sidecar_place p;
    uint64_t index;
    assert_int_equal(sidecar_open(os, "/d/x.idx", &s), E_OK);
    assert_int_equal(sidecar_count(s), n);
    size_t want = 0;
    for (uint64_t seq = FIRST - 2; seq <= last + 2; seq++) {
        while (want < n && seqs[want] < seq) want++;
        assert_int_equal(sidecar_ceiling(s, seq, &index), E_OK);
        assert_int_equal(index, want);
    }
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(sidecar_place(s, i, &p), E_OK);
        assert_true(p.seq == seqs[i] && p.offset == 64 + i * 100 && p.more == (i % 3 == 0));
        assert_true(p.end == (i + 1 < n ? 64 + (i + 1) * 100 : 1 << 24));
    }
    assert_memory_equal(sidecar_about(s)->store_id, work_store, 16);
    assert_int_equal(sidecar_about(s)->generation, 5);
    sidecar_close(&s);
}

static void write_one(struct os *os, uint32_t flags, const uint64_t *seqs, size_t n, uint64_t last)
{
    struct sidecar_draft d = {0};
    struct sidecar_info i = about(flags, last);
    for (size_t k = 0; k < n; k++) sidecar_draft_add(&d, seqs[k] - FIRST, 64 + k * 100, k % 3 == 0);
    assert_int_equal(os_mkdir(os, "/d"), E_OK);
    assert_int_equal(sidecar_write(os, "/d", "x.idx", &i, &d), E_OK);
    sidecar_draft_fini(&d);
}

static void test_dense(void **state)
{
    static uint64_t seqs[3000];
    static const size_t sizes[] = {0, 1, 2, 3000};
    for (size_t i = 0; i < 3000; i++) seqs[i] = FIRST + i;
    for (size_t k = 0; k < 4; k++) {
        struct os *os = os_memory_new();
        write_one(os, 0, seqs, sizes[k], FIRST + sizes[k] - 1);
        check_lookups(os, seqs, sizes[k], FIRST + sizes[k] - 1);
        os_free(&os);
    }
}

static void test_sparse(void **state)
{
    static uint64_t seqs[3000];
    static const size_t sizes[] = {0, 1, 511, 512, 513, 1024, 2999};
    for (size_t i = 0, at = FIRST + 3; i < 3000; i++) seqs[i] = at, at += 1 + work_mix(i) % 5;
    for (size_t k = 0; k < 7; k++) {
        struct os *os = os_memory_new();
        uint64_t last = sizes[k] ? seqs[sizes[k] - 1] + 4 : FIRST + 9;
        write_one(os, SIDECAR_SPARSE, seqs, sizes[k], last);
        check_lookups(os, seqs, sizes[k], last);
        os_free(&os);
    }
}

static void test_damage(void **state)
{
    struct os *os = os_sim_new(1);
    uint64_t seqs[20], size;
    struct sidecar *s;
    struct os_file *f;
    for (size_t i = 0; i < 20; i++) seqs[i] = FIRST + i * 3;
    write_one(os, SIDECAR_SPARSE | SIDECAR_LOSSY, seqs, 20, FIRST + 100);
    assert_int_equal(os_open(os, "/d/x.idx", OS_WRITE, &f), E_OK);
    assert_int_equal(os_size(os, f, &size), E_OK);
    assert_int_equal(size, SIDECAR_HEADER_BYTES + 20 * 8);
    for (uint64_t bit = 0; bit < size * 8; bit++) {
        assert_int_equal(os_sim_flip(os, "/d/x.idx", bit / 8, bit % 8), E_OK);
        assert_int_equal(sidecar_open(os, "/d/x.idx", &s), E_CORRUPT);
        assert_int_equal(os_sim_flip(os, "/d/x.idx", bit / 8, bit % 8), E_OK);
    }
    assert_int_equal(sidecar_open(os, "/d/x.idx", &s), E_OK);
    sidecar_close(&s);
    for (uint64_t n = size; n-- > 0;) {
        assert_int_equal(os_truncate(os, f, n), E_OK);
        assert_int_equal(sidecar_open(os, "/d/x.idx", &s), E_CORRUPT);
    }
    os_close(os, &f);
    assert_int_equal(os_remove(os, "/d/x.idx"), E_OK);
    assert_int_equal(sidecar_open(os, "/d/x.idx", &s), E_NOTFOUND);
    os_free(&os);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_dense), cmocka_unit_test(test_sparse),
                                       cmocka_unit_test(test_damage)};
    log_set_level(LOG_NOTHING);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
