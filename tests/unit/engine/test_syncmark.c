/* The sync mark: never above what was put, whatever is lost of its file. */
#include "logwork.h"

#include "engine/syncmark.h"

static uint64_t reopen(struct os *os, struct syncmark **m)
{
    uint64_t seq;
    syncmark_close(m);
    assert_int_equal(syncmark_open(os, "/d", work_store, false, m, &seq), E_OK);
    return seq;
}

static void test_goes_up(void **state)
{
    struct os *os = os_sim_new(1);
    struct syncmark *m = NULL;
    assert_int_equal(os_mkdir(os, "/d"), E_OK);
    assert_int_equal(reopen(os, &m), 0);
    syncmark_put(m, 10, false);
    syncmark_put(m, 20, false); /* too soon */
    assert_int_equal(reopen(os, &m), 10);
    syncmark_put(m, 30, true);
    syncmark_put(m, 25, true);
    assert_int_equal(reopen(os, &m), 30);
    os_sim_advance(os, SYNCMARK_INTERVAL_US);
    syncmark_put(m, 40, false);
    os_sim_advance(os, SYNCMARK_INTERVAL_US);
    syncmark_put(m, 50, false);
    assert_int_equal(reopen(os, &m), 50);
    syncmark_close(&m);
    os_free(&os);
}

static void test_damage_makes_it_older(void **state)
{
    struct os *os = os_sim_new(1);
    struct syncmark *m = NULL;
    assert_int_equal(os_mkdir(os, "/d"), E_OK);
    reopen(os, &m);
    syncmark_put(m, 10, true);
    syncmark_put(m, 20, true);
    for (uint64_t off = 0; off < 1024; off++) {
        if (os_sim_flip(os, "/d/synced", off, off % 8)) continue;
        uint64_t seq = reopen(os, &m);
        assert_true(seq == 10 || seq == 20);
        assert_int_equal(os_sim_flip(os, "/d/synced", off, off % 8), E_OK);
    }
    static const uint8_t other[16] = "somebody else's";
    uint64_t seq;
    syncmark_close(&m);
    assert_int_equal(syncmark_open(os, "/d", other, false, &m, &seq), E_OK);
    assert_int_equal(seq, 0);
    syncmark_close(&m);
    assert_int_equal(syncmark_open(os, "/d", work_store, true, &m, &seq), E_OK);
    assert_int_equal(seq, 20);
    syncmark_close(&m);
    assert_int_equal(os_remove(os, "/d/synced"), E_OK);
    assert_int_equal(syncmark_open(os, "/d", work_store, true, &m, &seq), E_OK);
    assert_int_equal(seq, 0);
    syncmark_close(&m);
    os_free(&os);
}

static void test_power_cut(void **state)
{
    for (uint64_t seed = 1; seed <= 100; seed++) {
        struct os *os = os_sim_new(seed);
        struct syncmark *m = NULL;
        assert_int_equal(os_mkdir(os, "/d"), E_OK);
        assert_int_equal(os_sync_dir(os, "/"), E_OK);
        reopen(os, &m);
        os_sim_set(os, &(struct os_sim_faults){.crash_at = os_sim_events(os) + 5 + seed % 3, .seed = seed});
        for (uint64_t seq = 1; seq < 20; seq++) syncmark_put(m, seq, true);
        syncmark_close(&m);
        os_sim_reboot(os);
        assert_true(reopen(os, &m) <= 7);
        syncmark_close(&m);
        os_free(&os);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_goes_up), cmocka_unit_test(test_damage_makes_it_older),
                                       cmocka_unit_test(test_power_cut)};
    log_set_level(LOG_NOTHING);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
