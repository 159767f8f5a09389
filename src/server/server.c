/* Start and end of the server: store, keyspace, command table, loops, sockets, in this order; and back. */
#include "server/server.h"
#include "base/logline.h"
#include "server/background.h"
#include "server/cycles.h"
#include "server/families.h"
#include "server/limits.h"
#include "server/listen.h"
#include "server/module_load.h"
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#define CALIBRATION_US 2000
#define SLOW_US 1000
#define PROGRESS_EVERY_US 1000000
#define SPARE_FILES 64 /* beside the clients' sockets */

void server_init(struct server *s)
{
    memset(s, 0, sizeof *s);
    config_init(&s->config);
    mutex_init(&s->modules_mutex, "modules", RANK_LEAF);
    mutex_init(&s->errors.mutex, "errors", RANK_LEAF);
    mutex_init(&s->limits_mutex, "limits", RANK_LEAF);
    atomic_init(&s->no_auth, true);
    s->ticks_per_us = 1000;
    s->slow_ticks = UINT64_MAX;
    s->total_memory = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    ssize_t n = readlink("/proc/self/exe", s->exe, sizeof s->exe - 1);
    s->exe[n > 0 ? n : 0] = 0;
}

/* ---- counters ---- */

void server_count_error(struct server *s, const char *text, size_t n)
{
    const char *blank = memchr(text, ' ', n);
    size_t len = blank ? (size_t)(blank - text) : n;
    struct error_counts *e = &s->errors;
    mutex_lock(&e->mutex);
    e->total++;
    size_t i = 0;
    if (len >= sizeof e->of[0].code) len = sizeof e->of[0].code - 1;
    while (i < e->n && (strlen(e->of[i].code) != len || memcmp(e->of[i].code, text, len) != 0)) i++;
    if (i == e->n && e->n < ERROR_CODES_MAX) {
        memcpy(e->of[i].code, text, len);
        e->of[i].code[len] = 0;
        e->of[i].count = 0;
        e->n++;
    }
    if (i < e->n) e->of[i].count++;
    mutex_unlock(&e->mutex);
}

const char *server_log_failure_text(struct server *s)
{
    int code = s->engine ? engine_failure(s->engine) : E_STICKY;
    if (code == E_NOSPACE)
        return "MISCONF The disk is full: the log cannot take this write. Nothing was changed; reads go on. Make room and restart the server.";
    if (code == E_IO)
        return "MISCONF An I/O error stopped the log: it cannot take this write. Nothing was changed; reads go on. See the server's log, and restart it when the disk is sound.";
    return "MISCONF The log does not take writes since an earlier failure. Nothing was changed; reads go on. See the server's log.";
}

void server_judge_memory(struct server *s)
{
    uint64_t used = mem_used(), limit = (uint64_t)config_num(&s->config, CFG_MAXMEMORY);
    if (used > atomic_load(&s->peak_memory)) atomic_store(&s->peak_memory, used);
    /* Keys that are not in memory are in the log, so only `noeviction` makes a limit refuse writes. */
    bool refuse = limit > 0 && used > limit && config_num(&s->config, CFG_MAXMEMORY_POLICY) == 7;
    atomic_store(&s->over_memory, refuse);
}

/* ---- configuration in force ---- */

static uint64_t config_u64(struct server *s, enum config_id id) { return (uint64_t)config_num(&s->config, id); }

/* Documents keep all unless a rule says otherwise. */
static void set_retention(struct server *s)
{
    struct engine_policy p = {.keys = {.versions = config_u64(s, CFG_RETAIN_KEYS_VERSIONS), .age_ms = config_u64(s, CFG_RETAIN_KEYS_AGE)},
                              .auto_percentage = config_u64(s, CFG_AUTO_COMPACT_PERCENTAGE),
                              .auto_min_bytes = config_u64(s, CFG_AUTO_COMPACT_MIN_SIZE)};
    engine_set_policy(s->engine, &p);
    engine_set_throttle(s->engine, config_u64(s, CFG_COMPACT_THROTTLE));
}

/* Asks the system for as many open files as maxclients needs. Returns how many clients fit. */
static int64_t clients_that_fit(struct server *s)
{
    struct rlimit r;
    int64_t clients = config_num(&s->config, CFG_MAXCLIENTS);
    rlim_t want = (rlim_t)clients + SPARE_FILES;
    if (getrlimit(RLIMIT_NOFILE, &r) != 0 || r.rlim_cur >= want) return clients;
    struct rlimit more = r;
    more.rlim_cur = want;
    if (more.rlim_max < want) more.rlim_max = want;
    if (setrlimit(RLIMIT_NOFILE, &more) == 0) return clients;
    more = r;
    more.rlim_cur = r.rlim_max < want ? r.rlim_max : want;
    if (setrlimit(RLIMIT_NOFILE, &more) != 0) more = r;
    if (more.rlim_cur >= want) return clients;
    return more.rlim_cur > SPARE_FILES ? (int64_t)more.rlim_cur - SPARE_FILES : 1;
}

static void raise_file_limit(struct server *s)
{
    int64_t fits = clients_that_fit(s);
    if (fits == config_num(&s->config, CFG_MAXCLIENTS)) return;
    log_line(LOG_WARNING, "maxclients is lowered to %lld: the system does not allow this process more open files", (long long)fits);
    atomic_store(&s->config.number[CFG_MAXCLIENTS], fits);
}

static void take_output_limits(struct server *s)
{
    struct output_limit limits[CLASS_COUNT];
    config_output_limits(&s->config, limits);
    mutex_lock(&s->limits_mutex);
    memcpy(s->limits, limits, sizeof limits);
    mutex_unlock(&s->limits_mutex);
}

struct output_limit server_output_limit(struct server *s, enum client_class k)
{
    ASSERT(k < CLASS_COUNT);
    mutex_lock(&s->limits_mutex);
    struct output_limit limit = s->limits[k];
    mutex_unlock(&s->limits_mutex);
    return limit;
}

static bool apply(void *ctx, enum config_id id, const char **why)
{
    static _Thread_local char text[128];
    struct server *s = ctx;
    switch (id) {
    case CFG_LOGLEVEL: log_set_level((enum log_level)config_num(&s->config, CFG_LOGLEVEL)); break;
    case CFG_APPENDFSYNC: engine_set_durability(s->engine, (enum engine_durability)config_num(&s->config, CFG_APPENDFSYNC)); break;
    case CFG_REQUIREPASS: atomic_store(&s->no_auth, config_text_is(&s->config, CFG_REQUIREPASS, slice_of(NULL, 0))); break;
    case CFG_CLIENT_OUTPUT_BUFFER_LIMIT: take_output_limits(s); break;
    case CFG_MAXMEMORY:
    case CFG_MAXMEMORY_POLICY:
        server_judge_memory(s);
        limits_take(&s->config, s->ks);
        break;
    case CFG_RETAIN_KEYS_VERSIONS:
    case CFG_RETAIN_KEYS_AGE:
    case CFG_AUTO_COMPACT_PERCENTAGE:
    case CFG_AUTO_COMPACT_MIN_SIZE:
    case CFG_COMPACT_THROTTLE: set_retention(s); break;
    case CFG_IDEM_WINDOW:
    case CFG_QUERY_MAX_SCAN:
    case CFG_PROTO_MAX_BULK_LEN: limits_take(&s->config, s->ks); break;
    case CFG_PORT:
    case CFG_BIND:
        if (listen_again(s) < 0) {
            *why = id == CFG_PORT ? "Unable to listen on this port. Check server logs." : "Failed to bind to specified addresses.";
            return false;
        }
        break;
    case CFG_MAXCLIENTS: {
        int64_t fits = clients_that_fit(s);
        if (fits == config_num(&s->config, CFG_MAXCLIENTS)) break;
        snprintf(text, sizeof text, "The operating system is not able to handle the specified number of clients, try with %lld", (long long)fits);
        *why = text;
        return false;
    }
    case CFG_DIR: *why = "the store is open where it is: only a start can use another directory"; return false;
    case CFG_TLS_PORT: *why = "this server has no TLS"; return false;
    case CFG_HZ: {
        int64_t hz = config_num(&s->config, CFG_HZ);
        if (hz < 1) atomic_store(&s->config.number[CFG_HZ], 1);
        if (hz > 500) atomic_store(&s->config.number[CFG_HZ], 500);
        break;
    }
    default: break;
    }
    return true;
}


/* ---- opening ---- */

static void on_progress(void *ctx, const char *what, uint64_t done, uint64_t total)
{
    static _Thread_local uint64_t told_us;
    uint64_t now = os_mono_us(os_posix());
    if (now - told_us < PROGRESS_EVERY_US && done < total) return;
    told_us = now;
    log_line(LOG_NOTICE, "%s: %llu of %llu (%.0f%%)", what, (unsigned long long)done, (unsigned long long)total,
             total ? 100.0 * (double)done / (double)total : 100.0);
}

static void on_mark(void *ctx)
{
    struct server *s = ctx;
    for (unsigned i = 0; i < s->n_loops; i++) {
        struct loop *l = s->loops[i];
        if (!l || !atomic_load_explicit(&l->wants_marks, memory_order_acquire)) continue;
        atomic_store(&l->marks_moved, true);
        loop_wake(l);
    }
}

static int open_store(struct server *s)
{
    struct engine_report report = {0};
    struct buf dir = {0};
    if (config_num(&s->config, CFG_STORE) == 1) s->os = os_memory_new();
    config_text(&s->config, CFG_DIR, &dir);
    struct engine_options o = {
        .os = s->os,
        .dir = s->os ? "/varve" : (const char *)dir.p,
        .durability = (enum engine_durability)config_num(&s->config, CFG_APPENDFSYNC),
        .segment_bytes = (size_t)config_num(&s->config, CFG_SEGMENT_BYTES),
        .ring_bytes = (size_t)config_num(&s->config, CFG_RING_BYTES),
        .index_buffer_bytes = (size_t)config_num(&s->config, CFG_INDEX_BUFFER_BYTES),
        .checkpoint_bytes = (uint64_t)config_num(&s->config, CFG_CHECKPOINT_BYTES),
        .salvage = config_num(&s->config, CFG_SALVAGE) != 0,
        .progress = on_progress,
    };
    int rc = engine_open(&o, &s->engine, &report);
    if (rc < 0) {
        log_line(LOG_WARNING, "The store in '%s' cannot be opened: %s%s%s", o.dir, err_text(rc), report.where[0] ? ": " : "", report.where);
        if (rc == E_CORRUPT) log_line(LOG_WARNING, "Nothing was changed. Start with --salvage yes to keep what is readable; what is lost is then reported here.");
    } else {
        log_line(LOG_NOTICE, "Store %s in %.3f seconds: %llu nodes folded%s", report.fresh ? "created" : "loaded", (double)report.open_us / 1e6,
                 (unsigned long long)report.folded_nodes, report.fresh || report.clean ? "" : " (the last stop was not orderly)");
        if (report.torn_bytes) log_line(LOG_WARNING, "%llu bytes of an unfinished write at the end of the log were cut", (unsigned long long)report.torn_bytes);
        if (report.sidecars_rebuilt) log_line(LOG_NOTICE, "%llu segment tables were rebuilt", (unsigned long long)report.sidecars_rebuilt);
        if (report.lost_from) log_line(LOG_WARNING, "Lost for good: seq %llu to %llu", (unsigned long long)report.lost_from, (unsigned long long)report.lost_to);
        if (s->os) log_line(LOG_NOTICE, "The store is in memory only: everything is gone when the server stops");
    }
    buf_fini(&dir);
    return rc;
}

static void calibrate(struct server *s)
{
    uint64_t us = os_mono_us(os_posix()), from = cycles_now(), now;
    do now = os_mono_us(os_posix());
    while (now - us < CALIBRATION_US);
    s->ticks_per_us = (double)(cycles_now() - from) / (double)(now - us);
    s->slow_ticks = (uint64_t)(s->ticks_per_us * SLOW_US);
}

static int make_commands(struct server *s)
{
    const char *clash;
    s->n_families = families_built_in(s->families, MODULES_MAX);
    struct command_table *t = command_table_new(s->families, s->n_families, NULL, &clash);
    if (!t) {
        log_line(LOG_WARNING, "Two families have the command '%s'", clash);
        return E_INVALID;
    }
    const char *why = command_table_rename_all(t, buf_slice(&s->config.renames), false, &clash);
    atomic_store(&s->commands, t);
    if (why) {
        log_line(LOG_WARNING, "%s: '%s'", why, clash);
        return E_INVALID;
    }
    for (size_t i = 0; i < s->config.modules.n;) {
        const char *path = (const char *)s->config.modules.p + i;
        if (module_load(s, path) < 0) return E_INVALID;
        i += strlen(path) + 1;
    }
    return E_OK;
}

static void make_run_id(struct server *s)
{
    static const char hex[] = "0123456789abcdef";
    uint8_t id[RUN_ID_BYTES];
    os_random(os_posix(), id, sizeof id);
    for (size_t i = 0; i < sizeof id; i++) s->run_id[i * 2] = hex[id[i] >> 4], s->run_id[i * 2 + 1] = hex[id[i] & 15];
}

static unsigned choose_loops(struct server *s)
{
    int64_t n = config_num(&s->config, CFG_THREADS);
    if (n > 0) return (unsigned)n;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    n = cores / 2 < 1 ? 1 : cores / 2 > KS_LOOPS_MAX ? KS_LOOPS_MAX : cores / 2;
    atomic_store(&s->config.number[CFG_THREADS], n);
    return (unsigned)n;
}

int server_open(struct server *s)
{
    calibrate(s);
    make_run_id(s);
    raise_file_limit(s);
    int rc = make_commands(s);
    if (rc == E_OK) rc = open_store(s);
    if (rc < 0) return rc;
    set_retention(s);
    s->start_ms = engine_now_ms(s->engine);
    atomic_store(&s->last_save_ms, s->start_ms);
    s->n_loops = choose_loops(s);
    struct ks_options o = {.engine = s->engine, .databases = (unsigned)config_num(&s->config, CFG_DATABASES), .loops = s->n_loops,
                           .cache_bytes = (uint64_t)config_num(&s->config, CFG_CACHE_MEMORY)};
    rc = ks_open(&o, &s->ks);
    if (rc < 0) {
        log_line(LOG_WARNING, "The keyspace cannot be opened: %s", err_text(rc));
        return rc;
    }
    for (unsigned i = 0; i < s->n_loops; i++) s->loops[i] = loop_new(s, i);
    take_output_limits(s);
    limits_take(&s->config, s->ks);
    atomic_store(&s->no_auth, config_text_is(&s->config, CFG_REQUIREPASS, slice_of(NULL, 0)));
    s->start_memory = mem_used();
    rc = listen_open(s, &s->listeners);
    if (rc < 0) {
        log_line(LOG_WARNING, "Failed listening on port %lld, aborting.", (long long)config_num(&s->config, CFG_PORT));
        return rc;
    }
    engine_on_mark(s->engine, on_mark, s);
    s->config.ctx = s;
    s->config.apply = apply;
    server_judge_memory(s);
    return E_OK;
}

/* ---- running ---- */

static void run_loop(void *arg) { loop_run(arg); }

static void on_signal(struct ev_loop *ev, struct ev_signal *w, int events)
{
    struct server *s = w->data;
    log_line(LOG_WARNING, "Received %s scheduling shutdown...", w->signum == SIGINT ? "SIGINT" : "SIGTERM");
    server_end(s, 0);
}

void server_wake_all(struct server *s)
{
    for (unsigned i = 0; i < s->n_loops; i++) loop_wake(s->loops[i]);
}

void server_end(struct server *s, int exit_code)
{
    if (atomic_exchange(&s->stopping, true)) return;
    atomic_store(&s->exit_code, exit_code);
    server_wake_all(s);
}

int server_run(struct server *s)
{
    struct ev_signal term, interrupt;
    ev_signal_init(&term, on_signal, SIGTERM);
    ev_signal_init(&interrupt, on_signal, SIGINT);
    term.data = interrupt.data = s;
    ev_signal_start(s->loops[0]->ev, &term);
    ev_signal_start(s->loops[0]->ev, &interrupt);
    listen_start(s->listeners);
    if (config_num(&s->config, CFG_PORT)) log_line(LOG_NOTICE, "Ready to accept connections on port %lld", (long long)config_num(&s->config, CFG_PORT));
    for (unsigned i = 1; i < s->n_loops; i++) {
        char name[16];
        snprintf(name, sizeof name, "loop%u", i);
        if (thread_start(&s->loops[i]->thread, name, run_loop, s->loops[i]) < 0) {
            log_line(LOG_WARNING, "A thread cannot be started");
            server_end(s, 1);
            s->n_loops = i;
        }
    }
    loop_run(s->loops[0]);
    for (unsigned i = 1; i < s->n_loops; i++) thread_join(s->loops[i]->thread);
    ev_signal_stop(s->loops[0]->ev, &term);
    ev_signal_stop(s->loops[0]->ev, &interrupt);
    return atomic_load(&s->exit_code);
}

void server_close(struct server *s)
{
    if (atomic_load(&s->stopping)) log_line(LOG_WARNING, "User requested shutdown...");
    listen_close(&s->listeners);
    for (unsigned i = 0; i < s->n_loops; i++)
        if (s->loops[i]) loop_end_clients(s->loops[i]);
    background_finish(s);
    if (s->ks) ks_close(&s->ks);
    if (s->engine) {
        int rc = engine_close(&s->engine);
        if (rc < 0)
            log_line(LOG_WARNING, "The store could not be closed in order (%s); the next start folds the log instead", err_text(rc));
        else
            log_line(LOG_NOTICE, "The store is on disk and closed");
    }
    for (unsigned i = 0; i < s->n_loops; i++) loop_free(&s->loops[i]);
    s->n_loops = 0;
    if (s->os) os_free(&s->os);
    struct command_table *t = atomic_load(&s->commands);
    command_table_free(&t);
    for (size_t i = 0; i < s->n_modules; i++) mem_free(s->modules[i].path);
    config_fini(&s->config);
    mutex_fini(&s->modules_mutex);
    mutex_fini(&s->errors.mutex);
    mutex_fini(&s->limits_mutex);
}
