/* COMMAND and its sub-commands. */
#include "serverbed.h"

static void info_and_list(void **state)
{
    struct bed *b = bed_new(NULL);
    bed_ask(b, 0, "COMMAND INFO fetch nope\r\n",
            "*2\r\n*10\r\n$5\r\nfetch\r\n:2\r\n*2\r\n+readonly\r\n+fast\r\n:1\r\n:1\r\n:1\r\n*3\r\n+@read\r\n+@string\r\n+@fast\r\n*0\r\n*1\r\n*6\r\n$5\r\nflags\r\n*2\r\n+RO\r\n+access\r\n"
            "$12\r\nbegin_search\r\n*4\r\n$4\r\ntype\r\n$5\r\nindex\r\n$4\r\nspec\r\n*2\r\n$5\r\nindex\r\n:1\r\n$9\r\nfind_keys\r\n*4\r\n$4\r\ntype\r\n$5\r\nrange\r\n$4\r\nspec\r\n*6\r\n"
            "$7\r\nlastkey\r\n:0\r\n$7\r\nkeystep\r\n:1\r\n$5\r\nlimit\r\n:0\r\n*0\r\n$-1\r\n");
    assert_non_null(strstr(bed_read(b, 0, "COMMAND GETKEYS fetch\r\nINFO commandstats\r\n"), "cmdstat_command|getkeys:calls=0,usec=0,usec_per_call=0.00,rejected_calls=1"));
    bed_ask(b, 0, "COMMAND LIST FILTERBY PATTERN fet*\r\n", "*1\r\n$5\r\nfetch\r\n");
    bed_ask(b, 0, "COMMAND LIST FILTERBY ACLCAT nocat\r\nCOMMAND LIST FILTERBY x y\r\nCOMMAND LIST x\r\n", "*0\r\n-ERR syntax error\r\n-ERR syntax error\r\n");
    bed_ask(b, 0, "COMMAND LIST FILTERBY MODULE x\r\n", "*0\r\n");
    assert_non_null(strstr(bed_read(b, 0, "COMMAND LIST\r\n"), "$10\r\nconfig|get\r\n"));
    char want[32];
    snprintf(want, sizeof want, ":%zu\r\n", command_count(atomic_load(&b->server.commands)));
    bed_ask(b, 0, "COMMAND COUNT\r\n", want);
    snprintf(want, sizeof want, "*%zu\r\n", command_count(atomic_load(&b->server.commands)));
    assert_int_equal(strncmp(bed_read(b, 0, "COMMAND\r\n"), want, strlen(want)), 0);
    bed_free(&b);
}

static void keys(void **state)
{
    struct bed *b = bed_new(NULL);
    bed_ask(b, 0, "COMMAND GETKEYS puts a 1 b 2\r\n", "*2\r\n$1\r\na\r\n$1\r\nb\r\n");
    bed_ask(b, 0, "COMMAND GETKEYSANDFLAGS put a 1\r\n", "*1\r\n*2\r\n$1\r\na\r\n*2\r\n+OW\r\n+update\r\n");
    bed_ask(b, 0, "COMMAND GETKEYS nope x\r\n", "-ERR Invalid command specified\r\n");
    bed_ask(b, 0, "COMMAND GETKEYS ping x\r\n", "-ERR The command has no key arguments\r\n");
    bed_ask(b, 0, "COMMAND GETKEYS put a\r\n", "-ERR Invalid number of arguments specified for command\r\n");
    bed_free(&b);
}

static void docs(void **state)
{
    struct bed *b = bed_new(NULL);
    bed_ask(b, 0, "COMMAND DOCS nope\r\n", "*0\r\n");
    bed_ask(b, 0, "COMMAND DOCS select\r\n",
            "*2\r\n$6\r\nselect\r\n*10\r\n$7\r\nsummary\r\n$38\r\nChooses the database of the connection\r\n$5\r\nsince\r\n$5\r\n1.0.0\r\n$5\r\ngroup\r\n$10\r\nconnection\r\n$10\r\ncomplexity\r\n$4\r\nO(1)\r\n"
            "$9\r\narguments\r\n*1\r\n*4\r\n$4\r\nname\r\n$5\r\nindex\r\n$4\r\ntype\r\n$7\r\ninteger\r\n");
    assert_non_null(strstr(bed_read(b, 0, "COMMAND DOCS config\r\n"), "$11\r\nsubcommands\r\n"));
    assert_non_null(strstr(bed_read(b, 0, "COMMAND HELP\r\n"), "+COMMAND <subcommand>"));
    bed_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(info_and_list), cmocka_unit_test(keys), cmocka_unit_test(docs)};
    return cmocka_run_group_tests_name("command_cmds", tests, NULL, NULL);
}
