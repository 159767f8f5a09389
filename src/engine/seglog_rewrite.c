/* Compaction's side: copies what is to be kept of a run of sealed segments into one new generation, forward in seq order.
 *
 * A kept record is held back until it is known whether another of its commit is kept: when what followed it is dropped, it becomes the last one left
 * of its commit, must not claim the next commit's first record, and says how many nodes followed: a seq among them is inside the commit as before. Only
 * the record around the node changes then; the node and its hash never do.
 *
 * Nodes are copied once, straight into the buffer that is written, and shown to the caller's check from there: it costs no copy to let it compare hashes.
 *
 * Until the manifest names the new file it means nothing: a crash leaves a leftover that the next start removes. */
#include "engine/seglog_part.h"

#include "base/codec.h"
#include "base/mem.h"

#define OUT_BYTES    (1u << 20)
#define CANCEL_EVERY 256u

struct rewrite {
    struct seglog *l;
    const struct seg_rewrite_options *o;
    struct os_file *file;
    struct seg_id id;
    uint64_t written; /* file bytes */
    struct buf out;   /* not yet written; the last record there may be the held one */
    size_t held_at, held_bytes;
    uint64_t held_seq; /* the newest kept node, whose header is not written yet; 0 = none */
    size_t n_group;    /* nodes in `out` that the check has not seen */
    uint64_t group_seq[SEG_REWRITE_GROUP];
    struct {
        size_t at, n;
    } group[SEG_REWRITE_GROUP];
    struct sidecar_draft draft;
};

static int check_group(struct rewrite *w)
{
    slice raw[SEG_REWRITE_GROUP];
    size_t n = w->n_group;
    if (n == 0) return E_OK;
    for (size_t i = 0; i < n; i++) raw[i] = slice_of(w->out.p + w->group[i].at, w->group[i].n);
    w->n_group = 0;
    return w->o->check(w->o->ctx, n, w->group_seq, raw);
}

static int flush(struct rewrite *w)
{
    ASSERT(w->held_seq == 0);
    int rc = check_group(w);
    if (rc == E_OK && w->out.n) rc = os_write(w->l->os, w->file, w->written, w->out.p, w->out.n);
    if (rc) return rc;
    w->written += w->out.n;
    buf_clear(&w->out);
    return E_OK;
}

static int put_held(struct rewrite *w, bool more, uint64_t cut)
{
    if (w->held_seq == 0) return E_OK;
    ASSERT(!more || cut == 0);
    if (cut) {
        buf_reserve(&w->out, RECORD_CUT_BYTES);
        w->out.n += RECORD_CUT_BYTES;
        w->draft.cuts = true;
    }
    uint8_t *p = w->out.p + w->held_at;
    put_u32(p, cut ? record_seal_cut(p, w->held_bytes, (uint32_t)cut) : record_seal(p, w->held_bytes, more));
    sidecar_draft_add(&w->draft, w->held_seq - w->id.first_seq, w->written + w->held_at, more);
    w->held_seq = 0;
    return w->out.n >= OUT_BYTES ? flush(w) : E_OK;
}

static int hold(struct rewrite *w, uint64_t seq, slice raw)
{
    size_t size = record_size(raw.n);
    ASSERT(w->held_seq == 0);
    if (w->written + w->out.n + size + RECORD_CUT_BYTES > ENTRY_OFFSET_MAX)
        return err_note(E_TOOBIG, "a compacted segment would be larger than a sidecar can describe");
    uint8_t *p = buf_reserve(&w->out, size);
    memcpy(p + RECORD_HEADER_BYTES, raw.p, raw.n);
    w->held_at = w->out.n;
    w->held_bytes = raw.n;
    w->held_seq = seq;
    w->out.n += size;
    if (!w->o->check) return E_OK;
    w->group_seq[w->n_group] = seq;
    w->group[w->n_group].at = w->held_at + RECORD_HEADER_BYTES;
    w->group[w->n_group++].n = raw.n;
    return w->n_group == SEG_REWRITE_GROUP ? check_group(w) : E_OK;
}

static int copy(struct rewrite *w)
{
    const struct seg_rewrite_options *o = w->o;
    struct seglog_cursor *c = NULL;
    uint64_t seq = 0, turn = 0, end = 0; /* of the held record's commit, once that has ended */
    bool more = false, same = false;     /* same: the held record's commit goes on */
    int rc = seglog_cursor_open(w->l, w->id.first_seq, &c);
    while (rc == E_OK) {
        slice raw;
        if (turn++ % CANCEL_EVERY == 0 && o->cancelled && o->cancelled(o->ctx)) rc = E_CANCELLED;
        if (rc == E_OK) rc = seglog_cursor_next(c, &seq, &raw, &more);
        if (rc == E_END || (rc == E_OK && seq > o->last_seq)) break;
        if (rc == E_OK && o->keep(o->ctx, seq)) {
            rc = put_held(w, same, same ? 0 : end - w->held_seq);
            if (rc == E_OK) rc = hold(w, seq, raw);
            same = true;
        }
        if (rc == E_OK && !more && same) {
            end = seq + seglog_cursor_cut(c);
            same = false;
        }
    }
    seglog_cursor_close(&c);
    if (rc != E_OK && rc != E_END) return rc;
    ASSERT(!same); /* segments hold whole commits */
    rc = put_held(w, false, end - w->held_seq);
    return rc == E_OK ? flush(w) : rc;
}

/* Checks that [first, last] is a run of whole sealed segments; sums them up. */
static int check_range(struct rewrite *w, uint64_t *bytes)
{
    struct seglog *l = w->l;
    uint64_t first_seq = w->o->first_seq, last_seq = w->o->last_seq;
    size_t n = seglog_segments(l, NULL, 0), at = 0;
    struct seg_info *info = mem_alloc((n ? n : 1) * sizeof *info);
    n = seglog_segments(l, info, n) < n ? 0 : n;
    uint32_t generation = 0;
    bool ended = false;
    int rc = E_OK;
    *bytes = 0;
    while (at < n && info[at].id.first_seq != first_seq) at++;
    if (at == n || last_seq - first_seq > SIDECAR_RANGE_MAX) rc = E_INVALID;
    for (; rc == E_OK && at < n && info[at].id.first_seq <= last_seq; at++) {
        if (!info[at].sealed || info[at].last_seq > last_seq) rc = E_INVALID;
        if (info[at].id.generation >= generation) generation = info[at].id.generation + 1;
        *bytes += info[at].bytes;
        ended = info[at].last_seq == last_seq;
    }
    mem_free(info);
    if (rc == E_OK && !ended) rc = E_INVALID;
    w->id = (struct seg_id){.first_seq = first_seq, .generation = generation, .compacted = true};
    return rc;
}

static int start(struct rewrite *w)
{
    char name[SEGMENT_NAME_BYTES];
    struct buf path = {0};
    segment_name(name, w->id.first_seq, w->id.generation, "seg");
    int rc = os_open(w->l->os, segment_path(&path, w->l->dir, name), OS_WRITE | OS_TRUNCATE, &w->file);
    w->written = SEGMENT_HEADER_BYTES; /* the header comes last: it knows how many records there are */
    buf_fini(&path);
    return rc;
}

static int finish(struct rewrite *w)
{
    char name[SEGMENT_NAME_BYTES];
    uint8_t head[SEGMENT_HEADER_BYTES];
    struct segment_header h = {.first_seq = w->id.first_seq,
                               .generation = w->id.generation,
                               .flags = SEGMENT_COMPACTED,
                               .records = (uint32_t)w->draft.count};
    struct sidecar_info info = {.first_seq = w->id.first_seq,
                                .last_seq = w->o->last_seq,
                                .generation = w->id.generation,
                                .segment_bytes = w->written,
                                .flags = SIDECAR_SPARSE | (w->draft.cuts ? SIDECAR_CUTS : 0)};
    h.created_ms = os_wall_us(w->l->os) / 1000;
    memcpy(h.store_id, w->l->store_id, 16);
    memcpy(info.store_id, w->l->store_id, 16);
    segment_header_encode(&h, head);
    segment_name(name, w->id.first_seq, w->id.generation, "idx");
    int rc = os_write(w->l->os, w->file, 0, head, sizeof head);
    if (rc == E_OK) rc = os_sync(w->l->os, w->file);
    /* Also makes the segment's own directory entry durable. */
    return rc ? rc : sidecar_write(w->l->os, w->l->dir, name, &info, &w->draft);
}

static void remove_files(struct seglog *l, const struct seg_id *id)
{
    static const char *const ext[] = {"idx", "seg"};
    struct buf path = {0};
    for (int i = 0; i < 2; i++) {
        char name[SEGMENT_NAME_BYTES];
        segment_name(name, id->first_seq, id->generation, ext[i]);
        if (os_remove(l->os, segment_path(&path, l->dir, name)) < 0) continue; /* the next start removes it */
    }
    buf_fini(&path);
}

int seglog_rewrite(struct seglog *l, const struct seg_rewrite_options *o, struct seg_rewrite *out)
{
    struct rewrite w = {.l = l, .o = o};
    uint64_t before = 0;
    ASSERT(l && o && o->keep && out && !l->read_only);
    ASSERT(o->first_seq > 0 && o->first_seq <= o->last_seq);
    int rc = check_range(&w, &before);
    if (rc == E_OK) rc = start(&w);
    bool made = w.file != NULL;
    if (rc == E_OK) rc = copy(&w);
    if (rc == E_OK) rc = finish(&w);
    os_close(l->os, &w.file);
    if (rc == E_OK) {
        *out = (struct seg_rewrite){
            .id = w.id, .last_seq = o->last_seq, .nodes = w.draft.count, .bytes_before = before, .bytes_after = w.written};
    } else if (made) {
        remove_files(l, &w.id);
    }
    sidecar_draft_fini(&w.draft);
    buf_fini(&w.out);
    return rc;
}

int seglog_install(struct seglog *l, const struct seg_rewrite *rw)
{
    char name[SEGMENT_NAME_BYTES];
    struct buf path = {0};
    struct sidecar *side = NULL;
    struct segment *s = NULL;
    ASSERT(l && rw && !l->read_only);
    segment_name(name, rw->id.first_seq, rw->id.generation, "idx");
    int rc = sidecar_open(l->os, segment_path(&path, l->dir, name), &side);
    if (rc == E_OK) rc = segment_sealed(l->os, l->dir, &rw->id, &side, &s);
    if (rc == E_OK) {
        size_t at = 0, n = 0;
        mutex_lock(&l->background_lock); /* indexes stand still but for the tail's end */
        mutex_lock(&l->list_lock);
        while (at < l->n && l->list[at]->id.first_seq < rw->id.first_seq) at++;
        while (at + n < l->n && l->list[at + n]->id.first_seq <= rw->last_seq) n++;
        ASSERT(n > 0 && l->list[at]->id.first_seq == rw->id.first_seq && at + n < l->n);
        mutex_unlock(&l->list_lock);
        seglog_replace(l, at, n, s, true);
        mutex_unlock(&l->background_lock);
    }
    sidecar_close(&side);
    buf_fini(&path);
    return rc;
}

void seglog_discard(struct seglog *l, const struct seg_rewrite *rw)
{
    ASSERT(l && rw);
    remove_files(l, &rw->id);
}
