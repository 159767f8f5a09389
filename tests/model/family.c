#include "tests/model/family_writes.h"
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
        if (rnd(6)) do_one(); else do_multi();
    }
    redisFree(r);
    server_stop(&server);
    server_remove(&server);
    printf("family: %lu passed, 0 failed\n", checks);
    return 0;
}
