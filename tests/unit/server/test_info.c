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

/* Percentiles of the commands that ran while they were tracked, in the order that was asked for. */
static void latencies(void **state)
{
    struct bed *b = bed_new(NULL);
    double low, high;
    bed_ask(b, 0, "PUT a 1\r\nPUT b 1\r\nCONFIG SET latency-tracking-info-percentiles \"0 99.9 100\"\r\n", "+OK\r\n+OK\r\n+OK\r\n");
    const char *text = strstr(bed_read(b, 0, "INFO latencystats\r\n"), "latency_percentiles_usec_put:p0=");
    assert_non_null(text);
    assert_int_equal(sscanf(text, "latency_percentiles_usec_put:p0=%lf,p99.9=%*f,p100=%lf\r\n", &low, &high), 2);
    assert_true(low > 0 && low <= high);
    assert_non_null(strstr(b->got, "latency_percentiles_usec_config|set:p0="));
    assert_null(strstr(b->got, "usec_fetch"));
    bed_ask(b, 0, "CONFIG SET latency-tracking no\r\nFETCH a\r\n", "+OK\r\n$1\r\n1\r\n");
    assert_null(strstr(bed_read(b, 0, "INFO latencystats\r\n"), "usec_"));
    bed_ask(b, 0, "CONFIG SET latency-tracking yes\r\n", "+OK\r\n");
    assert_null(strstr(bed_read(b, 0, "INFO latencystats\r\n"), "usec_fetch")); /* nobody looked then */
    assert_non_null(strstr(b->got, "usec_put"));
    bed_ask(b, 0, "CONFIG RESETSTAT\r\n", "+OK\r\n");
    assert_null(strstr(bed_read(b, 0, "INFO latencystats\r\n"), "usec_put"));
    bed_ask(b, 0, "CONFIG SET latency-tracking-info-percentiles \"\"\r\n", "+OK\r\n"); /* as Redis shows that */
    assert_non_null(strstr(bed_read(b, 0, "INFO latencystats\r\n"), "latency_percentiles_usec_config|set:\r\n"));
    bed_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(sections), cmocka_unit_test(latencies)};
    return cmocka_run_group_tests_name("info", tests, NULL, NULL);
}
