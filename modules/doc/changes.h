/* A feed: what DCHANGES was asked, and how far it is. Shared by the command and the two ways of finding events. */
#ifndef VARVE_MODULES_DOC_CHANGES_H
#define VARVE_MODULES_DOC_CHANGES_H

#include "modules/doc/node_map.h"

#define FEED_BATCH       64          /* rows hashed and judged together */
#define FEED_SLICE_BYTES (4u << 20)  /* log bytes looked at in one turn */
#define FEED_SLICE_NODES 8192
#define FEED_GAP_VERSIONS 1024       /* looked at for the end of a key's gaps */
#define FEED_SLICE_ROWS  512         /* so that the answers of a pipeline go out one after the other, and others run between */

enum feed_filter { FEED_ALL, FEED_COLLECTION, FEED_PREFIX, FEED_KEY };

struct feed {
    enum feed_filter filter;
    slice word;              /* of the filter; in name */
    struct buf name;
    uint64_t after;          /* FROM */
    uint64_t upto;           /* TO; DOC_NOW: none */
    uint64_t count;
    bool block;
    uint64_t block_ms;       /* 0: for ever */
    uint64_t head;           /* newest seq that may be shown */
    uint64_t limit;          /* the smaller of head and upto: how far this reply may go */
    uint64_t at;             /* everything up to here was looked at */
    uint64_t base;           /* where the rows at hand begin */
    uint64_t commit_first;   /* of the newest row */
    uint16_t db, lineage;
    uint64_t flushed;        /* of the lineage, now */
    bool whole;              /* begun at 0: shows what is left, below the horizon too, while nothing more is dropped */
    uint64_t drops;          /* engine_drops when it began */
    bool slept;
    uint64_t sleep_seq;
    struct node_maps maps;
    struct change_cursor *log;
    /* rows that wait for hash and state */
    struct buf raws;         /* their nodes' bytes */
    size_t n_waiting;
    struct feed_row {
        size_t offset, n;
        uint64_t seq, commit_first, commit_last;
        bool hide_data;
    } waiting[FEED_BATCH];
};

/* Looks at the next events by reading the log. E_END: the limit is reached. E_AGAIN: a turn's work is done. E_OK: enough rows. Else a failure. */
int feed_scan(struct call *c, struct feed *f) MUST_CHECK;
/* The same for one key, by its versions. E_PRUNED: it has come to one that was dropped above older ones that are held. */
int feed_versions(struct call *c, struct feed *f) MUST_CHECK;
/* Does this node belong to the feed? hide_data: it is shown without its value. */
int feed_wants(struct call *c, const struct feed *f, const struct node *n, bool *yes, bool *hide_data) MUST_CHECK;
/* For a reader that woke: true when nothing behind f->at up to the limit belongs to it. False: look yourself. */
bool feed_no_news(struct call *c, const struct feed *f);
/* Gives the waiting rows their hash and state. */
int feed_flush(struct call *c, struct feed *f) MUST_CHECK;
/* The oldest point that a feed with this filter can start from, but for 0. One of a key may come to a gap yet: FEED_KEY looks for those on its way. */
int feed_horizon(struct call *c, const struct feed *f, uint64_t *seq) MUST_CHECK;
/* The oldest point behind which nothing is missing, or a newer one. */
int feed_good_from(struct call *c, const struct feed *f, uint64_t *seq) MUST_CHECK;
/* Below it something may be missing of what the filter wants: a walk from 0 goes on as one until it is past this. */
uint64_t feed_walk_end(struct call *c, const struct feed *f);

#endif
