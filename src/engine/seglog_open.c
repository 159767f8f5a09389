/* Opening the log: which files are the log, is every record there, and where does it end.
 *
 * A sealed segment is trusted through its sidecar (two checksums; every record's own is checked when it is read). One without a good sidecar is
 * read from end to end and gets a new one. The tail is always read.
 *
 * What is wrong is told apart like this, and only the first is repaired without being asked:
 *   torn tail   in the last segment, no record that could belong there follows anywhere behind: the file is cut at the last whole commit;
 *   lost write  in the last segment, behind the sync mark, the place looks like a write that never arrived (zeros up to a sector border) and
 *               later ones did arrive: a power cut may do that to what nobody was promised. Cut in the same way;
 *   damage      everything else. Open refuses and says where. Salvage keeps every whole commit that can be read, beside a
 *               sidecar that says what is missing, and goes on in a new segment; the damaged file itself stays as it is.
 * A read that fails says nothing about the bytes: it is E_IO, and nothing is cut.
 *
 * The manifest's list decides which generation of a range counts. Files that are no part of the log are removed last, when
 * all the rest was found in order. */
#include "engine/seglog_part.h"
#include "engine/segscan.h"

#include "base/codec.h"
#include "base/logline.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>

struct opening {
    const struct seglog_options *o;
    struct seglog *l;
    struct seglog_report *rep;
    uint64_t mark;        /* durable at least up to here */
    struct seg_id *chain; /* ascending */
    size_t n, cap;
    struct seg_id *found; /* every segment file in the directory */
    size_t n_found, cap_found;
};

/* One segment while it is read from end to end. */
struct reading {
    struct opening *op;
    const struct seg_id *id;
    struct segscan scan;
    uint64_t upto;               /* first seq of the next segment; UINT64_MAX: this is the last */
    struct sidecar_draft draft;  /* whole commits only */
    struct sidecar_draft commit; /* the one being read */
    uint64_t commit_first;       /* its first seq; 0: between commits */
    uint64_t expect;             /* next seq */
    uint64_t whole;              /* next seq behind the last whole commit */
    uint64_t end;                /* offset behind it */
    uint64_t used;               /* end of the last non-zero word */
    uint64_t records;            /* compacted: how many there must be */
    bool skipping;               /* behind damage, before the next commit begins */
    bool lossy;
};

/* ---- damage ---- */

static int damage(struct opening *op, const struct seg_id *id, uint64_t offset, const char *why, uint64_t from, uint64_t to)
{
    char name[SEGMENT_NAME_BYTES], where[sizeof op->rep->where];
    segment_name(name, id->first_seq, id->generation, "seg");
    snprintf(where, sizeof where, "segment %s, offset %llu: %s; seqs %llu to %llu", name, (unsigned long long)offset, why,
             (unsigned long long)from, (unsigned long long)to);
    log_line(LOG_WARNING, "Damage in the log: %s", where);
    if (op->rep->lost_from == 0) {
        op->rep->lost_from = from;
        op->rep->lost_to = to;
        memcpy(op->rep->where, where, sizeof where);
    }
    return E_CORRUPT;
}

/* ---- reading a segment from end to end ---- */

static void drop_commit(struct reading *r)
{
    sidecar_draft_fini(&r->commit);
    r->commit_first = 0;
}

static void keep_commit(struct reading *r)
{
    buf_add(&r->draft.seqs, r->commit.seqs.p, r->commit.seqs.n);
    buf_add(&r->draft.entries, r->commit.entries.p, r->commit.entries.n);
    r->draft.count += r->commit.count;
    buf_clear(&r->commit.seqs);
    buf_clear(&r->commit.entries);
    r->commit.count = 0;
    r->commit_first = 0;
    r->whole = r->expect;
    r->end = r->scan.at;
}

static bool seq_fits(const struct reading *r, uint64_t seq)
{
    if (seq >= r->upto || seq - r->id->first_seq > SIDECAR_RANGE_MAX) return false;
    return r->id->compacted || r->skipping ? seq >= r->expect : seq == r->expect;
}

/* Behind damage: is this record the first of a commit? One that is not, and all up to the end of its commit, is half a commit. */
static bool begins_commit(const struct segscan_record *rec)
{
    struct node n;
    return node_decode(rec->node, &n) == E_OK && n.commit_pos == 0;
}

static void take_record(struct reading *r, const struct segscan_record *rec)
{
    r->expect = rec->seq + 1 + rec->cut;
    if (r->skipping) {
        if (!begins_commit(rec)) {
            r->skipping = rec->more;
            return;
        }
        r->skipping = false;
    }
    if (r->commit_first == 0) r->commit_first = rec->seq;
    sidecar_draft_add(&r->commit, rec->seq - r->id->first_seq, rec->offset, rec->more);
    if (rec->cut) r->draft.cuts = true;
    if (!rec->more) keep_commit(r);
}

/* At a place where no record is. E_END: the records end here; E_OK: goes on behind the damage (salvage); E_CORRUPT: refused. */
static int step_over(struct reading *r, const char *why)
{
    uint64_t at = r->scan.at, last = r->upto - 1, left = r->scan.limit - at;
    bool is_last = r->upto == UINT64_MAX, hole = false;
    if (is_last) last = r->expect + left / RECORD_BYTES_MIN + 1;
    int rc = r->expect > last ? E_END : segscan_is_hole(&r->scan, &hole);
    if (rc == E_OK) rc = segscan_resync(&r->scan, r->expect, last, &r->used);
    if (rc) return rc;
    struct segscan_record next;
    uint64_t back = r->scan.at;
    rc = segscan_next(&r->scan, &next);
    if (rc) return rc == E_CORRUPT || rc == E_END ? E_IO : rc; /* it was read a moment ago */
    r->scan.at = back;
    if (is_last && hole && r->expect > r->op->mark) {
        r->scan.at = at;
        r->used = r->scan.limit; /* what follows must go too */
        return E_END;
    }
    rc = damage(r->op, r->id, at, why, r->commit_first ? r->commit_first : r->expect, next.seq - 1);
    if (!r->op->o->salvage) return rc;
    drop_commit(r);
    r->expect = next.seq;
    r->skipping = r->lossy = true;
    return E_OK;
}

static int read_all(struct reading *r)
{
    int rc = E_OK;
    while (rc == E_OK) {
        struct segscan_record rec;
        rc = segscan_next(&r->scan, &rec);
        if (rc == E_OK && seq_fits(r, rec.seq + rec.cut) && seq_fits(r, rec.seq) && (!rec.cut || r->id->compacted)) {
            take_record(r, &rec);
            continue;
        }
        const char *why = rc == E_OK ? "another seq is expected here" : rc == E_END ? "no record here" : "no valid record here";
        /* One that fits but for its cut would be found in the same place again. */
        if (rc == E_OK) r->scan.at = rec.offset + (seq_fits(r, rec.seq) ? 4 : 0), rc = E_CORRUPT;
        if (r->scan.at > r->used) r->used = r->scan.at;
        if (rc == E_END && r->scan.at == r->scan.limit) break;
        if (rc == E_END || rc == E_CORRUPT) rc = step_over(r, why);
    }
    return rc == E_END ? E_OK : rc;
}

/* A segment in the middle has to reach the next one; a compacted one has as many records as it was given. */
static int check_reach(struct reading *r)
{
    if (r->id->compacted && r->commit_first == 0 && (r->records == r->draft.count || r->lossy)) return E_OK;
    if (!r->id->compacted && (r->whole == r->upto || r->upto == UINT64_MAX)) return E_OK;
    int rc = damage(r->op, r->id, r->end, "the segment ends too early", r->whole, r->upto - 1);
    if (!r->op->o->salvage) return rc;
    r->lossy = true;
    return E_OK;
}

static int read_segment(struct reading *r, struct os_file *f, uint64_t size)
{
    uint64_t limit = size & ~(uint64_t)3;
    r->expect = r->whole = r->id->first_seq;
    r->end = r->used = limit < SEGMENT_HEADER_BYTES ? limit : SEGMENT_HEADER_BYTES;
    segscan_init(&r->scan, r->op->l->os, f, r->end, limit);
    int rc = read_all(r);
    if (rc == E_OK && limit != size) r->used = size;
    return rc ? rc : check_reach(r);
}

static void reading_fini(struct reading *r)
{
    segscan_fini(&r->scan);
    sidecar_draft_fini(&r->draft);
    sidecar_draft_fini(&r->commit);
}

/* ---- sealed segments ---- */

/* *ok = false: it is damaged. Nothing is reported yet, but for another store's. */
static int read_header(struct opening *op, const struct seg_id *id, struct os_file *f, struct segment_header *h, bool *ok)
{
    uint8_t raw[SEGMENT_HEADER_BYTES];
    size_t got = 0;
    int rc = os_read(op->l->os, f, 0, raw, sizeof raw, &got);
    if (rc == E_OK) rc = segment_header_decode(slice_of(raw, got), h);
    /* Another store's records have seqs of their own: not even salvage may mix them in. */
    if (rc == E_OK && memcmp(h->store_id, op->l->store_id, 16) != 0)
        return damage(op, id, 0, "it belongs to another store", id->first_seq, id->first_seq);
    *ok = rc == E_OK && h->first_seq == id->first_seq && h->generation == id->generation && !(h->flags & SEGMENT_COMPACTED) == !id->compacted;
    return rc == E_CORRUPT ? E_OK : rc;
}

/* *ok = false: it is damaged, and salvage goes on without it. */
static int check_header(struct opening *op, const struct seg_id *id, struct os_file *f, struct segment_header *h, bool *ok)
{
    int rc = read_header(op, id, f, h, ok);
    if (rc || *ok) return rc;
    rc = damage(op, id, 0, "the header is damaged", id->first_seq, id->first_seq);
    return op->o->salvage ? E_OK : rc;
}

/* A sidecar that fits its segment. E_NOTFOUND: none, or not a good one. */
static int open_sidecar(struct opening *op, const struct seg_id *id, uint64_t upto, uint64_t size, struct sidecar **out)
{
    char name[SEGMENT_NAME_BYTES];
    struct buf path = {0};
    struct sidecar *s = NULL;
    segment_name(name, id->first_seq, id->generation, "idx");
    int rc = sidecar_open(op->l->os, segment_path(&path, op->l->dir, name), &s);
    buf_fini(&path);
    if (rc) return rc == E_IO ? rc : E_NOTFOUND;
    const struct sidecar_info *i = sidecar_about(s);
    bool lossy = i->flags & SIDECAR_LOSSY, sparse = i->flags & SIDECAR_SPARSE;
    bool fits = i->first_seq == id->first_seq && i->generation == id->generation && memcmp(i->store_id, op->l->store_id, 16) == 0;
    fits = fits && (lossy ? i->segment_bytes <= size : i->segment_bytes == size && sparse == id->compacted);
    fits = fits && (upto == UINT64_MAX || i->last_seq == upto - 1);
    if (!fits)
        sidecar_close(&s);
    else
        *out = s;
    return fits ? E_OK : E_NOTFOUND;
}

/* Writes the sidecar out of what was read, and opens it. */
static int make_sidecar(struct reading *r, uint64_t size, struct sidecar **out)
{
    struct seglog *l = r->op->l;
    char name[SEGMENT_NAME_BYTES];
    struct buf path = {0};
    struct sidecar_info info = {
        .first_seq = r->id->first_seq, .last_seq = r->upto - 1, .generation = r->id->generation, .segment_bytes = r->end};
    memcpy(info.store_id, l->store_id, 16);
    if (r->upto == UINT64_MAX) info.last_seq = r->whole - 1;
    if (r->lossy) {
        info.flags = SIDECAR_SPARSE | SIDECAR_LOSSY;
        info.segment_bytes = size & ~(uint64_t)3;
    } else if (r->id->compacted) {
        info.flags = SIDECAR_SPARSE;
    }
    if (r->draft.cuts) info.flags |= SIDECAR_CUTS;
    segment_name(name, r->id->first_seq, r->id->generation, "idx");
    if (r->op->o->read_only && !l->scratch) l->scratch = os_memory_new();
    struct os *os = r->op->o->read_only ? l->scratch : l->os;
    int rc = r->op->o->read_only ? os_mkdir(os, l->dir) : E_OK;
    if (rc == E_OK) rc = sidecar_write(os, l->dir, name, &info, &r->draft);
    if (rc == E_OK) rc = sidecar_open(os, segment_path(&path, l->dir, name), out);
    buf_fini(&path);
    return rc;
}

static int seal(struct reading *r, struct os_file *f, uint64_t size, struct segment **out)
{
    struct seglog *l = r->op->l;
    struct sidecar *side = NULL;
    int rc = E_OK;
    if (!r->lossy && r->end < size && !r->op->o->read_only) {
        rc = os_truncate(l->os, f, r->end);
        if (rc == E_OK) rc = os_sync(l->os, f);
    }
    if (rc == E_OK) rc = make_sidecar(r, size, &side);
    if (rc == E_OK) rc = segment_sealed(l->os, l->dir, r->id, &side, out);
    sidecar_close(&side);
    r->op->rep->sidecars_rebuilt++;
    return rc;
}

/* ---- the tail ---- */

/* What was durable and is not there any more was no torn write. Nothing is cut, and the mark stays: the next start must see it too, after a salvage
 * that did not get to its end as well. Salvage and looking go on, with a report; who salvages fills the log up to the mark. */
static int lost_end(struct opening *op, const struct seg_id *id, uint64_t offset, uint64_t last)
{
    const struct seglog_options *o = op->o;
    ASSERT(op->mark > last);
    int rc = damage(op, id, offset, "the log ends before what was on disk", last + 1, op->mark);
    return o->salvage || o->read_only ? E_OK : rc;
}

static int cut_tail(struct reading *r, struct os_file *f)
{
    struct opening *op = r->op;
    struct seglog *l = op->l;
    op->rep->torn_bytes = r->used - r->end;
    log_line(LOG_WARNING, "The log's end is torn: %llu bytes behind seq %llu are %s.", (unsigned long long)op->rep->torn_bytes,
             (unsigned long long)(r->whole - 1), op->o->read_only ? "ignored" : "cut");
    if (op->o->read_only) return E_OK;
    int rc = os_truncate(l->os, f, r->end);
    /* Synced before anything is written there: else a power cut could bring old bytes back behind new ones. */
    return rc ? rc : os_sync(l->os, f);
}

static int open_tail(struct reading *r, struct os_file **f, uint64_t size, struct segment **out)
{
    struct opening *op = r->op;
    bool torn = r->used > r->end;
    int rc = op->mark >= r->whole ? lost_end(op, r->id, r->end, r->whole - 1) : E_OK;
    if (rc == E_OK && torn) rc = cut_tail(r, *f);
    if (rc) return rc;
    struct segment *s = segment_new(op->l->os, op->l->dir, f, r->id, size > op->l->segment_bytes ? size : op->l->segment_bytes);
    const uint8_t *e = r->draft.entries.p;
    for (uint64_t i = 0; i < r->draft.count; i++) {
        uint32_t word = get_u32(e + i * 4);
        uint64_t at = (uint64_t)(word & ~ENTRY_MORE) * ENTRY_UNIT;
        uint64_t next = i + 1 < r->draft.count ? (uint64_t)(get_u32(e + i * 4 + 4) & ~ENTRY_MORE) * ENTRY_UNIT : r->end;
        segment_add(s, at, next - at, word & ENTRY_MORE);
    }
    s->extended = torn ? r->end : size;
    *out = s;
    return E_OK;
}

/* A last segment with nothing in it that can be read: its name is needed for the one that goes on. */
static int set_aside(struct opening *op, const struct seg_id *id)
{
    char name[SEGMENT_NAME_BYTES], aside[SEGMENT_NAME_BYTES + 16];
    struct buf from = {0}, to = {0};
    segment_name(name, id->first_seq, id->generation, "seg");
    snprintf(aside, sizeof aside, "%s.damaged", name);
    log_line(LOG_WARNING, "Repair: %s holds nothing that can be read and is kept as %s.", name, aside);
    int rc = os_rename(op->l->os, segment_path(&from, op->l->dir, name), segment_path(&to, op->l->dir, aside));
    if (rc == E_OK) rc = os_sync_dir(op->l->os, op->l->dir);
    buf_fini(&from);
    buf_fini(&to);
    return rc;
}

/* ---- one segment ---- */

static int open_unsealed(struct opening *op, const struct seg_id *id, uint64_t upto, struct os_file **f, uint64_t size)
{
    struct reading r = {.op = op, .id = id, .upto = upto};
    struct segment_header h = {0};
    struct segment *s = NULL;
    bool header_ok = false;
    int rc = check_header(op, id, *f, &h, &header_ok);
    r.records = h.records;
    r.lossy = !header_ok; /* then the sidecar must say so, or the next start would refuse it again */
    if (rc == E_OK) rc = read_segment(&r, *f, size);
    bool last = upto == UINT64_MAX;
    if (rc == E_OK && last && r.lossy && r.draft.count == 0) {
        if (!op->o->read_only) rc = set_aside(op, id);
    } else if (rc == E_OK && last && !r.lossy && !id->compacted) {
        rc = open_tail(&r, f, size, &s);
    } else if (rc == E_OK) {
        rc = seal(&r, *f, size, &s);
    }
    if (s) seglog_push(op->l, s);
    if (rc == E_OK && s) op->l->last_seq = last ? r.whole - 1 : upto - 1;
    reading_fini(&r);
    return rc;
}

/* Salvage trusts no sidecar: are the records where it says, behind a good header? *whole = false: no, so the segment is to be read for what is left. */
static int check_records(struct opening *op, const struct seg_id *id, struct os_file *f, const struct sidecar *side, bool *whole)
{
    const struct sidecar_info *about = sidecar_about(side);
    uint64_t n = sidecar_count(side);
    struct segment_header h;
    struct segscan scan;
    int rc = about->flags & SIDECAR_LOSSY ? E_OK : read_header(op, id, f, &h, whole);
    if (rc || !*whole) return rc; /* else the next start would refuse it again: only a lossy sidecar makes up for a header */
    segscan_init(&scan, op->l->os, f, SEGMENT_HEADER_BYTES, about->segment_bytes);
    for (uint64_t i = 0; rc == E_OK && i < n; i++) {
        struct sidecar_place at;
        struct segscan_record rec;
        rc = sidecar_place(side, i, &at);
        if (rc == E_OK && (at.offset < scan.at || at.offset > scan.limit || at.offset % 4)) rc = E_CORRUPT;
        if (rc == E_OK && at.offset > scan.at && !(about->flags & SIDECAR_LOSSY)) rc = E_CORRUPT;
        if (rc == E_OK) scan.at = at.offset;
        if (rc == E_OK) rc = segscan_next(&scan, &rec);
        if (rc == E_OK && (rec.seq != at.seq || rec.more != at.more)) rc = E_CORRUPT;
    }
    segscan_fini(&scan);
    *whole = rc == E_OK;
    return rc == E_CORRUPT || rc == E_END ? E_OK : rc;
}

static int open_sealed(struct opening *op, const struct seg_id *id, struct os_file *f, struct sidecar **side)
{
    struct segment_header h;
    struct segment *s = NULL;
    bool lossy = sidecar_about(*side)->flags & SIDECAR_LOSSY, header_ok;
    uint64_t last_seq = sidecar_about(*side)->last_seq;
    int rc = lossy ? E_OK : check_header(op, id, f, &h, &header_ok);
    if (rc == E_OK) rc = segment_sealed(op->l->os, op->l->dir, id, side, &s);
    if (rc) return rc;
    op->l->last_seq = last_seq;
    seglog_push(op->l, s);
    return E_OK;
}

static int open_segment(struct opening *op, const struct seg_id *id, uint64_t upto)
{
    struct seglog *l = op->l;
    char name[SEGMENT_NAME_BYTES];
    struct buf path = {0};
    struct os_file *f = NULL;
    struct sidecar *side = NULL;
    uint64_t size = 0;
    segment_name(name, id->first_seq, id->generation, "seg");
    int rc = os_open(l->os, segment_path(&path, l->dir, name), op->o->read_only ? OS_READ : OS_WRITE, &f);
    if (rc == E_OK) rc = os_size(l->os, f, &size);
    if (rc == E_OK) rc = open_sidecar(op, id, upto, size, &side);
    bool whole = true;
    if (rc == E_OK && op->o->salvage) rc = check_records(op, id, f, side, &whole);
    if (rc == E_OK && !whole) rc = E_NOTFOUND;
    if (rc == E_OK) {
        rc = open_sealed(op, id, f, &side);
    } else if (rc == E_NOTFOUND && f) {
        rc = open_unsealed(op, id, upto, &f, size);
    }
    sidecar_close(&side);
    os_close(l->os, &f);
    buf_fini(&path);
    return rc;
}

/* ---- which files are the log ---- */

static void add_id(struct seg_id **list, size_t *n, size_t *cap, const struct seg_id *id)
{
    if (*n == *cap) {
        *cap = *cap ? *cap * 2 : 16;
        *list = mem_realloc(*list, *cap * sizeof **list);
    }
    (*list)[(*n)++] = *id;
}

static int note_file(void *ctx, const char *name)
{
    struct opening *op = ctx;
    struct seg_id id = {0};
    bool sidecar;
    if (segment_name_parse(name, &id.first_seq, &id.generation, &sidecar) && !sidecar)
        add_id(&op->found, &op->n_found, &op->cap_found, &id);
    return 0;
}

static int by_first(const void *a, const void *b)
{
    const struct seg_id *x = a, *y = b;
    return x->first_seq < y->first_seq ? -1 : x->first_seq > y->first_seq;
}

static bool is_found(const struct opening *op, const struct seg_id *id)
{
    for (size_t i = 0; i < op->n_found; i++)
        if (op->found[i].first_seq == id->first_seq && op->found[i].generation == id->generation) return true;
    return false;
}

static bool is_chained(const struct opening *op, const struct seg_id *id)
{
    size_t lo = 0, hi = op->n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (op->chain[mid].first_seq < id->first_seq)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < op->n && op->chain[lo].first_seq == id->first_seq && op->chain[lo].generation == id->generation;
}

static int make_chain(struct opening *op)
{
    const struct seglog_options *o = op->o;
    for (size_t i = 0; i < o->n_installed; i++) {
        ASSERT(i == 0 || o->installed[i - 1].first_seq < o->installed[i].first_seq);
        uint64_t to = i + 1 < o->n_installed ? o->installed[i + 1].first_seq - 1 : o->installed[i].first_seq;
        if (is_found(op, &o->installed[i])) {
            add_id(&op->chain, &op->n, &op->cap, &o->installed[i]);
        } else {
            int rc = damage(op, &o->installed[i], 0, "the file is missing", o->installed[i].first_seq, to);
            if (!o->salvage) return rc;
        }
    }
    size_t listed = op->n;
    for (size_t i = 0; i < op->n_found; i++) {
        const struct seg_id *id = &op->found[i];
        if (id->generation != 0 || id->first_seq < o->first_unlisted_seq) continue;
        bool have = false;
        for (size_t k = 0; k < listed && !have; k++) have = op->chain[k].first_seq == id->first_seq;
        if (!have) add_id(&op->chain, &op->n, &op->cap, id);
    }
    if (op->n) qsort(op->chain, op->n, sizeof *op->chain, by_first);
    uint64_t from = o->first_unlisted_seq > 1 ? o->first_unlisted_seq : 1;
    if (o->n_installed || op->n == 0 || op->chain[0].first_seq <= from) return E_OK;
    int rc = damage(op, &op->chain[0], 0, "an older segment is missing", from, op->chain[0].first_seq - 1);
    return o->salvage ? E_OK : rc;
}

/* ---- leftovers ---- */

struct leftovers {
    struct opening *op;
    struct buf names; /* NUL-terminated, one after the other */
};

static int note_leftover(void *ctx, const char *name)
{
    struct leftovers *left = ctx;
    struct opening *op = left->op;
    struct seg_id id = {0};
    bool sidecar, ours = segment_name_parse(name, &id.first_seq, &id.generation, &sidecar);
    size_t n = strlen(name);
    bool temporary = n > 4 && strcmp(name + n - 4, ".tmp") == 0;
    if (ours && is_chained(op, &id)) return 0;
    if (ours || temporary) buf_add(&left->names, name, n + 1);
    return 0;
}

static int remove_leftovers(struct opening *op)
{
    struct leftovers left = {.op = op};
    struct buf path = {0};
    int rc = os_list(op->l->os, op->l->dir, note_leftover, &left);
    for (size_t at = 0; rc == E_OK && at < left.names.n; at += strlen((const char *)left.names.p + at) + 1) {
        rc = os_remove(op->l->os, segment_path(&path, op->l->dir, (const char *)left.names.p + at));
        if (rc == E_NOTFOUND) rc = E_OK;
    }
    buf_fini(&left.names);
    buf_fini(&path);
    return rc;
}

/* ---- all of it ---- */

static struct seglog *new_log(const struct seglog_options *o)
{
    struct seglog *l = mem_zalloc(sizeof *l);
    struct buf path = {0};
    l->os = o->os;
    l->dir = mem_strdup(segment_path(&path, o->dir, SEGLOG_DIR));
    l->segment_bytes = o->segment_bytes ? o->segment_bytes : SEGMENT_BYTES_DEFAULT;
    ASSERT(l->segment_bytes >= SEGMENT_BYTES_MIN && l->segment_bytes <= SEGMENT_BYTES_MAX);
    l->read_only = o->read_only;
    memcpy(l->store_id, o->store_id, 16);
    mutex_init(&l->background_lock, "log background", RANK_LOG - 6);
    mutex_init(&l->append_lock, "log append", RANK_LOG - 4);
    mutex_init(&l->sync_lock, "log sync", RANK_LOG - 2);
    mutex_init(&l->list_lock, "log list", RANK_LOG);
    buf_fini(&path);
    return l;
}

static int open_chain(struct opening *op)
{
    int rc = E_OK;
    for (size_t i = 0; rc == E_OK && i < op->n; i++) {
        rc = open_segment(op, &op->chain[i], i + 1 < op->n ? op->chain[i + 1].first_seq : UINT64_MAX);
        if (op->o->progress) op->o->progress(op->o->progress_ctx, "log", i + 1, op->n);
    }
    return rc;
}

static int settle_mark(struct opening *op)
{
    struct seglog *l = op->l;
    if (op->mark > l->last_seq) {
        const struct seg_id none = {.first_seq = 1};
        uint64_t end = l->n ? segment_end(l->list[l->n - 1]) : 0;
        return lost_end(op, l->n ? &l->list[l->n - 1]->id : &none, end, l->last_seq);
    }
    l->durable = op->mark;
    return E_OK;
}

static int finish(struct opening *op)
{
    struct seglog *l = op->l;
    struct segment *tail = NULL;
    if (op->n == 0 && op->o->first_unlisted_seq > 1) l->last_seq = op->o->first_unlisted_seq - 1;
    int rc = settle_mark(op);
    if (op->o->read_only) return rc;
    if (rc == E_OK && !op->o->salvage) rc = remove_leftovers(op);
    if (rc == E_OK && !l->tail) {
        rc = seglog_make_tail(l, l->last_seq + 1, &tail);
        if (rc == E_OK) seglog_push(l, tail);
    }
    return rc;
}

int seglog_open(const struct seglog_options *o, struct seglog **out, struct seglog_report *rep)
{
    ASSERT(o && o->os && o->dir && o->store_id && out && rep);
    struct opening op = {.o = o, .l = new_log(o), .rep = rep};
    struct seglog *l = op.l;
    *rep = (struct seglog_report){0};
    int rc = o->read_only ? E_OK : os_mkdir(l->os, l->dir);
    if (rc == E_OK && !o->read_only) rc = os_sync_dir(l->os, o->dir); /* a directory is an entry too */
    if (rc == E_OK) rc = os_list(l->os, l->dir, note_file, &op);
    if (rc == E_NOTFOUND && o->read_only) rc = E_OK;
    if (rc == E_OK) rc = syncmark_open(l->os, l->dir, l->store_id, o->read_only, &l->mark, &op.mark);
    rep->durable = op.mark;
    if (rc == E_OK) rc = make_chain(&op);
    if (rc == E_OK) rc = open_chain(&op);
    if (rc == E_OK) rc = finish(&op);
    mem_free(op.chain);
    mem_free(op.found);
    if (rc)
        seglog_close(&l);
    else
        *out = l;
    return rc;
}
