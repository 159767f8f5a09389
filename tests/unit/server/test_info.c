/* INFO: sections, fields, resetting. */
#include "serverbed.h"
#include "server/info.h"

static void sections(void **state)
{
    struct bed *b = bed_new(NULL);
    static const char *const fields[] = {"redis_version:7.0.15", "connected_clients:1", "used_memory:", "mem_allocator:", "rdb_changes_since_last_save:2", "expired_keys:0",
                                         "total_forks:0", "role:master", "used_cpu_user:", "# Keyspace\r\ndb0:keys=2,expires=0", "# Varve", "last_seq:2", "store:memory"};
    bed_ask(b, 0, "PUT a 1\r\nPUT b 1\r\n", "+OK\r\n+OK\r\n");
    const char *all = bed_read(b, 0, "INFO\r\n");
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (!strstr(all, fields[i])) fail_msg("%s is not in %s", fields[i], all);
    assert_null(strstr(all, "cmdstat_"));
    const char *some = bed_read(b, 0, "INFO cpu commandstats CPU\r\n");
    assert_null(strstr(some, "redis_version"));
    assert_non_null(strstr(some, "cmdstat_put:calls=2,"));
    assert_null(strstr(strstr(some, "used_cpu_sys:") + 1, "used_cpu_sys:"));
    bed_ask(b, 0, "INFO nothing\r\n", "$0\r\n\r\n");
    assert_non_null(strstr(bed_read(b, 0, "INFO everything\r\n"), "cmdstat_"));
    info_reset(b->server.loops[0]);
    assert_null(strstr(bed_read(b, 0, "INFO commandstats\r\n"), "cmdstat_put"));
    bed_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(sections)};
    return cmocka_run_group_tests_name("info", tests, NULL, NULL);
}
