/* MODULE: what cannot be loaded, and the table when it changes. */
#include "serverbed.h"
#include "server/module_load.h"

static void refusals(void **state)
{
    struct bed *b = bed_new(NULL);
    assert_int_equal(module_load(&b->server, "/nonexistent.so"), E_NOTFOUND);
    assert_int_equal(module_load(&b->server, "libm.so.6"), E_INVALID); /* a library, but no family */
    assert_int_equal(module_unload(&b->server, slice_str("x")), E_NOTFOUND);
    bed_ask(b, 0, "MODULE LIST\r\nMODULE LOAD /nonexistent\r\nMODULE UNLOAD x\r\nMODULE FOO\r\n",
            "*0\r\n-ERR Error loading the extension. Please check the server logs.\r\n-ERR Error unloading module: no such module with that name\r\n"
            "-ERR unknown subcommand 'FOO'. Try MODULE HELP.\r\n");
    bed_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(refusals)};
    return cmocka_run_group_tests_name("module_load", tests, NULL, NULL);
}
