/* The string family through a whole server. The expected replies are those that redis-server 7.0.15 gave. */
#include "unit/modules/family_bed.h"

static const struct exchange setting_exchanges[] = {
    {"SET a 1", "+OK"},
    {"SET a 2 NX", "$-1"},
    {"SET a 2 XX", "+OK"},
    {"SET a 3 XX GET", "$1 2"},
    {"SET b 1 XX", "$-1"},
    {"SET b 1 XX GET", "$-1"},
    {"SET a 4 NX GET", "$1 3"},
    {"SET a 5 NX XX", "-ERR syntax error"},
    {"SET a 5 GET EX 100", "$1 3"},
    {"TTL a", ":100"},
    {"SET a 6 KEEPTTL", "+OK"},
    {"TTL a", ":100"},
    {"SET a 7", "+OK"},
    {"TTL a", ":-1"},
    {"SET a 8 PX 100000", "+OK"},
    {"SET a 8 EX", "-ERR syntax error"},
    {"SET a 8 EX 10 PX 10", "-ERR syntax error"},
    {"SET a 8 EX 10 KEEPTTL", "-ERR syntax error"},
    {"SET a 8 PERSIST", "-ERR syntax error"},
    {"SET a 8 EX 0", "-ERR invalid expire time in 'set' command"},
    {"SET a 8 EX -1", "-ERR invalid expire time in 'set' command"},
    {"SET a 8 EX abc", "-ERR value is not an integer or out of range"},
    {"SET a 8 EX 9223372036854775", "-ERR invalid expire time in 'set' command"},
    {"SET a 8 PX 9223372036854775807", "-ERR invalid expire time in 'set' command"},
    {"SET a 8 PXAT 1", "+OK"},
    {"GET a", "$-1"},
    {"SETNX a 1", ":1"},
    {"SETNX a 2", ":0"},
    {"SETEX a 100 x", "+OK"},
    {"SETEX a 0 x", "-ERR invalid expire time in 'setex' command"},
    {"PSETEX a 100000 y", "+OK"},
    {"PSETEX a -1 y", "-ERR invalid expire time in 'psetex' command"},
    {"GETSET a z", "$1 y"},
    {"GETSET none z", "$-1"},
    {"TTL a", ":-1"},
    {"GETDEL a", "$1 z"},
    {"GETDEL a", "$-1"},
    {"GETEX a", "$-1"},
    {"SET a 1", "+OK"},
    {"GETEX a EX 100", "$1 1"},
    {"TTL a", ":100"},
    {"GETEX a PERSIST", "$1 1"},
    {"TTL a", ":-1"},
    {"GETEX a EX 10 PERSIST", "-ERR syntax error"},
    {"GETEX a KEEPTTL", "-ERR syntax error"},
    {"GETEX a EX 0", "-ERR invalid expire time in 'getex' command"},
    {"GETEX none EX abc", "-ERR value is not an integer or out of range"},
    {"GETEX a PXAT 1", "$1 1"},
    {"EXISTS a", ":0"},
    {NULL, NULL},
};

static const struct exchange many_exchanges[] = {
    {"MSET a 1 b 2 a 3", "+OK"},
    {"MGET a b none", "*3 $1 3 $1 2 $-1"},
    {"MSET a", "-ERR wrong number of arguments for 'mset' command"},
    {"MSET a 1 b", "-ERR wrong number of arguments for 'mset' command"},
    {"MSETNX c 1 a 2", ":0"},
    {"EXISTS c", ":0"},
    {"MSETNX c 1 d 2", ":1"},
    {"MGET c d", "*2 $1 1 $1 2"},
    {"MSETNX c 1 d", "-ERR wrong number of arguments for 'msetnx' command"},
    {NULL, NULL},
};

static const struct exchange parts_exchanges[] = {
    {"APPEND k abc", ":3"},
    {"OBJECT ENCODING k", "$6 embstr"},
    {"APPEND k def", ":6"},
    {"OBJECT ENCODING k", "$3 raw"},
    {"GET k", "$6 abcdef"},
    {"APPEND n 12", ":2"},
    {"OBJECT ENCODING n", "$3 int"},
    {"STRLEN k", ":6"},
    {"STRLEN none", ":0"},
    {"SETRANGE k 1 XY", ":6"},
    {"GET k", "$6 aXYdef"},
    {"SETRANGE k -1 x", "-ERR offset is out of range"},
    {"SETRANGE k 536870912 x", "-ERR string exceeds maximum allowed size (proto-max-bulk-len)"},
    {"SETRANGE none 3 ''", ":0"},
    {"EXISTS none", ":0"},
    {"SETRANGE k abc x", "-ERR value is not an integer or out of range"},
    {"GETRANGE k 0 -1", "$6 aXYdef"},
    {"GETRANGE k -3 -2", "$2 de"},
    {"GETRANGE k -2 -3", "$0"},
    {"GETRANGE k 4 100", "$2 ef"},
    {"GETRANGE k 100 200", "$0"},
    {"GETRANGE none 0 -1", "$0"},
    {"GETRANGE k a 1", "-ERR value is not an integer or out of range"},
    {"SUBSTR k 1 2", "$2 XY"},
    {NULL, NULL},
};

static const struct exchange counters_exchanges[] = {
    {"INCR n", ":1"},
    {"INCRBY n 41", ":42"},
    {"DECR n", ":41"},
    {"DECRBY n 40", ":1"},
    {"GET n", "$1 1"},
    {"INCRBY n abc", "-ERR value is not an integer or out of range"},
    {"SET n 9223372036854775807", "+OK"},
    {"INCR n", "-ERR increment or decrement would overflow"},
    {"DECRBY n -9223372036854775808", "-ERR decrement would overflow"},
    {"SET n -9223372036854775808", "+OK"},
    {"DECR n", "-ERR increment or decrement would overflow"},
    {"SET n 1.5", "+OK"},
    {"INCR n", "-ERR value is not an integer or out of range"},
    {"SET n 01", "+OK"},
    {"INCR n", "-ERR value is not an integer or out of range"},
    {"EXPIRE n 100", ":1"},
    {"SET n 5 KEEPTTL", "+OK"},
    {"INCR n", ":6"},
    {"TTL n", ":100"},
    {"SET f 3.0", "+OK"},
    {"INCRBYFLOAT f 1.1", "$3 4.1"},
    {"INCRBYFLOAT f -1.2", "$3 2.9"},
    {"INCRBYFLOAT f 5e3", "$22 5002.89999999999999991"},
    {"INCRBYFLOAT f abc", "-ERR value is not a valid float"},
    {"INCRBYFLOAT f inf", "-ERR increment would produce NaN or Infinity"},
    {"INCRBYFLOAT g 3", "$1 3"},
    {"SET g x", "+OK"},
    {"INCRBYFLOAT g 1", "-ERR value is not a valid float"},
    {NULL, NULL},
};

static const struct exchange subsequences_exchanges[] = {
    {"MSET a ohmytext b mynewtext", "+OK"},
    {"LCS a b", "$6 mytext"},
    {"LCS a b LEN", ":6"},
    {"LCS a b IDX", "*4 $7 matches *2 *2 *2 :4 :7 *2 :5 :8 *2 *2 :2 :3 *2 :0 :1 $3 len :6"},
    {"LCS a b IDX MINMATCHLEN 4 WITHMATCHLEN", "*4 $7 matches *1 *3 *2 :4 :7 *2 :5 :8 :4 $3 len :6"},
    {"LCS a b LEN IDX", "-ERR If you want both the length and indexes, please just use IDX."},
    {"LCS a b MINMATCHLEN", "-ERR syntax error"},
    {"LCS a b bogus", "-ERR syntax error"},
    {"LCS a none", "$0"},
    {"LCS none nor LEN", ":0"},
    {"LCS none nor IDX", "*4 $7 matches *0 $3 len :0"},
    {NULL, NULL},
};

static void test_setting(void **state)
{
    bed_talk(*state, setting_exchanges);
}
static void test_many(void **state)
{
    bed_talk(*state, many_exchanges);
}
static void test_parts(void **state)
{
    bed_talk(*state, parts_exchanges);
}
static void test_counters(void **state)
{
    bed_talk(*state, counters_exchanges);
}
static void test_subsequences(void **state)
{
    bed_talk(*state, subsequences_exchanges);
}

static void test_documents_are_no_strings(void **state)
{
    bed_expect(*state, "DPUT d {}", NULL);
    bed_expect(*state, "GET d", "-WRONGTYPE Operation against a key holding the wrong kind of value");
    bed_expect(*state, "APPEND d x", "-WRONGTYPE Operation against a key holding the wrong kind of value");
    bed_expect(*state, "INCR d", "-WRONGTYPE Operation against a key holding the wrong kind of value");
    bed_expect(*state, "SET d x GET", "-WRONGTYPE Operation against a key holding the wrong kind of value");
    bed_expect(*state, "LCS d d", "-ERR The specified keys must contain string values");
    bed_expect(*state, "MGET d", "*1 $-1");
    bed_expect(*state, "SET d x", "+OK");
    bed_expect(*state, "GET d", "$1 x");
}

static void test_a_transaction_sees_its_own_strings(void **state)
{
    bed_expect(*state, "MULTI", "+OK");
    bed_expect(*state, "INCR n", "+QUEUED");
    bed_expect(*state, "APPEND n 0", "+QUEUED");
    bed_expect(*state, "GETDEL n", "+QUEUED");
    bed_expect(*state, "GET n", "+QUEUED");
    bed_expect(*state, "EXEC", "*4 :1 :2 $2 10 $-1");
    bed_expect(*state, "EXISTS n", ":0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SERVER(test_setting),
        WITH_SERVER(test_many),
        WITH_SERVER(test_parts),
        WITH_SERVER(test_counters),
        WITH_SERVER(test_subsequences),
        WITH_SERVER(test_documents_are_no_strings),
        WITH_SERVER(test_a_transaction_sees_its_own_strings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
