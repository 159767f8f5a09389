/* The log, from the first record to the last, once.
 *
 * What is at a place where no record is told apart as the format says: in the last segment, with nothing valid behind it, it is the torn end of a crash;
 * in the last segment, behind all that was known to be on disk, with zeros where a write should be, it is a write that a power cut took. Both are
 * notes. Anything else is damage, and so is an end before the floor: what the manifest and the sync mark know to have been on disk.
 *
 * Behind damage the search goes on at the next record that can belong there, so that one bad byte never hides the rest. Half a commit counts
 * as lost. What a repair gave up is a note: seqs that a lossy sidecar does not list, and fillers in the place of a lost end, whose leaves in the tree are
 * still those of the lost nodes. */
#include "tool/verify.h"

#include <stdio.h>

struct walk {
    struct store *s;
    struct tree_file *t;
    struct report *r;
    struct verify_sum *sum;
    const struct store_segment *g;   /* the segment at hand */
    char name[SEGMENT_NAME_MOST];
    bool last;
    struct file f;
    struct sidecar_file side;
    uint64_t limit;
    uint64_t count;                  /* records in it so far */
    bool side_differs;
    uint64_t expected;               /* next seq */
    uint64_t whole, whole_end;       /* newest whole commit: its last seq, the offset behind it in this segment */
    uint64_t commit_first;           /* of the open commit; 0 = between commits */
    uint64_t commit_base;            /* seq of position 0 of the record before's commit */
    uint64_t commit_end;             /* last seq, dropped ones included, of the newest commit that ended */
    bool more;                       /* the record before says that its commit goes on */
    bool skipping;                   /* behind damage: records up to the next commit's begin are half a commit */
    bool cut;                        /* the log ends at a write that a power cut took, and that was said */
    uint64_t filled_from, filled_to; /* fillers in the place of lost nodes, not told yet; 0 = none */
    uint64_t done_bytes, all_bytes;
};

static struct place here(const struct walk *w, uint64_t offset, uint64_t seq) { return (struct place){w->name, offset, seq}; }

/* ---- one node ---- */

static void tell_filled(struct walk *w)
{
    if (w->filled_from) report_note(w->r, here(w, NO_OFFSET, w->filled_from), "up to seq %llu: lost before, and given up by a repair; fillers are in their place", (unsigned long long)w->filled_to);
    w->filled_from = 0;
}

static void note_filled(struct walk *w, uint64_t seq)
{
    if (w->filled_from && seq != w->filled_to + 1) tell_filled(w);
    if (!w->filled_from) w->filled_from = seq;
    w->filled_to = seq;
}

static void check_hash(struct walk *w, const struct record *rec, bool filler)
{
    uint8_t hash[DIGEST_BYTES], leaf[DIGEST_BYTES];
    digest_blake(hash, rec->node.p, rec->node.n);
    if (rec->seq > w->t->size) {
        tree_file_put(w->t, rec->seq, hash);
        return;
    }
    enum leaf_state state = tree_file_leaf(w->t, rec->seq, leaf);
    if (state == LEAF_UNKNOWN || (state == LEAF_OK && memcmp(hash, leaf, DIGEST_BYTES) == 0)) return;
    if (w->t->rooted && filler)
        note_filled(w, rec->seq);
    else if (w->t->rooted)
        report_fault(w->r, here(w, rec->offset, rec->seq), "the node's hash is not the one in the tree, which has the manifest's root: the node was altered");
    else
        report_fault(w->r, (struct place){"tree/entries", (rec->seq - 1) * DIGEST_BYTES, rec->seq}, "the entry is not the hash of the node, whose record is whole");
}

static void check_reference(struct walk *w, const struct record *rec, const char *what, uint64_t seq, const uint8_t *hash)
{
    uint8_t leaf[DIGEST_BYTES];
    if (seq == 0 || seq >= rec->seq) {
        report_fault(w->r, here(w, rec->offset, rec->seq), "its %s is seq %llu, which is not before it", what, (unsigned long long)seq);
        return;
    }
    if (tree_file_leaf(w->t, seq, leaf) != LEAF_OK || memcmp(leaf, hash, DIGEST_BYTES) == 0) return;
    report_fault(w->r, here(w, rec->offset, rec->seq), "the hash that it names for its %s, seq %llu, is not that node's", what, (unsigned long long)seq);
}

static void check_node(struct walk *w, const struct record *rec, struct node_bytes *n)
{
    const char *why = node_bytes_parse(rec->node, n);
    if (why) {
        report_fault(w->r, here(w, rec->offset, rec->seq), "%s", why);
        return;
    }
    check_hash(w, rec, n->op == OP_FILLER);
    if (n->prev_hash) check_reference(w, rec, "version before", n->prev, n->prev_hash);
    for (uint64_t i = 0; i < n->n_causes; i++) {
        const uint8_t *c = n->causes + i * CAUSE_SIZE;
        uint64_t seq;
        memcpy(&seq, c, 8);
        check_reference(w, rec, "cause", seq, c + 8);
    }
}

/* ---- commits ---- */

static void check_commit(struct walk *w, const struct record *rec, uint64_t position)
{
    bool compacted = w->g->compacted;
    uint64_t base = rec->seq > position ? rec->seq - position : 0;
    const char *why = NULL;
    if (w->more && base != w->commit_base) why = "the commit before it has no end";
    else if (!w->more && position && !compacted) why = "the commit that it belongs to has no beginning";
    else if (!w->more && base <= w->commit_end) why = "it belongs to a commit that was said to have ended";
    if (!why && rec->cut && !compacted) why = "its commit was cut, in a segment that no compaction wrote";
    if (why) report_fault(w->r, here(w, rec->offset, rec->seq), "%s", why);
    w->commit_base = base;
}

/* Behind damage: true when the record is the rest of a commit whose beginning is lost. */
static bool is_half(struct walk *w, const struct record *rec, uint64_t position)
{
    if (!w->skipping) return false;
    w->skipping = position != 0 && rec->more;
    if (position == 0 || w->g->compacted) {
        w->skipping = false;
        return false;
    }
    report_lost(w->r, rec->seq, rec->seq);
    return true;
}

static void check_side(struct walk *w, const struct record *rec)
{
    bool more = false;
    if (!w->side.good || w->side_differs) return;
    if (w->count < w->side.count && sidecar_file_seq(&w->side, w->count) == rec->seq && sidecar_file_offset(&w->side, w->count, &more) == rec->offset && more == rec->more) return;
    char name[SEGMENT_NAME_MOST];
    segment_name_write(name, &w->g->name, "idx");
    report_fault(w->r, (struct place){name, NO_OFFSET, rec->seq}, "its entry %llu is not where the segment has the record", (unsigned long long)w->count);
    w->side_differs = true;
}

static void take(struct walk *w, const struct record *rec)
{
    struct node_bytes n = {0};
    check_side(w, rec);
    check_node(w, rec, &n);
    w->count++;
    w->sum->nodes++;
    w->sum->bytes += rec->size;
    w->expected = rec->seq + 1 + rec->cut;
    if (is_half(w, rec, n.position)) return;
    if (w->commit_first == 0) w->commit_first = rec->seq;
    check_commit(w, rec, n.position);
    w->more = rec->more;
    if (rec->more) return;
    w->commit_first = 0;
    w->commit_end = rec->seq + rec->cut;
    w->whole = w->commit_end;
    w->whole_end = rec->offset + rec->size;
}

static void forget_commit(struct walk *w)
{
    w->commit_first = w->commit_base = w->commit_end = 0;
    w->more = false;
}

/* ---- places without a record ---- */

/* true: *at is where to go on; false: the records end at *at. */
static bool step_over(struct walk *w, uint64_t *at, const char *why)
{
    struct seq_window window = {w->expected, w->g->upto - 1};
    struct record next;
    const char *ignored;
    uint64_t found = 0;
    if (w->last) window.hi = w->expected + (w->limit - *at) / RECORD_LEAST + 1;
    if (record_search(&w->f, *at, w->limit, &window, &found) != RECORD_OK || record_read(&w->f, found, w->limit, &next, &ignored) != RECORD_OK) return false;
    uint64_t seq = next.seq;
    if (w->last && w->expected > store_floor(w->s) && record_is_hole(&w->f, *at, w->limit)) {
        report_note(w->r, here(w, *at, w->expected), "a write that was never made durable is missing here; a power cut does that. A start cuts the log here, seq %llu and later ones go", (unsigned long long)seq);
        w->cut = true;
        return false;
    }
    uint64_t from = w->commit_first ? w->commit_first : w->expected;
    report_fault(w->r, here(w, *at, w->expected), "%s; the next whole record is seq %llu at offset %llu", why, (unsigned long long)seq, (unsigned long long)found);
    if (seq > from) report_lost(w->r, from, seq - 1);
    forget_commit(w);
    w->skipping = true;
    w->expected = seq;
    if (w->side.good && w->side.seqs)
        while (w->count < w->side.count && sidecar_file_seq(&w->side, w->count) < seq) w->count++;
    else if (w->side.good)
        w->count = seq - w->g->name.first;
    *at = found;
    return true;
}

static bool seq_fits(const struct walk *w, uint64_t seq)
{
    return w->g->compacted || w->skipping ? seq >= w->expected && seq < w->g->upto : seq == w->expected;
}

/* Returns where the records end; *why: what is there, NULL when it is the limit or zeros. */
static uint64_t walk_records(struct walk *w, const char **why)
{
    uint64_t at = SEGMENT_HEAD < w->limit ? SEGMENT_HEAD : w->limit;
    for (;;) {
        struct record rec;
        *why = NULL;
        enum record_result got = record_read(&w->f, at, w->limit, &rec, why);
        if (got == RECORD_OK && seq_fits(w, rec.seq)) {
            take(w, &rec);
            at += rec.size;
            if ((w->sum->nodes & 1023) == 0) report_progress(w->r, "log", w->done_bytes + at, w->all_bytes);
            continue;
        }
        if (got == RECORD_NONE) *why = NULL;
        if (got == RECORD_NONE && at == w->limit) return at;
        const char *what = got == RECORD_OK ? "another seq is due here" : got == RECORD_NONE ? "no record is here" : got == RECORD_IO ? "cannot be read" : *why;
        if (got == RECORD_IO || got == RECORD_OK) *why = what;
        if (!step_over(w, &at, what)) return at;
    }
}

/* A segment that a repair left with losses: only what its sidecar lists counts. */
static void walk_listed(struct walk *w)
{
    for (uint64_t i = 0; i < w->side.count; i++) {
        struct record rec;
        const char *why = "no record is here";
        bool more;
        uint64_t seq = sidecar_file_seq(&w->side, i), at = sidecar_file_offset(&w->side, i, &more);
        if (seq > w->expected && !w->g->compacted)
            report_note(w->r, here(w, NO_OFFSET, w->expected), "up to seq %llu: lost before, and given up by a repair", (unsigned long long)seq - 1);
        if (seq != w->expected) forget_commit(w);
        enum record_result got = at < w->limit ? record_read(&w->f, at, w->limit, &rec, &why) : RECORD_NONE;
        if (got == RECORD_OK && rec.seq == seq) {
            w->count = i;
            take(w, &rec);
            continue;
        }
        report_fault(w->r, here(w, at, seq), "%s", got == RECORD_OK ? "another seq is due here" : why);
        report_lost(w->r, seq, seq);
        forget_commit(w);
        w->expected = seq + 1;
    }
    if (!w->last && w->expected < w->g->upto && !w->g->compacted)
        report_note(w->r, here(w, NO_OFFSET, w->expected), "up to seq %llu: lost before, and given up by a repair", (unsigned long long)w->g->upto - 1);
    w->whole = w->side.last;
}

/* ---- a segment's ends ---- */

static void check_tail(struct walk *w, uint64_t end, const char *why)
{
    bool empty = file_is_zero(&w->f, end, w->limit);
    if (!w->cut && (w->commit_first || !empty))
        report_note(w->r, here(w, w->whole_end, 0), "torn tail behind seq %llu: %s. A start cuts it", (unsigned long long)w->whole,
                    w->commit_first ? "a commit that was not written to its end" : why ? why : "bytes that are no record");
}

static void check_middle(struct walk *w, uint64_t end, const char *why, uint32_t records)
{
    bool compacted = w->g->compacted;
    if (w->commit_first) report_fault(w->r, here(w, end, w->commit_first), "the commit has no end");
    if (!compacted && w->expected < w->g->upto) {
        uint64_t from = w->commit_first ? w->commit_first : w->expected;
        report_fault(w->r, here(w, end, w->expected), "%s; the segment should reach to seq %llu", why ? why : "the records end", (unsigned long long)w->g->upto - 1);
        report_lost(w->r, from, w->g->upto - 1);
    } else if (compacted && w->count != records) {
        report_fault(w->r, here(w, end, 0), "%llu records are there, the header says %u", (unsigned long long)w->count, records);
        if (w->count < records && w->expected < w->g->upto) report_lost(w->r, w->expected, w->g->upto - 1);
    } else if (compacted && why) {
        report_fault(w->r, here(w, end, 0), "%s", why);
    } else if (!file_is_zero(&w->f, end, w->f.size)) {
        report_note(w->r, here(w, end, 0), "bytes that are no record stand behind the last one");
    }
}

static void open_side(struct walk *w, bool *lossy)
{
    char name[SEGMENT_NAME_MOST];
    struct sidecar_file *s = &w->side;
    const struct store_segment *g = w->g;
    const char *why = sidecar_file_read(w->s->dir, &g->name, s);
    segment_name_write(name, &g->name, "idx");
    *lossy = s->good && (s->flags & SIDECAR_IS_LOSSY);
    if (s->good) {
        bool sparse = s->flags & SIDECAR_IS_SPARSE;
        if (s->first != g->name.first || s->generation != g->name.generation) why = "it is about another segment";
        else if (w->s->manifest.good && memcmp(s->store_id, w->s->manifest.store_id, 16) != 0) why = "it belongs to another store";
        else if (*lossy ? s->segment_bytes > w->f.size : s->segment_bytes != w->f.size) why = "the segment does not have the length that it names";
        else if (!*lossy && sparse != g->compacted) why = "it does not fit the kind of the segment";
        else if (!w->last && s->last != g->upto - 1) why = "its last seq does not reach the next segment";
        else if (!sparse && s->last + 1 - s->first != s->count) why = "its count does not fit its seqs";
    }
    if (why) {
        s->good = *lossy = false;
        report_fault(w->r, (struct place){name, NO_OFFSET, 0}, "%s", why);
    } else if (!s->there && g->compacted) {
        report_fault(w->r, (struct place){name, NO_OFFSET, 0}, "the file is missing (a start builds it anew)");
    }
}

static void check_head(struct walk *w, const struct segment_head *h, const char *why, bool lossy)
{
    const struct manifest_file *m = &w->s->manifest;
    if (!why && (h->first != w->g->name.first || h->generation != w->g->name.generation)) why = "the header is of another segment";
    if (!why && (h->flags & 1) != w->g->compacted) why = "the header does not fit the kind that the manifest names";
    if (!why && m->good && memcmp(h->store_id, m->store_id, 16) != 0) why = "the segment belongs to another store";
    if (why && lossy) report_note(w->r, here(w, 0, 0), "%s; a repair went on without it", why);
    else if (why) report_fault(w->r, here(w, 0, 0), "%s", why);
}

static void walk_segment(struct walk *w)
{
    struct segment_head head;
    bool lossy = false;
    const char *why = NULL;
    segment_name_write(w->name, &w->g->name, "seg");
    w->count = 0;
    w->side_differs = false;
    w->expected = w->g->name.first;
    w->whole_end = SEGMENT_HEAD;
    forget_commit(w);
    int rc = file_open(&w->f, w->s->dir, w->name);
    if (rc) {
        report_fault(w->r, here(w, NO_OFFSET, 0), rc == E_NOTFOUND ? "the file is missing" : "the file cannot be read");
        report_lost(w->r, w->expected, w->last ? w->expected : w->g->upto - 1);
        return;
    }
    open_side(w, &lossy);
    why = segment_head_read(&w->f, &head);
    check_head(w, &head, why, lossy);
    w->limit = (w->side.good ? w->side.segment_bytes : w->f.size) & ~(uint64_t)3;
    if (lossy) {
        walk_listed(w);
    } else {
        uint64_t end = walk_records(w, &why);
        if (w->last && !w->g->compacted && !w->side.good) check_tail(w, end, why);
        else check_middle(w, end, why, head.records);
    }
    tell_filled(w);
    w->skipping = false;
    w->sum->segments++;
    if (w->g->compacted && !w->last) w->sum->dropped += w->g->upto - w->g->name.first - w->count;
    w->done_bytes += w->f.size;
    sidecar_file_fini(&w->side);
    file_close(&w->f);
}

static void check_floor(struct walk *w)
{
    uint64_t floor = store_floor(w->s);
    if (w->whole >= floor) return;
    report_fault(w->r, (struct place){w->s->n_segments ? w->name : NULL, w->s->n_segments ? w->whole_end : NO_OFFSET, w->whole + 1},
                 "the log ends at seq %llu, but was on disk up to seq %llu", (unsigned long long)w->whole, (unsigned long long)floor);
    report_lost(w->r, w->whole + 1, floor);
}

void verify_log(struct store *s, struct tree_file *t, struct report *r, struct verify_sum *sum)
{
    struct walk w = {.s = s, .t = t, .r = r, .sum = sum, .f = {.fd = -1}};
    for (size_t i = 0; i < s->n_segments; i++) {
        char name[SEGMENT_NAME_MOST];
        struct file f;
        segment_name_write(name, &s->segments[i].name, "seg");
        if (file_open(&f, s->dir, name)) continue;
        w.all_bytes += f.size;
        file_close(&f);
    }
    if (s->n_segments && s->segments[0].name.first > 1) {
        uint64_t first = s->segments[0].name.first;
        if (s->segments[0].listed)
            report_note(r, (struct place){NULL, NO_OFFSET, 0}, "the log begins at seq %llu; what was before is listed nowhere", (unsigned long long)first);
        else
            report_fault(r, (struct place){"log", NO_OFFSET, 0}, "the log begins at seq %llu: an older segment is missing", (unsigned long long)first), report_lost(r, 1, first - 1);
    }
    w.whole = s->n_segments ? s->segments[0].name.first - 1 : 0;
    for (size_t i = 0; i < s->n_segments; i++) {
        w.g = &s->segments[i];
        w.last = i + 1 == s->n_segments;
        walk_segment(&w);
        if (!w.last && w.whole < w.g->upto - 1) w.whole = w.g->upto - 1; /* what is missing was said; the floor is about the end */
    }
    check_floor(&w);
    sum->last = w.whole;
}
