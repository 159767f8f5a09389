/* The list of built-in families holds those that are linked, each fit for this ABI. */
#include "serverbed.h"
#include "server/families.h"

static void linked_ones(void **state)
{
    const struct family *f[MODULES_MAX];
    size_t n = families_built_in(f, MODULES_MAX);
    bool string = false;
    assert_true(n >= 8);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(f[i]->abi, MODULE_ABI);
        string = string || f[i] == &string_family;
    }
    assert_true(string);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(linked_ones)};
    return cmocka_run_group_tests_name("families", tests, NULL, NULL);
}
