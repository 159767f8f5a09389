/* The whole server: what its loops share. Made once by main, handed to every part that needs it; there is no global.
 *
 * Threads: loops run commands side by side; what is here is either fixed after the start, atomic, or under the mutex named with it. */
#ifndef VARVE_SERVER_SERVER_H
#define VARVE_SERVER_SERVER_H

#include "server/command_table.h"
#include "server/config.h"
#include "server/loop.h"
#include <signal.h>

#define VARVE_VERSION "0.1.0"
#define REDIS_VERSION "7.0.15"     /* whose behaviour the ordinary commands have */
#define RUN_ID_BYTES 20
#define ERROR_CODES_MAX 128
#define MODULES_MAX 64

enum pause_kind { PAUSE_NONE, PAUSE_WRITE, PAUSE_ALL };

/* Error replies by their first word. Under its mutex. */
struct error_counts {
    struct mutex mutex;
    struct {
        char code[32];
        uint64_t count;
    } of[ERROR_CODES_MAX];
    size_t n;
    uint64_t total;
};

struct module {
    const struct family *family;
    char *path;
    void *handle;
};

struct server {
    struct config config;
    struct os *os;                 /* NULL: the real one */
    struct engine *engine;
    struct keyspace *ks;
    _Atomic(struct command_table *) commands;
    unsigned n_loops;
    struct loop *loops[KS_LOOPS_MAX];
    struct listeners *listeners;   /* owned by loop 0 (listen.h) */

    struct mutex modules_mutex;
    const struct family *families[MODULES_MAX]; /* built in and loaded, in order */
    size_t n_families;
    struct module modules[MODULES_MAX];
    size_t n_modules;

    char run_id[RUN_ID_BYTES * 2 + 1];
    char exe[512];
    uint64_t start_ms;
    uint64_t start_memory;
    uint64_t total_memory;
    double ticks_per_us;           /* of the cycle counter that times commands */
    uint64_t slow_ticks;           /* a command this slow makes the turn's time stale */
    _Atomic int exit_code;
    _Atomic bool stopping;
    _Atomic bool no_auth;          /* requirepass is empty */
    _Atomic bool over_memory;      /* maxmemory is exceeded and nothing may be evicted by policy */
    _Atomic bool log_failure_told;
    _Atomic uint64_t next_client_id;
    _Atomic uint64_t n_clients;
    _Atomic uint64_t peak_memory;
    _Atomic int64_t saved_changes; /* of the loops' changes, those before the last checkpoint asked for */
    _Atomic uint64_t last_save_ms;
    _Atomic uint64_t saves;
    _Atomic bool saving;           /* BGSAVE is at work */
    pthread_t saver;               /* its thread, to be joined when saver_started; under no lock: one at a time by `saving` */
    bool saver_started;
    _Atomic bool save_failed;      /* the last checkpoint asked for failed */
    _Atomic int pause;             /* enum pause_kind; the rest of it under pause_mutex */
    _Atomic uint64_t pause_until_ms; /* monotonic */
    _Atomic uint64_t newest_end;   /* newest log address written by any loop (kept only with several loops) */
    _Atomic bool cron_paused;      /* DEBUG PAUSE-CRON */
    _Atomic uint64_t blocked;      /* clients in a blocking command */
    struct mutex limits_mutex;     /* taken only where output waits: a limit half written would close a client that is within both the old one and the new */
    struct output_limit limits[CLASS_COUNT]; /* under limits_mutex; see server_output_limit */
    struct error_counts errors;
};

/* The parts in order: configuration is complete; opens the store, builds the loops, listens. E_OK or negative after logging why. */
int server_open(struct server *s) MUST_CHECK;
/* Runs loop 0 on this thread and the others on theirs, until a stop is asked for; then closes the store. Returns the exit code. */
int server_run(struct server *s);
void server_close(struct server *s);
/* Any thread: asks for an orderly stop at the end of the present turn. */
void server_end(struct server *s, int exit_code);
void server_wake_all(struct server *s);
void server_count_error(struct server *s, const char *text, size_t n);
void server_init(struct server *s);
/* Memory over the limit that forbids growing? Looked at by timers and after CONFIG SET. */
void server_judge_memory(struct server *s);
struct output_limit server_output_limit(struct server *s, enum client_class k);
/* The store's own sentence for a failed log. */
const char *server_log_failure_text(struct server *s);

#endif
