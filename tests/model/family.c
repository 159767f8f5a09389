/* The model test of the D* family: random commands of all kinds against an oracle that knows every version (family.h), then random questions about now and any
 * point. In the second half rules and compaction come in, and what was allowed to go may be PRUNED. Every 500 steps the server is stopped or killed and started again.
 *
 *   family [--steps N] [--seed S] [--resp 2|3]      prints the seed first; with FT in the environment compactions are told, FAMILY_KEEP keeps the data */
#include "tests/model/family_changes.h"
#include "tests/model/family_feed.h"
#include "tests/model/family_graph.h"
#include "tests/model/family_keep.h"
#include "tests/model/family_whole.h"
#include "tests/model/family_writes.h"

static bool keeping; /* rules and compaction too */

static void change(void)
{
    switch (rnd(60)) {
    case 0: case 1: do_rename(); break;
    case 2: case 3: do_copy(); break;
    case 4: do_restore(); break;
    case 5: case 6: case 7: do_tag(); break;
    case 8: if (rnd(4) == 0) do_flush(); break;
    case 9: if (rnd(3) == 0) do_swap(); break;
    case 10: if (rnd(3) == 0) do_expire(); break;
    case 11: case 12: do_revert_many(); break;
    case 13: do_select(); break;
    case 20: if (keeping && rnd(3) == 0) do_rule(); break;
    case 21: if (keeping && rnd(4) == 0) do_compact(); break;
    case 22: do_pair(); break;
    case 14: case 15: case 16: case 17: case 18: case 19: do_multi(); break;
    default: do_one(); break;
    }
}

static void look(void)
{
    if (head < 3) return;
    switch (rnd(16)) {
    case 0: case 1: check_past(); break;
    case 2: check_valid(); break;
    case 3: check_line(); break;
    case 4: check_history(); break;
    case 5: check_view(); break;
    case 6: check_diff(); break;
    case 7: check_links(); break;
    case 8: check_traverse(); break;
    case 9: check_trace(); break;
    case 10: check_feed(); break;
    case 11: check_changes(); break;
    case 12: check_info(); break;
    case 13: check_lost_end(); break;
    case 14: check_tags(); break;
    default: check_now(); break;
    }
}

int main(int argc, char **argv)
{
    unsigned long steps = 2000;
    uint64_t seed = 1;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--steps") == 0) steps = strtoul(argv[i + 1], NULL, 10);
        if (strcmp(argv[i], "--seed") == 0) seed = strtoull(argv[i + 1], NULL, 10);
        if (strcmp(argv[i], "--resp") == 0) resp = (int)strtol(argv[i + 1], NULL, 10);
    }
    printf("family: seed %" PRIu64 ", %lu steps, RESP%d\n", seed, steps, resp);
    fflush(stdout);
    rng = seed * 0x9e3779b97f4a7c15u + 11;
    oracle_init();
    server_start(&server, NULL, NULL);
    r = server_connect(&server, resp);
    started_ms = server_ms();
    for (step_no = 0; step_no < steps; step_no++) {
        keeping = step_no > steps / 2;
        change();
        check_waiter();
        look();
        check_waiter();
        if (step_no % 500 == 499) do_restart();
    }
    feeds_fini();
    waiter_close();
    redisFree(r);
    server_stop(&server);
    server_remove(&server);
    printf("family: %lu passed, 0 failed\n", checks);
    return 0;
}
