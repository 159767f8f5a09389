/* Values come from where they are kept; nothing is counted for INFO alone. What has no meaning here (forks, cluster, replicas) is shown with the value it truly has: none.
 * Counters of other loops are read without their knowledge: each is one aligned word, so a value is old at worst. */
#include "server/info.h"
#include "base/logline.h"
#include "server/background.h"
#include "server/config_check.h"
#include "server/latency.h"
#include "server/server.h"
#include <math.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

struct totals {
    uint64_t commands, connections, rejected, net_in, net_out, reads, writes, ops, in_rate, out_rate, time_cap, clients;
    uint64_t paused;
    size_t largest_in, largest_out;
};

/* Counts of other loops are read while their threads go on counting: aligned words with one writer, where an old value does. The writers stay plain. */
#define READS_COUNTS __attribute__((noinline, no_sanitize("thread")))

static READS_COUNTS struct totals sum(struct server *s)
{
    struct totals t = {0};
    for (unsigned i = 0; i < s->n_loops; i++) {
        const struct loop *l = s->loops[i];
        t.commands += l->commands;
        t.connections += l->connections;
        t.rejected += l->rejected_connections;
        t.net_in += l->net_in;
        t.net_out += l->net_out;
        t.reads += l->reads;
        t.writes += l->writes;
        t.ops += l->ops_per_second;
        t.in_rate += l->in_per_second;
        t.out_rate += l->out_per_second;
        t.time_cap += l->expired_time_cap;
        t.clients += l->n_clients;
        t.paused += l->n_paused;
        if (l->largest_input > t.largest_in) t.largest_in = l->largest_input;
        if (l->largest_output > t.largest_out) t.largest_out = l->largest_output;
    }
    return t;
}

static void human(char out[32], uint64_t n)
{
    static const char units[] = "BKMGTP";
    double v = (double)n;
    size_t u = 0;
    while (v >= 1024 && u + 2 < sizeof units) v /= 1024, u++;
    if (u == 0)
        snprintf(out, 32, "%lluB", (unsigned long long)n);
    else
        snprintf(out, 32, "%.2f%c", v, units[u]);
}

static void number(struct buf *b, const char *name, uint64_t v) { buf_printf(b, "%s:%llu\r\n", name, (unsigned long long)v); }

static void number_human(struct buf *b, const char *name, uint64_t v)
{
    char text[32];
    human(text, v);
    buf_printf(b, "%s:%llu\r\n%s_human:%s\r\n", name, (unsigned long long)v, name, text);
}

struct view {
    struct server *s;
    struct loop *l;
    struct totals t;
    struct engine_marks marks;
    struct engine_stats engine;
    struct ks_stats ks;
};

static void section_server(const struct view *v, struct buf *b)
{
    struct utsname u;
    uint64_t up = (v->l->now_ms - v->s->start_ms) / 1000;
    uname(&u);
    buf_printf(b, "redis_version:%s\r\nredis_git_sha1:00000000\r\nredis_git_dirty:0\r\nredis_build_id:%s\r\nredis_mode:standalone\r\n", REDIS_VERSION, VARVE_STAMP);
    buf_printf(b, "varve_version:%s\r\nos:%s %s %s\r\narch_bits:%zu\r\nmonotonic_clock:POSIX clock_gettime\r\nmultiplexing_api:epoll\r\natomicvar_api:c11-builtin\r\n",
               VARVE_VERSION, u.sysname, u.release, u.machine, sizeof(void *) * 8);
    buf_printf(b, "gcc_version:%d.%d.%d\r\nprocess_id:%d\r\nprocess_supervised:no\r\nrun_id:%s\r\ntcp_port:%lld\r\nserver_time_usec:%llu\r\n", __GNUC__, __GNUC_MINOR__,
               __GNUC_PATCHLEVEL__, (int)getpid(), v->s->run_id, (long long)config_num(&v->s->config, CFG_PORT), (unsigned long long)os_wall_us(os_posix()));
    buf_printf(b, "uptime_in_seconds:%llu\r\nuptime_in_days:%llu\r\nhz:%lld\r\nconfigured_hz:%lld\r\nlru_clock:%llu\r\nexecutable:%s\r\nconfig_file:%s\r\nio_threads_active:0\r\nthreads:%u\r\n",
               (unsigned long long)up, (unsigned long long)(up / 86400), (long long)config_num(&v->s->config, CFG_HZ),
               (long long)config_num(&v->s->config, CFG_HZ), (unsigned long long)(v->l->now_ms / 1000 & 0xffffff), v->s->exe,
               v->s->config.file ? v->s->config.file : "", v->s->n_loops);
}

static void section_clients(const struct view *v, struct buf *b)
{
    number(b, "connected_clients", v->t.clients);
    number(b, "cluster_connections", 0);
    number(b, "maxclients", (uint64_t)config_num(&v->s->config, CFG_MAXCLIENTS));
    number(b, "client_recent_max_input_buffer", v->t.largest_in);
    number(b, "client_recent_max_output_buffer", v->t.largest_out);
    number(b, "blocked_clients", atomic_load(&v->s->blocked) + v->t.paused);
    number(b, "tracking_clients", 0);
    number(b, "clients_in_timeout_table", 0);
}

static void section_memory(const struct view *v, struct buf *b)
{
    uint64_t used = mem_used(), rss = mem_rss(), peak = atomic_load(&v->s->peak_memory);
    if (used > peak) peak = used;
    uint64_t data = v->ks.entry_bytes + v->ks.value_bytes, overhead = used > data ? used - data : 0;
    uint64_t base = v->s->start_memory < used ? used - v->s->start_memory : 1;
    number_human(b, "used_memory", used);
    number_human(b, "used_memory_rss", rss);
    number_human(b, "used_memory_peak", peak);
    buf_printf(b, "used_memory_peak_perc:%.2f%%\r\n", peak ? 100.0 * (double)used / (double)peak : 0);
    number(b, "used_memory_overhead", overhead);
    number(b, "used_memory_startup", v->s->start_memory);
    number(b, "used_memory_dataset", data);
    buf_printf(b, "used_memory_dataset_perc:%.2f%%\r\n", fmin(100.0, 100.0 * (double)data / (double)base));
    number(b, "allocator_allocated", used);
    number(b, "allocator_active", used);
    number(b, "allocator_resident", rss);
    number_human(b, "total_system_memory", v->s->total_memory);
    number(b, "used_memory_lua", 0);
    number(b, "used_memory_vm_eval", 0);
    buf_add_str(b, "used_memory_lua_human:0B\r\n");
    number(b, "used_memory_scripts_eval", 0);
    number(b, "number_of_cached_scripts", 0);
    number(b, "number_of_functions", 0);
    number(b, "number_of_libraries", 0);
    number(b, "used_memory_vm_functions", 0);
    number_human(b, "used_memory_vm_total", 0);
    number(b, "used_memory_functions", 0);
    number_human(b, "used_memory_scripts", 0);
    number_human(b, "maxmemory", (uint64_t)config_num(&v->s->config, CFG_MAXMEMORY));
    buf_add_str(b, "maxmemory_policy:");
    config_show(&v->s->config, CFG_MAXMEMORY_POLICY, b);
    double over = used ? (double)rss / (double)used : 0;
    buf_printf(b, "\r\nallocator_frag_ratio:1.00\r\nallocator_frag_bytes:0\r\nallocator_rss_ratio:%.2f\r\nallocator_rss_bytes:%lld\r\n", over, (long long)rss - (long long)used);
    buf_add_str(b, "rss_overhead_ratio:1.00\r\nrss_overhead_bytes:0\r\n");
    buf_printf(b, "mem_fragmentation_ratio:%.2f\r\nmem_fragmentation_bytes:%lld\r\n", over, (long long)rss - (long long)used);
    number(b, "mem_not_counted_for_evict", 0);
    number(b, "mem_replication_backlog", 0);
    number(b, "mem_total_replication_buffers", 0);
    number(b, "mem_clients_slaves", 0);
    number(b, "mem_clients_normal", 0);
    number(b, "mem_cluster_links", 0);
    number(b, "mem_aof_buffer", 0);
    buf_printf(b, "mem_allocator:%s\r\n", mem_allocator());
    number(b, "active_defrag_running", 0);
    number(b, "lazyfree_pending_objects", 0);
    number(b, "lazyfreed_objects", 0);
}

static void section_persistence(const struct view *v, struct buf *b)
{
    bool ok = v->marks.failure == 0;
    int64_t dirty = background_dirty(v->s);
    number(b, "loading", 0);
    number(b, "async_loading", 0);
    number(b, "current_cow_peak", 0);
    number(b, "current_cow_size", 0);
    number(b, "current_cow_size_age", 0);
    buf_add_str(b, "current_fork_perc:0.00\r\n");
    number(b, "current_save_keys_processed", 0);
    number(b, "current_save_keys_total", 0);
    number(b, "rdb_changes_since_last_save", dirty > 0 ? (uint64_t)dirty : 0);
    number(b, "rdb_bgsave_in_progress", atomic_load(&v->s->saving));
    number(b, "rdb_last_save_time", atomic_load(&v->s->last_save_ms) / 1000);
    buf_printf(b, "rdb_last_bgsave_status:%s\r\n", atomic_load(&v->s->save_failed) ? "err" : "ok");
    buf_add_str(b, "rdb_last_bgsave_time_sec:-1\r\nrdb_current_bgsave_time_sec:-1\r\n");
    number(b, "rdb_saves", atomic_load(&v->s->saves));
    number(b, "rdb_last_cow_size", 0);
    number(b, "rdb_last_load_keys_expired", 0);
    number(b, "rdb_last_load_keys_loaded", 0);
    struct compact_stats compaction = {0};
    if (v->s->engine) engine_compact_status(v->s->engine, &compaction);
    number(b, "aof_enabled", (uint64_t)config_num(&v->s->config, CFG_APPENDONLY));
    number(b, "aof_rewrite_in_progress", compaction.running);
    number(b, "aof_rewrite_scheduled", 0);
    buf_add_str(b, "aof_last_rewrite_time_sec:-1\r\naof_current_rewrite_time_sec:-1\r\n");
    buf_printf(b, "aof_last_bgrewrite_status:%s\r\n", compaction.result < 0 && compaction.result != E_CANCELLED ? "err" : "ok");
    number(b, "aof_rewrites", 0);
    number(b, "aof_rewrites_consecutive_failures", 0);
    buf_printf(b, "aof_last_write_status:%s\r\n", ok ? "ok" : "err");
    number(b, "aof_last_cow_size", 0);
    number(b, "module_fork_in_progress", 0);
    number(b, "module_fork_last_cow_size", 0);
}

static void section_stats(const struct view *v, struct buf *b)
{
    static const char *const none_a[] = {"total_net_repl_input_bytes", "total_net_repl_output_bytes"};
    static const char *const none_b[] = {"pubsub_channels", "pubsub_patterns", "pubsubshard_channels", "latest_fork_usec", "total_forks", "migrate_cached_sockets",
                                         "slave_expires_tracked_keys", "active_defrag_hits", "active_defrag_misses", "active_defrag_key_hits",
                                         "active_defrag_key_misses", "total_active_defrag_time", "current_active_defrag_time", "tracking_total_keys",
                                         "tracking_total_items", "tracking_total_prefixes", "unexpected_error_replies"};
    number(b, "total_connections_received", v->t.connections);
    number(b, "total_commands_processed", v->t.commands);
    number(b, "instantaneous_ops_per_sec", v->t.ops);
    number(b, "total_net_input_bytes", v->t.net_in);
    number(b, "total_net_output_bytes", v->t.net_out);
    for (size_t i = 0; i < sizeof none_a / sizeof *none_a; i++) number(b, none_a[i], 0);
    buf_printf(b, "instantaneous_input_kbps:%.2f\r\ninstantaneous_output_kbps:%.2f\r\ninstantaneous_input_repl_kbps:0.00\r\ninstantaneous_output_repl_kbps:0.00\r\n",
               (double)v->t.in_rate / 1024, (double)v->t.out_rate / 1024);
    number(b, "rejected_connections", v->t.rejected);
    number(b, "sync_full", 0);
    number(b, "sync_partial_ok", 0);
    number(b, "sync_partial_err", 0);
    number(b, "expired_keys", v->ks.expired);
    buf_add_str(b, "expired_stale_perc:0.00\r\n");
    number(b, "expired_time_cap_reached_count", v->t.time_cap);
    number(b, "expire_cycle_cpu_milliseconds", 0);
    number(b, "evicted_keys", 0);
    number(b, "evicted_clients", 0);
    number(b, "total_eviction_exceeded_time", 0);
    number(b, "current_eviction_exceeded_time", 0);
    number(b, "keyspace_hits", v->ks.hits);
    number(b, "keyspace_misses", v->ks.misses);
    for (size_t i = 0; i < sizeof none_b / sizeof *none_b; i++) number(b, none_b[i], 0);
    mutex_lock(&v->s->errors.mutex);
    number(b, "total_error_replies", v->s->errors.total);
    mutex_unlock(&v->s->errors.mutex);
    number(b, "dump_payload_sanitizations", 0);
    number(b, "total_reads_processed", v->t.reads);
    number(b, "total_writes_processed", v->t.writes);
    number(b, "io_threaded_reads_processed", 0);
    number(b, "io_threaded_writes_processed", 0);
    number(b, "reply_buffer_shrinks", 0);
    number(b, "reply_buffer_expands", 0);
}

static void section_replication(const struct view *v, struct buf *b)
{
    buf_printf(b, "role:master\r\nconnected_slaves:0\r\nmaster_failover_state:no-failover\r\nmaster_replid:%s\r\nmaster_replid2:%040d\r\n", v->s->run_id, 0);
    buf_add_str(b, "master_repl_offset:0\r\nsecond_repl_offset:-1\r\nrepl_backlog_active:0\r\n");
    number(b, "repl_backlog_size", (uint64_t)config_num(&v->s->config, CFG_REPL_BACKLOG_SIZE));
    buf_add_str(b, "repl_backlog_first_byte_offset:0\r\nrepl_backlog_histlen:0\r\n");
}

static void cpu_line(struct buf *b, const char *name, const struct timeval *t) { buf_printf(b, "%s:%ld.%06ld\r\n", name, (long)t->tv_sec, (long)t->tv_usec); }

static void section_cpu(const struct view *v, struct buf *b)
{
    struct rusage self, children, thread;
    getrusage(RUSAGE_SELF, &self);
    getrusage(RUSAGE_CHILDREN, &children);
    getrusage(RUSAGE_THREAD, &thread);
    cpu_line(b, "used_cpu_sys", &self.ru_stime);
    cpu_line(b, "used_cpu_user", &self.ru_utime);
    cpu_line(b, "used_cpu_sys_children", &children.ru_stime);
    cpu_line(b, "used_cpu_user_children", &children.ru_utime);
    cpu_line(b, "used_cpu_sys_main_thread", &thread.ru_stime);
    cpu_line(b, "used_cpu_user_main_thread", &thread.ru_utime);
}

static void section_modules(const struct view *v, struct buf *b)
{
    struct server *s = v->s;
    mutex_lock(&s->modules_mutex);
    for (size_t i = 0; i < s->n_modules; i++)
        buf_printf(b, "module:name=%s,ver=%d,api=%d,filters=0,usedby=[],using=[],options=[]\r\n", s->modules[i].family->name, s->modules[i].family->version, MODULE_ABI);
    mutex_unlock(&s->modules_mutex);
}

static READS_COUNTS void section_commandstats(const struct view *v, struct buf *b)
{
    const struct command_table *t = atomic_load(&v->s->commands);
    for (size_t id = 0; id < COMMANDS_MAX; id++) {
        const struct command_entry *e = command_by_id(t, id);
        struct command_stats sum_of = {0};
        for (unsigned i = 0; e && i < v->s->n_loops; i++) {
            const struct command_stats *st = &v->s->loops[i]->stats[id];
            sum_of.calls += st->calls;
            sum_of.ticks += st->ticks;
            sum_of.rejected += st->rejected;
            sum_of.failed += st->failed;
        }
        if (!sum_of.calls && !sum_of.rejected && !sum_of.failed) continue;
        double us = (double)sum_of.ticks / v->s->ticks_per_us;
        buf_printf(b, "cmdstat_%s:calls=%llu,usec=%llu,usec_per_call=%.2f,rejected_calls=%llu,failed_calls=%llu\r\n", e->name, (unsigned long long)sum_of.calls,
                   (unsigned long long)us, sum_of.calls ? us / (double)sum_of.calls : 0.0, (unsigned long long)sum_of.rejected, (unsigned long long)sum_of.failed);
    }
}

/* The counts of all loops; false: none. */
static READS_COUNTS bool sum_latency(const struct view *v, size_t id, struct latency *out)
{
    uint64_t any = 0;
    memset(out, 0, sizeof *out);
    for (unsigned i = 0; i < v->s->n_loops; i++) {
        const struct latency *l = atomic_load_explicit(&v->s->loops[i]->latency[id], memory_order_acquire);
        for (size_t k = 0; l && k < LATENCY_CLASSES; k++) {
            out->n[k] += l->n[k];
            any |= l->n[k];
        }
    }
    return any != 0;
}

static void section_latencystats(const struct view *v, struct buf *b)
{
    struct buf text = {0};
    slice words[CONFIG_WORDS_MAX];
    const struct command_table *t = atomic_load(&v->s->commands);
    config_text(&v->s->config, CFG_LATENCY_TRACKING_INFO_PERCENTILES, &text);
    size_t n = config_words(buf_slice(&text), words, CONFIG_WORDS_MAX);
    struct latency *l = mem_alloc(sizeof *l);
    for (size_t id = 0; id < COMMANDS_MAX && config_num(&v->s->config, CFG_LATENCY_TRACKING); id++) {
        const struct command_entry *e = command_by_id(t, id);
        if (!e || !sum_latency(v, id, l)) continue;
        buf_printf(b, "latency_percentiles_usec_%s:", e->name);
        for (size_t i = 0; i < n; i++) {
            double percentile = 0;
            if (!num_parse_double(words[i], &percentile)) continue;
            buf_printf(b, "%sp%.*s=%.3f", i ? "," : "", (int)words[i].n, (const char *)words[i].p,
                       (double)latency_percentile(l, percentile) / v->s->ticks_per_us);
        }
        buf_add_str(b, "\r\n");
    }
    mem_free(l);
    buf_fini(&text);
}

static void section_errorstats(const struct view *v, struct buf *b)
{
    struct error_counts *e = &v->s->errors;
    mutex_lock(&e->mutex);
    for (size_t i = 0; i < e->n; i++) buf_printf(b, "errorstat_%s:count=%llu\r\n", e->of[i].code, (unsigned long long)e->of[i].count);
    mutex_unlock(&e->mutex);
}

static void section_cluster(const struct view *v, struct buf *b) { number(b, "cluster_enabled", 0); }

static void section_keyspace(const struct view *v, struct buf *b)
{
    if (!v->s->ks) return;
    struct ks_ctx ks = {.ks = v->s->ks, .loop = (uint16_t)v->l->id, .now_ms = v->l->now_ms};
    for (unsigned db = 0; db < ks_databases(v->s->ks); db++) {
        uint64_t expiring = 0, n = ks_count(&ks, (uint16_t)db, &expiring);
        if (n) buf_printf(b, "db%u:keys=%llu,expires=%llu,avg_ttl=0\r\n", db, (unsigned long long)n, (unsigned long long)expiring);
    }
}

static int count_index(void *ctx, const struct sorted_info *i)
{
    ++*(uint64_t *)ctx;
    return E_OK;
}

/* Everything that DINFO shows under its own names, which the section also has. */
static void varve_dinfo(const struct view *v, struct buf *b, const struct compact_stats *c)
{
    struct engine *e = v->s->engine;
    uint8_t root[HASH_BYTES];
    char hex[2 * HASH_BYTES + 1] = "";
    uint64_t indexes = 0;
    if (engine_root(e, engine_tree_size(e), root) == E_OK) hex_encode(hex, root, HASH_BYTES);
    for (unsigned lineage = 0; v->s->ks && lineage < ks_databases(v->s->ks); lineage++)
        (void)!engine_sorted_list(e, (uint16_t)lineage, NULL, count_index, &indexes); /* SWAPDB only exchanges these */
    number(b, "seq", v->marks.last_seq);
    buf_printf(b, "root:%s\r\n", hex);
    number(b, "indexes", indexes);
    buf_printf(b, "compaction:%s\r\n", c->running ? "running" : "idle");
}

static void section_varve(const struct view *v, struct buf *b)
{
    struct server *s = v->s;
    if (!s->engine) return;
    buf_printf(b, "varve_version:%s\r\nstore:%s\r\ndir:", VARVE_VERSION, s->os ? "memory (nothing survives the process)" : "disk");
    config_show(&s->config, CFG_DIR, b);
    buf_add_str(b, "\r\nappendfsync:");
    config_show(&s->config, CFG_APPENDFSYNC, b);
    buf_printf(b, "\r\nlog_status:%s\r\n", v->marks.failure ? err_text(v->marks.failure) : "ok");
    number(b, "last_seq", v->marks.last_seq);
    number(b, "written_seq", v->marks.written_seq);
    number(b, "durable_seq", v->marks.durable_seq);
    number(b, "indexed_seq", v->marks.indexed_seq);
    number(b, "flushed_seq", v->marks.flushed_seq);
    number(b, "horizon", engine_horizon(s->engine));
    number(b, "nodes", v->engine.nodes);
    number(b, "keys", v->engine.keys);
    number(b, "docs", v->engine.docs);
    number(b, "links", v->engine.links);
    number(b, "segments", v->engine.segments);
    number(b, "bytes_log", v->engine.bytes_log);
    number(b, "bytes_live", v->engine.bytes_live);
    number(b, "bytes_dead", v->engine.bytes_dead);
    number(b, "bytes_index", v->engine.bytes_index);
    number(b, "bytes_tree", v->engine.bytes_tree);
    number(b, "checkpoints", v->engine.checkpoints);
    number(b, "last_checkpoint_ms", v->engine.last_checkpoint_ms);
    number(b, "merges", v->engine.merges);
    number(b, "sealed", v->engine.sealed);
    number(b, "ring_parks", v->engine.ring_parks);
    number(b, "engine_memory", v->engine.memory_bytes);
    number(b, "cache_entries", v->ks.entries);
    number(b, "cache_entry_bytes", v->ks.entry_bytes);
    number(b, "cache_value_bytes", v->ks.value_bytes);
    number(b, "cache_loads", v->ks.loads);
    number(b, "cache_evicted", v->ks.evicted);
    struct compact_stats c;
    engine_compact_status(s->engine, &c);
    varve_dinfo(v, b, &c);
    number(b, "compaction_running", c.running);
    number(b, "compaction_done", c.done);
    number(b, "compaction_total", c.total);
    buf_printf(b, "compaction_result:%s\r\n", c.running ? "running" : c.result == E_NOTFOUND ? "none" : c.result < 0 ? err_text(c.result) : "ok");
    number(b, "compaction_automatic", c.automatic);
    number(b, "compactions", c.runs);
    number(b, "compactions_automatic", c.automatic_runs);
    number(b, "last_compaction_ms", c.ended_ms);
}


static const struct {
    const char *name, *title;
    void (*fn)(const struct view *v, struct buf *b);
    bool by_default, in_all;
} sections[] = {
    {"server", "Server", section_server, true, true},
    {"clients", "Clients", section_clients, true, true},
    {"memory", "Memory", section_memory, true, true},
    {"persistence", "Persistence", section_persistence, true, true},
    {"stats", "Stats", section_stats, true, true},
    {"replication", "Replication", section_replication, true, true},
    {"cpu", "CPU", section_cpu, true, true},
    {"modules", "Modules", section_modules, true, true},
    {"commandstats", "Commandstats", section_commandstats, false, true},
    {"errorstats", "Errorstats", section_errorstats, true, true},
    {"latencystats", "Latencystats", section_latencystats, false, true},
    {"cluster", "Cluster", section_cluster, true, true},
    {"keyspace", "Keyspace", section_keyspace, true, true},
    {"varve", "Varve", section_varve, true, true},
};

void info_text(struct server *s, struct loop *l, const slice *wanted, size_t n, struct buf *out)
{
    struct view v = {.s = s, .l = l, .t = sum(s)};
    bool first = true;
    loop_tick(l);
    if (s->engine) {
        engine_get_marks(s->engine, &v.marks);
        engine_get_stats(s->engine, &v.engine);
    }
    if (s->ks) ks_get_stats(s->ks, &v.ks);
    for (size_t i = 0; i < sizeof sections / sizeof *sections; i++) {
        bool show = n == 0 && sections[i].by_default;
        for (size_t k = 0; k < n; k++) {
            if (slice_is(wanted[k], "all") || slice_is(wanted[k], "everything")) show = show || sections[i].in_all;
            if (slice_is(wanted[k], "default")) show = show || sections[i].by_default;
            if (slice_is(wanted[k], sections[i].name)) show = true;
        }
        if (!show) continue;
        buf_printf(out, "%s# %s\r\n", first ? "" : "\r\n", sections[i].title);
        first = false;
        sections[i].fn(&v, out);
    }
}

void info_reset(struct loop *l)
{
    memset(l->stats, 0, sizeof l->stats);
    for (size_t i = 0; i < COMMANDS_MAX; i++)
        if (l->latency[i]) memset(l->latency[i], 0, sizeof(struct latency));
    l->commands = l->connections = l->rejected_connections = l->net_in = l->net_out = l->reads = l->writes = 0;
    l->ops_sample_commands = l->ops_sample_in = l->ops_sample_out = 0;
    l->expired_time_cap = 0;
}
