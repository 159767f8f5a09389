/* The segment log's inside, shared by seglog.c, seglog_open.c, seglog_cursor.c and seglog_rewrite.c. Nobody else includes this.
 *
 * Lock order (all between drain and leaf): background -> append -> sync -> list. `list` is held for a search or a swap, never over a
 * system call; the others are held over file operations. */
#ifndef VARVE_ENGINE_SEGLOG_PART_H
#define VARVE_ENGINE_SEGLOG_PART_H

#include "base/thread.h"
#include "engine/segment.h"
#include "engine/syncmark.h"

#define SEGLOG_DIR          "log"
#define SEGLOG_EXTEND_BYTES (16u << 20) /* how far ahead the tail's file is made longer */
#define SEGLOG_NEXT_NAME    "next.tmp"  /* the tail after this one, made ahead */
#define SEGLOG_TAIL_NAME    "tail.tmp"  /* a tail made when none was ready */

struct seglog {
    struct os *os;
    char *dir; /* DIR/log, owned */
    uint64_t segment_bytes;
    uint8_t store_id[16];
    bool read_only;
    uint64_t last_seq; /* atomic: stored with release behind the tail's count */
    int failure;       /* atomic: an append or sync failed; nothing more is taken */
    struct mutex background_lock, append_lock, sync_lock, list_lock;
    struct os *scratch; /* read-only: holds sidecars that had to be made; else NULL */
    /* under sync_lock */
    struct syncmark *mark;
    uint64_t durable;
    /* under list_lock */
    struct segment **list; /* ascending; the last is the tail */
    size_t n, cap;
    /* changed under append_lock and list_lock, read under either */
    struct segment *tail; /* the list holds the reference; NULL when read-only */
    /* under append_lock */
    struct os_file *next; /* SEGLOG_NEXT_NAME, or NULL */
};

/* The segment that seq belongs to, with a reference; *upto = first seq of the one behind it (UINT64_MAX: none). NULL when seq is before all. */
struct segment *seglog_find(struct seglog *l, uint64_t seq, uint64_t *upto);
/* Puts `s` (one reference goes to the list) in the place of list[at .. at + n). The removed ones are unreferenced; doomed first if asked. Holders of
 * background_lock only, so that indexes stand still. */
void seglog_replace(struct seglog *l, size_t at, size_t n, struct segment *s, bool doom);
/* Puts `s` at the end; as the tail when it is open and the log is not read-only. */
void seglog_push(struct seglog *l, struct segment *s);
/* Makes a new tail that begins at first_seq; durable when it returns. */
int seglog_make_tail(struct seglog *l, uint64_t first_seq, struct segment **out) MUST_CHECK;

#endif
