/* A stopped store opened for reading its history: by the engine, read-only, so that what a kill left behind the last checkpoint is folded in memory and nothing
 * on disk changes. One at a time. */
#ifndef VARVE_TOOL_PAST_H
#define VARVE_TOOL_PAST_H

#include "keyspace/keyspace.h"

struct past {
    const char *command; /* whose troubles are told */
    struct engine *e;
    struct keyspace *ks;
    struct ks_ctx c;
    uint64_t newest;     /* newest seq */
    struct buf mem;      /* scratch of the functions below */
};

/* db: the database number whose keys are meant. EXIT_YES, or EXIT_TROUBLE after saying why. */
int past_open(const char *command, const char *dir, uint16_t db, struct past *out);
void past_close(struct past *p);

/* A point in words: N, seq:N, time:T, hash:H, tag:NAME, head. False after saying why. `at` is the end of a commit. */
bool past_point(struct past *p, const char *text, uint64_t *at);
/* The same, for the commit that the named seq lies in rather than the one that had ended there: *first and *last. */
bool past_commit(struct past *p, const char *text, uint64_t *first, uint64_t *last);

/* A node, in p->mem until the next call. E_PRUNED: it is gone, only its hash is known. */
int past_node(struct past *p, uint64_t seq, struct node *out) MUST_CHECK;
/* The value of a key at a point, in *mem. E_NOTFOUND: there was none. E_PRUNED: *oldest is the first seq from which on the key can be read. */
int past_value(struct past *p, slice key, uint64_t at, struct buf *mem, struct ks_value *out, uint64_t *oldest) MUST_CHECK;
/* Says why a read failed. Returns EXIT_TROUBLE. */
int past_trouble(struct past *p, int code, slice key, uint64_t oldest);

#endif
