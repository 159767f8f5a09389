/* Real commands over a simulated disk: a server without sockets to the world and without threads, its one loop turned by hand, two clients on socket pairs.
 *
 * The server is put together here and not by server_open, which opens the store with threads. Its clock is the simulated one; the loop's own timer is off, so
 * that nothing happens by real time and the same run has the same events. */
#ifndef VARVE_TESTS_COMMAND_BED_H
#define VARVE_TESTS_COMMAND_BED_H

#include "server/families.h"
#include "server/limits.h"
#include "unit/modules/bed_client.h"

#define BED_PEERS     2
#define BED_WORDS_MAX 2048

struct command_bed {
    struct bed bed;
    struct peer peer[BED_PEERS];
    struct buf line; /* of bed_send */
};

/* What does not depend on a store; lasts for the whole program. */
static inline struct command_bed *command_bed_new(void)
{
    const char *clash;
    struct command_bed *b = mem_zalloc(sizeof *b);
    struct server *s = &b->bed.server;
    server_init(s);
    s->n_families = families_built_in(s->families, MODULES_MAX);
    atomic_store(&s->commands, command_table_new(s->families, s->n_families, NULL, &clash));
    ASSERT(atomic_load(&s->commands) != NULL);
    return b;
}

static inline void command_bed_free(struct command_bed **bed)
{
    struct server *s = &(*bed)->bed.server;
    struct command_table *t = atomic_load(&s->commands);
    command_table_free(&t);
    config_fini(&s->config);
    mutex_fini(&s->modules_mutex);
    mutex_fini(&s->errors.mutex);
    buf_fini(&(*bed)->line);
    mem_free(*bed);
    *bed = NULL;
}

/* o: the engine's; databases and cache the keyspace's. On an error command_bed_close is due all the same. */
static inline int command_bed_open(struct command_bed *b, const struct engine_options *o, unsigned databases, uint64_t cache_bytes)
{
    struct server *s = &b->bed.server;
    int rc = engine_open(o, &s->engine, NULL);
    if (rc == E_OK) rc = ks_open(&(struct ks_options){.engine = s->engine, .databases = databases, .loops = 1, .cache_bytes = cache_bytes}, &s->ks);
    if (rc != E_OK) return rc;
    atomic_store(&s->config.number[CFG_APPENDFSYNC], (int64_t)o->durability);
    atomic_store(&s->log_failure_told, false);
    limits_take(&s->config, s->ks);
    s->n_loops = 1;
    s->loops[0] = loop_new(s, 0);
    ev_timer_stop(s->loops[0]->ev, &s->loops[0]->cron);
    for (int i = 0; i < BED_PEERS; i++) b->peer[i] = peer_new(&b->bed);
    return E_OK;
}

/* In order when the machine lets it; clients that wait for a reply are gone. */
static inline int command_bed_close(struct command_bed *b)
{
    struct server *s = &b->bed.server;
    if (s->loops[0]) {
        loop_end_clients(s->loops[0]);
        for (int i = 0; i < BED_PEERS; i++) {
            close(b->peer[i].fd);
            peer_forget(&b->peer[i]);
        }
    }
    if (s->ks) ks_close(&s->ks);
    int rc = s->engine ? engine_close(&s->engine) : E_OK;
    if (s->loops[0]) loop_free(&s->loops[0]);
    s->n_loops = 0;
    return rc;
}

/* Sends the words of b->line, parted by blanks, to be run when the loop turns. */
static inline void bed_send(struct command_bed *b, unsigned peer)
{
    slice word[BED_WORDS_MAX];
    size_t n = 0;
    for (const uint8_t *at = b->line.p, *end = at + b->line.n; at < end; n++) {
        const uint8_t *blank = memchr(at, ' ', (size_t)(end - at));
        ASSERT(n < BED_WORDS_MAX);
        word[n] = slice_of(at, (size_t)((blank ? blank : end) - at));
        at += word[n].n + (blank != NULL);
    }
    peer_words(&b->bed, &b->peer[peer], n, word);
}

#endif
