/* The directory of segments: appending, syncing, sealing, reading.
 *
 * Roll-over. Before the first record of a new tail is written the old one is synced, and the new one's header, name and directory entry
 * are: so a power cut can damage the newest segment only, and a segment with a name has a header. The three syncs come once a
 * segment; background makes the new file ahead and syncs the old one when it is nearly full, so that little is left to do.
 *
 * Failure. After a failed write or sync the log takes nothing more (E_STICKY): what the file holds behind the books is not known then, and
 * a shorter append over it could leave a whole, stale record behind its own end. Only a new start, which reads what is there, goes on.
 *
 * Sealing replaces the open object by a sealed one in the list; readers of the old one go on until they let go. */
#include "engine/seglog_part.h"

#include "base/mem.h"

/* ---- the list ---- */

/* Index of the last segment that begins at or before seq; n when there is none. */
static size_t search(const struct seglog *l, uint64_t seq)
{
    size_t lo = 0, hi = l->n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (l->list[mid]->id.first_seq <= seq)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo ? lo - 1 : l->n;
}

struct segment *seglog_find(struct seglog *l, uint64_t seq, uint64_t *upto)
{
    struct segment *s = NULL;
    mutex_lock(&l->list_lock);
    size_t i = search(l, seq);
    if (i < l->n) {
        s = segment_ref(l->list[i]);
        *upto = i + 1 < l->n ? l->list[i + 1]->id.first_seq : UINT64_MAX;
    }
    mutex_unlock(&l->list_lock);
    return s;
}

/* With list_lock. */
static void splice(struct seglog *l, size_t at, size_t n, struct segment *s)
{
    ASSERT(at + n <= l->n);
    if (l->n - n + 1 > l->cap) {
        l->cap = l->cap ? l->cap * 2 : 16;
        l->list = mem_realloc(l->list, l->cap * sizeof *l->list);
    }
    memmove(l->list + at + 1, l->list + at + n, (l->n - at - n) * sizeof *l->list);
    l->list[at] = s;
    l->n = l->n - n + 1;
    ASSERT(at == 0 || l->list[at - 1]->id.first_seq < s->id.first_seq);
    ASSERT(at + 1 == l->n || l->list[at + 1]->id.first_seq > s->id.first_seq);
}

void seglog_replace(struct seglog *l, size_t at, size_t n, struct segment *s, bool doom)
{
    ASSERT(n > 0 && s->side);
    struct segment **old = mem_alloc(n * sizeof *old);
    mutex_lock(&l->list_lock);
    for (size_t i = 0; i < n; i++) old[i] = l->list[at + i];
    splice(l, at, n, s);
    mutex_unlock(&l->list_lock);
    for (size_t i = 0; i < n; i++) {
        if (doom) __atomic_store_n(&old[i]->doomed, true, __ATOMIC_RELEASE);
        segment_unref(&old[i]); /* outside the lock: it may close and remove files */
    }
    mem_free(old);
}

void seglog_push(struct seglog *l, struct segment *s)
{
    mutex_lock(&l->list_lock);
    splice(l, l->n, 0, s);
    if (s->table && !l->read_only) l->tail = s;
    mutex_unlock(&l->list_lock);
}

uint64_t seglog_last_seq(const struct seglog *l)
{
    return __atomic_load_n(&l->last_seq, __ATOMIC_ACQUIRE);
}

static int fail(struct seglog *l, int code)
{
    int none = 0;
    __atomic_compare_exchange_n(&l->failure, &none, code, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
    return code;
}

static bool failed(const struct seglog *l)
{
    return __atomic_load_n(&l->failure, __ATOMIC_ACQUIRE) != 0;
}

/* ---- the tail ---- */

static int make_file(struct seglog *l, const char *name, struct os_file **out)
{
    struct buf path = {0};
    struct os_file *f = NULL;
    int rc = os_open(l->os, segment_path(&path, l->dir, name), OS_WRITE | OS_TRUNCATE, &f);
    if (rc == E_OK) rc = os_extend(l->os, f, l->segment_bytes < SEGLOG_EXTEND_BYTES ? l->segment_bytes : SEGLOG_EXTEND_BYTES);
    if (rc == E_OK) rc = os_sync(l->os, f);
    buf_fini(&path);
    if (rc)
        os_close(l->os, &f);
    else
        *out = f;
    return rc;
}

int seglog_make_tail(struct seglog *l, uint64_t first_seq, struct segment **out)
{
    char name[SEGMENT_NAME_BYTES];
    uint8_t head[SEGMENT_HEADER_BYTES];
    struct buf from = {0}, to = {0};
    uint64_t size = 0;
    struct segment_header h = {.first_seq = first_seq, .created_ms = os_wall_us(l->os) / 1000};
    memcpy(h.store_id, l->store_id, 16);
    segment_header_encode(&h, head);
    segment_name(name, first_seq, 0, "seg");
    const char *made = l->next ? SEGLOG_NEXT_NAME : SEGLOG_TAIL_NAME;
    struct os_file *f = l->next;
    l->next = NULL;
    int rc = f ? E_OK : make_file(l, made, &f);
    if (rc == E_OK) rc = os_write(l->os, f, 0, head, sizeof head);
    if (rc == E_OK) rc = os_sync(l->os, f);
    if (rc == E_OK) rc = os_rename(l->os, segment_path(&from, l->dir, made), segment_path(&to, l->dir, name));
    if (rc == E_OK) rc = os_sync_dir(l->os, l->dir);
    if (rc == E_OK) rc = os_size(l->os, f, &size);
    if (rc == E_OK) {
        const struct seg_id id = {.first_seq = first_seq};
        *out = segment_new(l->os, l->dir, &f, &id, l->segment_bytes);
        __atomic_store_n(&(*out)->extended, size, __ATOMIC_RELEASE);
    }
    os_close(l->os, &f);
    buf_fini(&from);
    buf_fini(&to);
    return rc;
}

/* With the append lock. The old tail stays in the list, to be sealed in the background. */
static int roll(struct seglog *l)
{
    struct segment *old = l->tail, *tail = NULL;
    ASSERT(segment_count(old) > 0);
    int rc = os_sync(l->os, old->file);
    if (rc == E_OK) rc = seglog_make_tail(l, seglog_last_seq(l) + 1, &tail);
    if (rc) return rc;
    seglog_push(l, tail);
    return E_OK;
}

int seglog_append(struct seglog *l, slice records, uint64_t first_seq, uint32_t count)
{
    ASSERT(count > 0 && records.n >= (size_t)count * RECORD_BYTES_MIN && !l->read_only);
    int rc = E_OK;
    mutex_lock(&l->append_lock);
    ASSERT(first_seq == seglog_last_seq(l) + 1);
    struct segment *tail = l->tail;
    if (failed(l)) rc = E_STICKY;
    bool full = tail->end + records.n > l->segment_bytes || !segment_fits(tail, count, records.n);
    if (rc == E_OK && full && tail->count > 0) {
        rc = roll(l);
        tail = l->tail;
    }
    if (rc == E_OK && !segment_fits(tail, count, records.n))
        rc = err_note(E_TOOBIG, "a commit of %zu bytes does not fit in a segment", records.n);
    if (rc == E_OK) rc = segment_append(tail, records, count);
    if (rc == E_OK)
        __atomic_store_n(&l->last_seq, first_seq + count - 1, __ATOMIC_RELEASE);
    else if (rc != E_STICKY)
        fail(l, rc);
    mutex_unlock(&l->append_lock);
    return rc;
}

int seglog_sync(struct seglog *l, uint64_t *seq)
{
    ASSERT(seq && !l->read_only);
    mutex_lock(&l->sync_lock);
    /* Tail and seq belong together: what is not in this tail is in older ones, which were synced when it was made. */
    mutex_lock(&l->list_lock);
    struct segment *tail = segment_ref(l->tail);
    uint64_t upto = tail->id.first_seq + segment_count(tail) - 1;
    mutex_unlock(&l->list_lock);
    int rc = failed(l) ? E_STICKY : os_sync(l->os, tail->file);
    if (rc == E_OK) {
        if (upto > l->durable) l->durable = upto;
        syncmark_put(l->mark, l->durable, false);
        *seq = upto;
    } else if (rc != E_STICKY) {
        fail(l, rc);
    }
    segment_unref(&tail);
    mutex_unlock(&l->sync_lock);
    return rc;
}

/* ---- background ---- */

static int seal_one(struct seglog *l, size_t at, struct segment *s)
{
    struct sidecar *side = NULL;
    struct segment *sealed = NULL;
    struct buf path = {0};
    char name[SEGMENT_NAME_BYTES];
    segment_name(name, s->id.first_seq, s->id.generation, "idx");
    int rc = os_truncate(l->os, s->file, segment_end(s));
    if (rc == E_OK) rc = os_sync(l->os, s->file);
    if (rc == E_OK) rc = segment_write_sidecar(s, l->store_id);
    if (rc == E_OK) rc = sidecar_open(l->os, segment_path(&path, l->dir, name), &side);
    if (rc == E_OK) rc = segment_sealed(l->os, l->dir, &s->id, &side, &sealed);
    if (rc == E_OK) seglog_replace(l, at, 1, sealed, false);
    sidecar_close(&side);
    buf_fini(&path);
    return rc;
}

/* With the background lock: nobody else seals, and installs only touch sealed segments. */
static int seal_full(struct seglog *l)
{
    struct segment *s = NULL;
    size_t at = 0;
    mutex_lock(&l->list_lock);
    for (size_t i = 0; i + 1 < l->n && !s; i++)
        if (l->list[i]->table) s = segment_ref(l->list[i]), at = i;
    mutex_unlock(&l->list_lock);
    if (!s) return E_AGAIN;
    int rc = seal_one(l, at, s);
    segment_unref(&s);
    return rc;
}

static int extend_tail(struct seglog *l)
{
    mutex_lock(&l->list_lock);
    struct segment *tail = segment_ref(l->tail);
    mutex_unlock(&l->list_lock);
    uint64_t have = __atomic_load_n(&tail->extended, __ATOMIC_ACQUIRE), end = segment_end(tail);
    uint64_t want = end + SEGLOG_EXTEND_BYTES < l->segment_bytes ? end + SEGLOG_EXTEND_BYTES : l->segment_bytes;
    int rc = E_AGAIN;
    if (want > have && (have < end + SEGLOG_EXTEND_BYTES / 2 || end > have)) {
        rc = os_extend(l->os, tail->file, want);
        if (rc == E_OK) __atomic_store_n(&tail->extended, want, __ATOMIC_RELEASE);
    }
    segment_see(tail);
    segment_unref(&tail);
    return rc;
}

/* Makes the file of the next tail, when there is none and `at` bytes of this one are used. E_AGAIN: nothing was to do. With the background lock. */
static int make_next(struct seglog *l, uint64_t at)
{
    struct os_file *f = NULL;
    mutex_lock(&l->append_lock);
    bool due = !l->next && l->tail->end > at;
    mutex_unlock(&l->append_lock);
    int rc = due ? make_file(l, SEGLOG_NEXT_NAME, &f) : E_AGAIN;
    if (rc) return rc;
    mutex_lock(&l->append_lock);
    l->next = f; /* only background sets it, and this is the only background */
    mutex_unlock(&l->append_lock);
    return E_OK;
}

/* That, and brings most of this tail to the disk, before the roll-over needs both. */
static int look_ahead(struct seglog *l)
{
    uint64_t seq;
    int rc = make_next(l, l->segment_bytes - l->segment_bytes / 8);
    return rc ? rc : seglog_sync(l, &seq);
}

int seglog_background(struct seglog *l)
{
    static int (*const steps[])(struct seglog *) = {extend_tail, look_ahead, seal_full};
    int rc = E_AGAIN;
    ASSERT(!l->read_only);
    if (failed(l)) return E_AGAIN;
    mutex_lock(&l->background_lock);
    for (size_t i = 0; rc == E_AGAIN && i < sizeof steps / sizeof *steps; i++) rc = steps[i](l);
    mutex_unlock(&l->background_lock);
    return rc;
}

int seglog_roll(struct seglog *l)
{
    ASSERT(!l->read_only);
    mutex_lock(&l->background_lock);
    /* First what a full disk does not allow: the log is none the worse for that, and goes on in the tail that it has. */
    int rc = failed(l) ? E_STICKY : make_next(l, SEGMENT_HEADER_BYTES);
    if (rc == E_AGAIN) rc = E_OK;
    mutex_lock(&l->append_lock);
    if (failed(l))
        rc = E_STICKY;
    else if (rc == E_OK && segment_count(l->tail) > 0 && (rc = roll(l)) < 0)
        fail(l, rc);
    mutex_unlock(&l->append_lock);
    while (rc == E_OK) rc = seal_full(l);
    mutex_unlock(&l->background_lock);
    return rc == E_AGAIN ? E_OK : rc;
}

/* ---- reading ---- */

static int locate(struct seglog *l, uint64_t seq, struct segment **s, struct sidecar_place *at)
{
    uint64_t upto;
    *s = NULL;
    if (seq == 0 || seq > seglog_last_seq(l)) return E_NOTFOUND;
    *s = seglog_find(l, seq, &upto);
    if (!*s) return E_PRUNED;
    return segment_locate(*s, seq, at);
}

int seglog_record(struct seglog *l, uint64_t seq, struct buf *mem, struct log_record *out)
{
    struct segment *s;
    struct sidecar_place at;
    ASSERT(l && mem && out);
    int rc = locate(l, seq, &s, &at);
    if (rc == E_OK) rc = segment_read(s, &at, mem, out);
    segment_unref(&s);
    return rc;
}

int seglog_read(struct seglog *l, uint64_t seq, struct buf *mem, slice *raw, bool *more)
{
    struct log_record r;
    ASSERT(raw);
    int rc = seglog_record(l, seq, mem, &r);
    if (rc) return rc;
    *raw = r.node;
    if (more) *more = r.more;
    return E_OK;
}

int seglog_more(struct seglog *l, uint64_t seq, bool *more)
{
    struct segment *s;
    struct sidecar_place at;
    ASSERT(l && more);
    int rc = locate(l, seq, &s, &at);
    if (rc == E_OK) *more = at.more;
    segment_unref(&s);
    return rc;
}

int seglog_rest(struct seglog *l, uint64_t seq, bool *more, uint64_t *cut)
{
    struct segment *s;
    struct sidecar_place at;
    struct log_record r = {0};
    struct buf mem = {0};
    ASSERT(l && more && cut);
    int rc = locate(l, seq, &s, &at);
    if (rc == E_OK && !at.more && segment_has_cuts(s)) rc = segment_read(s, &at, &mem, &r);
    if (rc == E_OK) {
        *more = at.more;
        *cut = r.cut;
    }
    segment_unref(&s);
    buf_fini(&mem);
    return rc;
}

int seglog_around(struct seglog *l, uint64_t seq, uint64_t *below, uint64_t *above)
{
    uint64_t upto;
    ASSERT(l && seq > 0 && below && above);
    struct segment *s = seglog_find(l, seq, &upto);
    *below = *above = 0;
    int rc = s ? segment_around(s, seq, below, above) : E_OK;
    segment_unref(&s);
    return rc;
}

int seglog_whole(struct seglog *l, uint64_t first, uint64_t last, bool *whole)
{
    uint64_t upto;
    ASSERT(l && whole && first > 0 && first <= last);
    struct segment *s = seglog_find(l, first, &upto);
    *whole = false;
    int rc = s ? segment_is_whole(s, first, last, whole) : E_OK;
    segment_unref(&s);
    return rc;
}

int seglog_marks(struct seglog *l, uint64_t seq, int (*see)(void *ctx, uint64_t seq, bool more), void *ctx)
{
    uint64_t upto;
    ASSERT(l && seq > 0);
    struct segment *s = seglog_find(l, seq, &upto);
    int rc = s ? segment_marks(s, see, ctx) : E_OK;
    segment_unref(&s);
    return rc;
}

/* ---- books ---- */

size_t seglog_segments(struct seglog *l, struct seg_info *out, size_t max)
{
    mutex_lock(&l->list_lock);
    size_t n = l->n;
    for (size_t i = 0; i < n && i < max; i++) {
        const struct segment *s = l->list[i];
        out[i] = (struct seg_info){.id = s->id, .nodes = segment_count(s), .bytes = segment_end(s), .sealed = s->side != NULL};
        out[i].last_seq = i + 1 < n ? l->list[i + 1]->id.first_seq - 1
                          : s->side ? sidecar_about(s->side)->last_seq
                                    : s->id.first_seq + out[i].nodes - 1;
    }
    mutex_unlock(&l->list_lock);
    return n;
}

uint64_t seglog_bytes(struct seglog *l)
{
    uint64_t sum = 0;
    mutex_lock(&l->list_lock);
    for (size_t i = 0; i < l->n; i++) sum += segment_end(l->list[i]);
    mutex_unlock(&l->list_lock);
    return sum;
}

void seglog_close(struct seglog **log)
{
    struct seglog *l = *log;
    *log = NULL;
    if (!l) return;
    if (l->mark && !l->read_only && !failed(l)) syncmark_put(l->mark, l->durable, true);
    for (size_t i = 0; i < l->n; i++) segment_unref(&l->list[i]);
    os_free(&l->scratch);
    os_close(l->os, &l->next);
    syncmark_close(&l->mark);
    mutex_fini(&l->background_lock);
    mutex_fini(&l->append_lock);
    mutex_fini(&l->sync_lock);
    mutex_fini(&l->list_lock);
    mem_free(l->list);
    mem_free(l->dir);
    mem_free(l);
}
