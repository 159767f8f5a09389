/* Verification and proofs: silent over good data, and never silent over bad. */
#include "unit/engine/engine_world.h"

#include "base/os_sim.h"

static uint64_t told[64];
static size_t n_told;
static void tell(void *ctx, uint64_t seq, const char *why)
{
    (void)ctx;
    assert_non_null(why);
    if (n_told < 64) told[n_told++] = seq;
}

static struct verify_found verify_all(struct world *w, uint64_t slice_nodes)
{
    struct verify_found sum = {0};
    n_told = 0;
    for (uint64_t from = 1; from;)
        assert_int_equal(engine_verify_slice(w->e, from, UINT64_MAX, slice_nodes, tell, NULL, &sum, &from), E_OK);
    return sum;
}

static void good_store(void **state)
{
    struct world w = {0};
    uint64_t bad = 0;
    world_start(&w);
    for (unsigned i = 0; i < 1003; i++) world_put(&w, i % WORLD_KEYS, "v");
    assert_int_equal(engine_catch_up(w.e, 0), E_OK);
    for (uint64_t n = 1; n < 2000; n = n * 3 + 1) {
        struct verify_found f = verify_all(&w, n);
        assert_int_equal(f.checked, 1003);
        assert_int_equal(f.bad, 0);
    }
    assert_int_equal(engine_verify_tree(w.e, &bad), E_OK);
    world_stop(&w);
}

static void proofs(void **state)
{
    struct world w = {0};
    struct tree_proof p;
    uint8_t root[HASH_BYTES], old[HASH_BYTES], entry[HASH_BYTES];
    world_start(&w);
    for (unsigned i = 0; i < 777; i++) world_put(&w, i % WORLD_KEYS, "v");
    assert_int_equal(engine_catch_up(w.e, 0), E_OK);
    assert_int_equal(engine_tree_size(w.e), 777);
    assert_int_equal(engine_root(w.e, 777, root), E_OK);
    assert_int_equal(engine_root(w.e, 300, old), E_OK);
    for (uint64_t s = 1; s <= 777; s += 97) {
        assert_int_equal(engine_prove_inclusion(w.e, s, 777, &p), E_OK);
        assert_int_equal(engine_hash(w.e, s, entry), E_OK);
        assert_true(tree_check_inclusion(entry, s - 1, 777, &p, root));
    }
    assert_int_equal(engine_prove_consistency(w.e, 300, 777, &p), E_OK);
    assert_true(tree_check_consistency(300, 777, old, root, &p));
    assert_int_equal(engine_prove_inclusion(w.e, 0, 777, &p), E_INVALID);
    assert_int_equal(engine_prove_inclusion(w.e, 778, 778, &p), E_INVALID);
    assert_int_equal(engine_root(w.e, 778, root), E_INVALID);
    world_stop(&w);
}

static int take_segment(void *ctx, const char *name)
{
    size_t n = strlen(name);
    if (n > 4 && strcmp(name + n - 4, ".seg") == 0 && (!*(char *)ctx || strcmp(name, ctx) < 0)) snprintf(ctx, 100, "%.90s", name);
    return 0;
}

static void flipped_byte_is_found(void **state)
{
    struct world w = {.os = os_sim_new(9), .o = {.no_threads = true}};
    char name[100] = "", path[200];
    log_set_level(LOG_NOTHING);
    world_open(&w);
    for (unsigned i = 0; i < 200; i++) world_put(&w, i % WORLD_KEYS, "some payload");
    assert_int_equal(engine_sync(w.e, 0), E_OK);
    assert_int_equal(engine_catch_up(w.e, 0), E_OK);
    assert_int_equal(os_list(w.os, "/db/log", take_segment, name), E_OK);
    snprintf(path, sizeof(path), "/db/log/%s", name);
    assert_int_equal(os_sim_flip(w.os, path, 64 + 5000, 2), E_OK);
    struct verify_found f = verify_all(&w, 64);
    assert_int_equal(f.checked, 200);
    assert_int_equal(f.bad, 1);
    assert_true(told[0] > 30 && told[0] < 100);
    assert_int_equal(os_sim_flip(w.os, path, 64 + 5000, 2), E_OK);
    assert_int_equal(verify_all(&w, 64).bad, 0);
    world_stop(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_store),
        cmocka_unit_test(proofs),
        cmocka_unit_test(flipped_byte_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
