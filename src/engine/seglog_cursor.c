/* Reading forward. Within a segment the cursor walks the bytes and trusts nothing but the records themselves; only in a salvaged segment, where
 * the bytes between records may be anything, it asks the sidecar for every record. It holds a reference to its segment, so
 * an install does not disturb it: it reads the old one to its end and finds its way by seq from there. */
#include "engine/seglog_part.h"
#include "engine/segscan.h"

#include "base/codec.h"
#include "base/mem.h"

struct seglog_cursor {
    struct seglog *l;
    struct segment *s; /* where it is; NULL: to be found */
    struct segscan scan;
    uint64_t next; /* seq wanted next, or the first one behind it */
    uint64_t upto; /* first seq of the segment behind s when s was found; UINT64_MAX: s was the tail */
    uint32_t cut;  /* of the last record given */
    bool lazy;
};

int seglog_cursor_open(struct seglog *l, uint64_t from_seq, struct seglog_cursor **out)
{
    ASSERT(l && out);
    struct seglog_cursor *c = mem_zalloc(sizeof *c);
    c->l = l;
    c->next = from_seq ? from_seq : 1;
    *out = c;
    return E_OK;
}

void seglog_cursor_close(struct seglog_cursor **c)
{
    if (!*c) return;
    segment_unref(&(*c)->s);
    segscan_fini(&(*c)->scan);
    mem_free(*c);
    *c = NULL;
}

static void leave(struct seglog_cursor *c)
{
    /* Behind the last one, if that is sealed (read-only), there is nothing; behind a tail there is a newer tail. */
    uint64_t upto = c->upto != UINT64_MAX || !c->s->side ? c->upto : sidecar_about(c->s->side)->last_seq + 1;
    segment_unref(&c->s);
    if (upto != UINT64_MAX && upto > c->next) c->next = upto;
}

/* Finds the segment of c->next and the first record there. E_END: it has none from there on. */
static int enter(struct seglog_cursor *c)
{
    struct sidecar_place at;
    c->s = seglog_find(c->l, c->next, &c->upto);
    if (!c->s) { /* before the oldest: begin there */
        struct seg_info first;
        if (seglog_segments(c->l, &first, 1) == 0) return E_NOTFOUND;
        ASSERT(first.id.first_seq > c->next);
        c->next = first.id.first_seq;
        return E_AGAIN;
    }
    int rc = segment_ceiling(c->s, c->next, &at);
    if (rc && rc != E_END) segment_unref(&c->s); /* not entered: the next call tries again */
    if (rc) return rc;
    struct buf keep = c->scan.buf;
    segscan_init(&c->scan, c->s->os, c->s->file, at.offset, segment_end(c->s));
    c->scan.buf = keep;
    c->scan.lazy = c->lazy;
    buf_clear(&c->scan.buf);
    return E_OK;
}

static int broken(const struct seglog_cursor *c, const char *why)
{
    char name[SEGMENT_NAME_BYTES];
    segment_name(name, c->s->id.first_seq, c->s->id.generation, "seg");
    return err_note(E_CORRUPT, "segment %s, offset %llu, seq %llu: %s", name, (unsigned long long)c->scan.at,
                    (unsigned long long)c->next, why);
}

static int next_by_table(struct seglog_cursor *c, uint64_t *seq, slice *raw, bool *more)
{
    struct sidecar_place at;
    struct log_record r;
    int rc = segment_ceiling(c->s, c->next, &at);
    if (rc == E_OK) rc = segment_read(c->s, &at, &c->scan.buf, &r);
    if (rc) return rc;
    *seq = at.seq;
    *raw = r.node;
    *more = r.more;
    c->cut = r.cut;
    c->next = at.seq + 1;
    return E_OK;
}

/* E_END: this segment has no more. */
static int next_by_bytes(struct seglog_cursor *c, uint64_t *seq, slice *raw, bool *more)
{
    struct segscan_record r;
    if (c->scan.at == c->scan.limit) c->scan.limit = segment_end(c->s);
    int rc = segscan_next(&c->scan, &r);
    if (rc == E_CORRUPT) return broken(c, "no valid record here");
    if (rc == E_END && c->scan.at < c->scan.limit) return broken(c, "no record here");
    if (rc) return rc;
    bool sparse = c->s->id.compacted;
    if (sparse ? r.seq < c->next || r.seq >= c->upto : r.seq != c->next) {
        c->scan.at = r.offset;
        return broken(c, "another record is here");
    }
    *seq = r.seq;
    *raw = r.node;
    *more = r.more;
    c->cut = r.cut;
    c->next = r.seq + 1;
    return E_OK;
}

void seglog_cursor_lazy(struct seglog_cursor *c)
{
    ASSERT(c && !c->s);
    c->lazy = true;
}

int seglog_cursor_check(const struct seglog_cursor *c, uint64_t seq, slice raw)
{
    struct log_record r;
    ASSERT(c && raw.p);
    const uint8_t *at = raw.p - RECORD_HEADER_BYTES;
    int rc = record_check(slice_of(at, record_bytes(get_u32(at))), &r);
    return rc == E_OK ? rc : err_note(E_CORRUPT, "the record of seq %llu fails its checksum", (unsigned long long)seq);
}

uint32_t seglog_cursor_cut(const struct seglog_cursor *c)
{
    ASSERT(c && c->s);
    return c->cut;
}

bool seglog_cursor_holds(const struct seglog_cursor *c)
{
    ASSERT(c);
    return c->s && !segment_is_lossy(c->s) && segscan_holds(&c->scan);
}

int seglog_cursor_next(struct seglog_cursor *c, uint64_t *seq, slice *raw, bool *more)
{
    ASSERT(c && seq && raw && more);
    for (;;) {
        /* Read first: whatever it covers can be found below. */
        if (c->next > seglog_last_seq(c->l)) return E_END;
        int rc = c->s ? E_OK : enter(c);
        if (rc == E_OK) rc = segment_is_lossy(c->s) ? next_by_table(c, seq, raw, more) : next_by_bytes(c, seq, raw, more);
        if (rc == E_AGAIN) continue;
        if (rc != E_END) return rc;
        leave(c); /* there is more, but not here */
    }
}
