/* Words that are the same for the whole process: a family's function has no way to a server, and a loaded family is in the process whatever server runs it. */
#include "server/limits.h"
#include "module.h"

#define POLICY_ALLKEYS_LFU 5
#define POLICY_VOLATILE_LFU 1

static _Atomic uint64_t string_bytes = 512u << 20;
static _Atomic uint64_t query_scan = 1000000;
static _Atomic uint64_t idem_window_ms = ENGINE_TOKEN_WINDOW_MS;
static _Atomic bool lfu;

uint64_t limit_string_bytes(void) { return atomic_load_explicit(&string_bytes, memory_order_relaxed); }
uint64_t limit_query_scan(void) { return atomic_load_explicit(&query_scan, memory_order_relaxed); }
uint64_t limit_idem_window_ms(void) { return atomic_load_explicit(&idem_window_ms, memory_order_relaxed); }
bool limit_lfu(void) { return atomic_load_explicit(&lfu, memory_order_relaxed); }

void limits_take(struct config *c, struct keyspace *ks)
{
    int64_t policy = config_num(c, CFG_MAXMEMORY_POLICY);
    bool on = policy == POLICY_ALLKEYS_LFU || policy == POLICY_VOLATILE_LFU;
    atomic_store_explicit(&string_bytes, (uint64_t)config_num(c, CFG_PROTO_MAX_BULK_LEN), memory_order_relaxed);
    atomic_store_explicit(&query_scan, (uint64_t)config_num(c, CFG_QUERY_MAX_SCAN), memory_order_relaxed);
    atomic_store_explicit(&idem_window_ms, (uint64_t)config_num(c, CFG_IDEM_WINDOW), memory_order_relaxed);
    atomic_store_explicit(&lfu, on, memory_order_relaxed);
    if (ks) ks_set_lfu(ks, on);
}
