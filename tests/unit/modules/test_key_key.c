/* The key family through a whole server. The expected replies are those that redis-server 7.0.15 gave. */
#include "unit/modules/family_bed.h"

static const struct exchange naming_exchanges[] = {
    {"MSET a 1 b 2", "+OK"},
    {"DEL a b c", ":2"},
    {"UNLINK a", ":0"},
    {"SET a 1", "+OK"},
    {"EXISTS a a b", ":2"},
    {"TYPE a", "+string"},
    {"TYPE b", "+none"},
    {"TOUCH a a b", ":2"},
    {"RENAME a b", "+OK"},
    {"RENAME a b", "-ERR no such key"},
    {"RENAME b b", "+OK"},
    {"RENAMENX b b", ":0"},
    {"SET a 2", "+OK"},
    {"RENAMENX a b", ":0"},
    {"RENAMENX a c", ":1"},
    {"EXPIRE c 100", ":1"},
    {"RENAME c d", "+OK"},
    {"TTL d", ":100"},
    {"COPY d e", ":1"},
    {"TTL e", ":100"},
    {"COPY d b", ":0"},
    {"COPY d b REPLACE", ":1"},
    {"GET b", "$1 2"},
    {"COPY d d", "-ERR source and destination objects are the same"},
    {"COPY none b", ":0"},
    {"COPY d d DB 1", ":1"},
    {"COPY d d DB 1", ":0"},
    {"COPY d d DB 16", "-ERR DB index is out of range"},
    {"COPY d d DB x", "-ERR value is not an integer or out of range"},
    {"COPY d e BOGUS", "-ERR syntax error"},
    {"MOVE d 1", ":0"},
    {"MOVE b 1", ":1"},
    {"MOVE b 1", ":0"},
    {"MOVE b 0", "-ERR source and destination objects are the same"},
    {"MOVE b 16", "-ERR DB index is out of range"},
    {"MOVE b x", "-ERR value is not an integer or out of range"},
    {"DBSIZE", ":2"},
    {"SELECT 1", "+OK"},
    {"DBSIZE", ":2"},
    {"GET b", "$1 2"},
    {"SWAPDB 0 1", "+OK"},
    {"SWAPDB a 1", "-ERR invalid first DB index"},
    {"SWAPDB 0 b", "-ERR invalid second DB index"},
    {"SWAPDB 0 16", "-ERR DB index is out of range"},
    {"DBSIZE", ":2"},
    {"FLUSHDB", "+OK"},
    {"DBSIZE", ":0"},
    {"FLUSHDB BOGUS", "-ERR syntax error"},
    {"FLUSHALL ASYNC", "+OK"},
    {"FLUSHALL ASYNC SYNC", "-ERR syntax error"},
    {"SELECT 0", "+OK"},
    {"DBSIZE", ":0"},
    {NULL, NULL},
};

static const struct exchange ending_exchanges[] = {
    {"SET a 1", "+OK"},
    {"TTL a", ":-1"},
    {"PTTL a", ":-1"},
    {"TTL none", ":-2"},
    {"EXPIRETIME a", ":-1"},
    {"PEXPIRETIME none", ":-2"},
    {"EXPIRE a 100", ":1"},
    {"EXPIRE a 200 NX", ":0"},
    {"EXPIRE a 200 XX", ":1"},
    {"EXPIRE a 100 GT", ":0"},
    {"EXPIRE a 300 GT", ":1"},
    {"EXPIRE a 400 LT", ":0"},
    {"EXPIRE a 150 LT", ":1"},
    {"TTL a", ":150"},
    {"EXPIRE a 1 NX XX", "-ERR NX and XX, GT or LT options at the same time are not compatible"},
    {"EXPIRE a 1 GT LT", "-ERR GT and LT options at the same time are not compatible"},
    {"EXPIRE a 1 BOGUS", "-ERR Unsupported option BOGUS"},
    {"EXPIRE a abc", "-ERR value is not an integer or out of range"},
    {"EXPIRE a 9223372036854775807", "-ERR invalid expire time in 'expire' command"},
    {"PEXPIRE a 9223372036854775807", "-ERR invalid expire time in 'pexpire' command"},
    {"EXPIREAT a 9223372036854776", "-ERR invalid expire time in 'expireat' command"},
    {"PEXPIREAT a 33177117420000", ":1"},
    {"PEXPIRETIME a", ":33177117420000"},
    {"EXPIRETIME a", ":33177117420"},
    {"PERSIST a", ":1"},
    {"PERSIST a", ":0"},
    {"EXPIRE a 10 GT", ":0"},
    {"EXPIRE a 10 LT", ":1"},
    {"PERSIST none", ":0"},
    {"EXPIRE none 10", ":0"},
    {"PEXPIRE a -1", ":1"},
    {"EXISTS a", ":0"},
    {"SET a 1", "+OK"},
    {"EXPIREAT a 1", ":1"},
    {"EXISTS a", ":0"},
    {NULL, NULL},
};

static const struct exchange walking_exchanges[] = {
    {"RANDOMKEY", "$-1"},
    {"KEYS *", "*0"},
    {"SCAN 0", "*2 $1 0 *0"},
    {"SET only 1", "+OK"},
    {"RANDOMKEY", "$4 only"},
    {"KEYS o*", "*1 $4 only"},
    {"KEYS x*", "*0"},
    {"SCAN 0", "*2 $1 0 *1 $4 only"},
    {"SCAN 0 MATCH o?ly COUNT 100 TYPE string", "*2 $1 0 *1 $4 only"},
    {"SCAN 0 TYPE list", "*2 $1 0 *0"},
    {"SCAN 0 TYPE nonsense", "*2 $1 0 *0"},
    {"SCAN x", "-ERR invalid cursor"},
    {"SCAN 0 COUNT 0", "-ERR syntax error"},
    {"SCAN 0 COUNT x", "-ERR value is not an integer or out of range"},
    {"SCAN 0 MATCH", "-ERR syntax error"},
    {"SCAN 0 BOGUS 1", "-ERR syntax error"},
    {NULL, NULL},
};

static const struct exchange objects_exchanges[] = {
    {"SET a 12", "+OK"},
    {"OBJECT ENCODING a", "$3 int"},
    {"OBJECT REFCOUNT a", ":2147483647"},
    {"SET a 20000", "+OK"},
    {"OBJECT REFCOUNT a", ":1"},
    {"SET a aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "+OK"},
    {"OBJECT ENCODING a", "$6 embstr"},
    {"SET a aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "+OK"},
    {"OBJECT ENCODING a", "$3 raw"},
    {"OBJECT IDLETIME a", ":0"},
    {"OBJECT FREQ a", "-ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when "
                      "switching between policies at runtime LRU and LFU data will take some time to adjust."},
    {"OBJECT ENCODING none", "$-1"},
    {"OBJECT FREQ none", "$-1"},
    {"OBJECT BOGUS a", "-ERR unknown subcommand 'BOGUS'. Try OBJECT HELP."},
    {"OBJECT ENCODING", "-ERR wrong number of arguments for 'object|encoding' command"},
    {NULL, NULL},
};

static void test_naming(void **state)
{
    bed_talk(*state, naming_exchanges);
}
static void test_ending(void **state)
{
    bed_talk(*state, ending_exchanges);
}
static void test_walking(void **state)
{
    bed_talk(*state, walking_exchanges);
}
static void test_objects(void **state)
{
    bed_talk(*state, objects_exchanges);
}

static void test_documents_are_keys_too(void **state)
{
    bed_expect(*state, "DPUT user:1 '{\"a\":1}'", NULL);
    bed_expect(*state, "TYPE user:1", "+document");
    bed_expect(*state, "OBJECT ENCODING user:1", "$4 json");
    bed_expect(*state, "RENAME user:1 user:2", "+OK");
    bed_expect(*state, "DGET user:2", "$7 {\"a\":1}");
    bed_expect(*state, "SCAN 0 TYPE document", "*2 $1 0 *1 $6 user:2");
    bed_expect(*state, "EXPIRE user:2 100", ":1");
    bed_expect(*state, "TTL user:2", ":100");
    bed_expect(*state, "DEL user:2", ":1");
}

static void test_moves_and_swaps_inside_a_transaction(void **state)
{
    bed_expect(*state, "MSET a 1 b 2", "+OK");
    bed_expect(*state, "MULTI", "+OK");
    bed_expect(*state, "MOVE a 1", "+QUEUED");
    bed_expect(*state, "SWAPDB 0 1", "+QUEUED");
    bed_expect(*state, "KEYS *", "+QUEUED");
    bed_expect(*state, "RENAME a c", "+QUEUED");
    bed_expect(*state, "DBSIZE", "+QUEUED");
    bed_expect(*state, "FLUSHALL", "+QUEUED");
    bed_expect(*state, "RANDOMKEY", "+QUEUED");
    bed_expect(*state, "EXEC", "*7 :1 +OK *1 $1 a +OK :1 +OK $-1");
    bed_expect(*state, "DBSIZE", ":0");
}

static void test_the_frequency_follows_the_policy(void **state)
{
    bed_expect(*state, "CONFIG SET maxmemory-policy allkeys-lfu", "+OK");
    bed_expect(*state, "SET a 1", "+OK");
    bed_expect(*state, "OBJECT FREQ a", ":5");
    bed_expect(*state, "CONFIG SET maxmemory-policy noeviction", "+OK");
    bed_expect(*state, "OBJECT IDLETIME a", ":0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SERVER(test_naming),
        WITH_SERVER(test_ending),
        WITH_SERVER(test_walking),
        WITH_SERVER(test_objects),
        WITH_SERVER(test_documents_are_keys_too),
        WITH_SERVER(test_moves_and_swaps_inside_a_transaction),
        WITH_SERVER(test_the_frequency_follows_the_policy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
