/* The limits that families read follow the configuration. */
#include "server/limits.h"
#include "module.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void follow(void **state)
{
    struct config c;
    char error[CONFIG_ERROR_MAX];
    config_init(&c);
    limits_take(&c, NULL);
    assert_int_equal(limit_string_bytes(), 512u << 20);
    assert_false(limit_lfu());
    assert_int_equal(limit_query_scan(), 1000000);
    assert_int_equal(limit_idem_window_ms(), ENGINE_TOKEN_WINDOW_MS);
    assert_null(config_preset(&c, CFG_PROTO_MAX_BULK_LEN, slice_str("2mb"), error));
    assert_null(config_preset(&c, CFG_MAXMEMORY_POLICY, slice_str("allkeys-lfu"), error));
    assert_null(config_preset(&c, CFG_QUERY_MAX_SCAN, slice_str("0"), error));
    assert_null(config_preset(&c, CFG_IDEM_WINDOW, slice_str("60000"), error));
    assert_non_null(config_preset(&c, CFG_IDEM_WINDOW, slice_str("86400001"), error));
    limits_take(&c, NULL);
    assert_int_equal(limit_query_scan(), 0);
    assert_int_equal(limit_idem_window_ms(), 60000);
    assert_int_equal(limit_string_bytes(), 2u << 20);
    assert_true(limit_lfu());
    config_fini(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(follow)};
    return cmocka_run_group_tests_name("limits", tests, NULL, NULL);
}
