/* The shelf: what is taken is right or nothing, also while two write one place. */
#include "engine/hash_shelf.h"

#include "base/thread.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>

#include <cmocka.h>

static void hash_of(uint64_t seq, uint8_t out[HASH_BYTES])
{
    blake2b_256(out, &seq, sizeof seq);
}

static void newest_is_there(void **state)
{
    struct hash_shelf *s = hash_shelf_new();
    uint8_t want[HASH_BYTES], got[HASH_BYTES] = {7};
    assert_false(hash_shelf_take(s, 1, got));
    assert_false(hash_shelf_take(s, HASH_SHELF_PLACES, got));
    assert_int_equal(got[0], 7);
    for (uint64_t seq = 1; seq <= HASH_SHELF_PLACES + 10; seq++) {
        hash_of(seq, want);
        hash_shelf_put(s, seq, want);
    }
    for (uint64_t seq = 1; seq <= HASH_SHELF_PLACES + 10; seq++) {
        hash_of(seq, want);
        assert_int_equal(hash_shelf_take(s, seq, got), seq > 10);
        if (seq > 10) assert_memory_equal(got, want, HASH_BYTES);
    }
    assert_false(hash_shelf_take(s, 2 * HASH_SHELF_PLACES + 1, got)); /* the same place, not yet written by it */
    hash_shelf_free(&s);
    assert_null(s);
}

struct race {
    struct hash_shelf *s;
    atomic_bool stop;
    uint64_t step;
};

static void writer(void *arg)
{
    struct race *r = arg;
    uint8_t h[HASH_BYTES];
    for (uint64_t i = 0; !atomic_load(&r->stop); i++) {
        uint64_t seq = 5 + (i % 4 * 2 + r->step) * HASH_SHELF_PLACES; /* all in one place */
        hash_of(seq, h);
        hash_shelf_put(r->s, seq, h);
    }
}

static void torn_places_are_not_taken(void **state)
{
    struct hash_shelf *s = hash_shelf_new();
    struct race r[2] = {{.s = s}, {.s = s, .step = 1}};
    pthread_t t[2];
    uint8_t want[8][HASH_BYTES], got[HASH_BYTES];
    unsigned taken = 0;
    for (uint64_t i = 0; i < 8; i++) hash_of(5 + i * HASH_SHELF_PLACES, want[i]);
    for (int i = 0; i < 2; i++) assert_int_equal(thread_start(&t[i], "writer", writer, &r[i]), E_OK);
    for (unsigned n = 0; n < 300000 || taken < 100; n++) {
        uint64_t k = n % 8;
        if (!hash_shelf_take(s, 5 + k * HASH_SHELF_PLACES, got)) continue;
        assert_memory_equal(got, want[k], HASH_BYTES);
        taken++;
    }
    for (int i = 0; i < 2; i++) {
        atomic_store(&r[i].stop, true);
        thread_join(t[i]);
    }
    hash_shelf_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(newest_is_there), cmocka_unit_test(torn_places_are_not_taken)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
