/* The commit ring. ring.h says what it does; here is why it is right.
 *
 * One word. `tail` holds W = seq * 2^40 + units (mod 2^64), where seq is the next seq and units the next free position
 * in steps of four bytes, both absolute. One fetch-and-add moves both, so no two writers can get them in different orders.
 * Given the absolute units, W - units is seq * 2^40, so 24 bits of seq come out exactly; carries need no further care.
 *
 * Absolute values. A writer reads the drain cursor *after* its fetch-and-add. From then on its own reservation is
 * unpublished, so the cursor cannot pass it: any value the cursor has or had is at most the writer's own position, and
 * behind it by no more than what is in flight. Hence  abs = cursor + ((low - cursor) mod 2^bits)  is exact as long as less than
 * 2^40 units and 2^24 seqs are in flight. (Read before, the cursor could be arbitrarily old: the thread may have slept while others
 * wrapped the seq field.) What is in flight is bounded: the ring itself holds at most RING_BYTES_MAX / RECORD_BYTES_MIN = 2.4 M
 * records, each of RING_WRITERS_MAX parked writers at most RING_DIRECT_NODES_MAX more (4.2 M together), and oversize commits
 * share a budget of OVERSIZE_SEQS (4.2 M): 10.8 M < 2^24.
 *
 * Order of memory. Bytes beyond the cursor are zero: the drainer zeroes what it took, then moves the cursor (release); a
 * writer that finds its range free (acquire) thus fills zeroed bytes. Publishing stores the length words from the last
 * record to the first with release; the drainer loads with acquire and stops at zero, so a commit whose first word it sees is
 * there as a whole. Words are always loaded through the lower of the two mappings, where they were stored.
 *
 * Waiting. `epoch` goes up after every change somebody may wait for (cursor moved, drain lock freed, failure). Who
 * waits announces itself in `waiters`, reads epoch, looks at the condition, and sleeps only while epoch is what it read. Whoever
 * changes something raises epoch and then looks at waiters. All four are sequentially consistent, so one of the two
 * always sees the other: no wake-up is lost. Publishing wakes nobody (it would cost the hot path a shared cache line): a drainer
 * that meets an unpublished record below its target spins, yields, then naps, for as long as a memcpy takes.
 *
 * After a failure nothing is drained, so ranges of parked writers are never free and stay as they are.
 *
 * tests/model/ring.pml is this file with the numbers made small. */
#include "engine/ring.h"

#include "base/codec.h"
#include "base/mem.h"
#include "base/thread.h"

#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define UNIT                4u
#define UNIT_BITS           40
#define UNIT_MASK           ((1ull << UNIT_BITS) - 1)
#define SEQ_MASK            ((1ull << (64 - UNIT_BITS)) - 1)
#define CHUNK_BYTES_MAX     (4u << 20)
#define OVERSIZE_SEQS       (4u * RING_COMMIT_NODES_MAX)
#define OVERSIZE_SLOT_BYTES 32
#define OVERSIZE_WORD       0x7fffffffu /* no node is that long */
#define CACHE_LINE          64

_Static_assert(RING_BYTES_MAX / RECORD_BYTES_MIN + RING_WRITERS_MAX * RING_DIRECT_NODES_MAX + OVERSIZE_SEQS < SEQ_MASK,
               "24 bits must tell all seqs in flight apart");
_Static_assert(NODE_PAYLOAD_MAX + (1u << 20) < OVERSIZE_WORD, "the oversize mark must not be a length");

/* A commit that does not go through the ring; its slot holds the address. */
struct oversize {
    struct oversize *next, *prev;
    uint64_t bytes;
    uint32_t count;
    uint8_t at[] __attribute__((aligned(16)));
};

struct ring {
    uint8_t *base; /* `size` bytes, mapped twice in a row */
    size_t size;
    ring_sink sink;
    void *ctx;
    int failure;                                                 /* atomic; set once */
    uint64_t tail __attribute__((aligned(CACHE_LINE)));          /* atomic: W */
    uint64_t drained_units __attribute__((aligned(CACHE_LINE))); /* atomic; written under the drain lock */
    uint64_t drained_next;                               /* atomic: first seq not yet drained; written under the drain lock */
    uint64_t epoch __attribute__((aligned(CACHE_LINE))); /* atomic */
    uint32_t waiters;                                    /* atomic */
    uint32_t parked;                                     /* atomic: writers in park */
    struct mutex wait_lock;
    struct cond wait;
    struct mutex drain;
    struct mutex over_lock;
    struct oversize *over;   /* all of them, so that close can free what a failure left */
    uint64_t over_seqs;      /* their nodes together */
    struct ring_stats stats; /* atomics */
};

#define LOAD(p)     __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define LOAD_SC(p)  __atomic_load_n((p), __ATOMIC_SEQ_CST)
#define COUNT(p, n) ((void)__atomic_fetch_add((p), (n), __ATOMIC_RELAXED))

static uint64_t tail_step(size_t bytes, uint32_t count)
{
    return ((uint64_t)count << UNIT_BITS) + bytes / UNIT;
}

static uint8_t *place(const struct ring *r, uint64_t units)
{
    return r->base + ((units * UNIT) & (r->size - 1));
}

static uint32_t load_word(const struct ring *r, uint64_t units)
{
    return __atomic_load_n((const uint32_t *)(const void *)place(r, units), __ATOMIC_ACQUIRE);
}

static void store_word(uint8_t *at, uint32_t word)
{
    __atomic_store_n((uint32_t *)(void *)at, word, __ATOMIC_RELEASE);
}

/* Splits W given cursors that are not past it. */
static void unpack(uint64_t w, uint64_t cursor_units, uint64_t cursor_seq, uint64_t *units, uint64_t *seq)
{
    *units = cursor_units + ((w - cursor_units) & UNIT_MASK);
    *seq = cursor_seq + ((((w - *units) >> UNIT_BITS) - cursor_seq) & SEQ_MASK);
}

/* ---- open, close ---- */

static uint8_t *map_twice(size_t size)
{
    int fd = memfd_create("varve-ring", MFD_CLOEXEC);
    if (fd < 0) return NULL;
    uint8_t *base = MAP_FAILED;
    if (ftruncate(fd, (off_t)size) == 0) base = mmap(NULL, 2 * size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    bool ok = base != MAP_FAILED;
    for (int i = 0; ok && i < 2; i++)
        ok = mmap(base + (size_t)i * size, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED | MAP_POPULATE, fd, 0) !=
             MAP_FAILED;
    if (!ok && base != MAP_FAILED) munmap(base, 2 * size);
    close(fd);
    return ok ? base : NULL;
}

int ring_open(size_t ring_bytes, uint64_t next_seq, ring_sink sink, void *ctx, struct ring **out)
{
    ASSERT(ring_bytes >= RING_BYTES_MIN && ring_bytes <= RING_BYTES_MAX && (ring_bytes & (ring_bytes - 1)) == 0);
    ASSERT(next_seq > 0 && sink && out);
    uint8_t *base = map_twice(ring_bytes);
    if (!base) return err_note(E_IO, "ring: cannot map %zu bytes twice", ring_bytes);
    struct ring *r = NULL;
    if (posix_memalign((void **)&r, CACHE_LINE, sizeof *r)) r = NULL;
    ASSERT(r != NULL);
    memset(r, 0, sizeof *r);
    r->base = base;
    r->size = ring_bytes;
    r->sink = sink;
    r->ctx = ctx;
    r->tail = next_seq << UNIT_BITS;
    r->drained_next = next_seq;
    mutex_init(&r->drain, "ring drain", RANK_DRAIN);
    mutex_init(&r->wait_lock, "ring wait", RANK_LEAF);
    mutex_init(&r->over_lock, "ring oversize", RANK_LEAF);
    cond_init(&r->wait);
    *out = r;
    return E_OK;
}

void ring_close(struct ring **ring)
{
    struct ring *r = *ring;
    if (!r) return;
    ASSERT(r->failure || ring_drained_end(r) == ring_reserved_end(r));
    ASSERT(LOAD(&r->waiters) == 0);
    while (r->over) {
        struct oversize *o = r->over;
        r->over = o->next;
        mem_free(o);
    }
    cond_fini(&r->wait);
    mutex_fini(&r->over_lock);
    mutex_fini(&r->wait_lock);
    mutex_fini(&r->drain);
    munmap(r->base, 2 * r->size);
    free(r);
    *ring = NULL;
}

/* ---- waiting ---- */

static void announce(struct ring *r)
{
    __atomic_fetch_add(&r->epoch, 1, __ATOMIC_SEQ_CST);
    if (LOAD_SC(&r->waiters) == 0) return;
    mutex_lock(&r->wait_lock);
    cond_broadcast(&r->wait);
    mutex_unlock(&r->wait_lock);
}

static void sleep_while(struct ring *r, uint64_t epoch)
{
    mutex_lock(&r->wait_lock);
    while (LOAD_SC(&r->epoch) == epoch) cond_wait(&r->wait, &r->wait_lock);
    mutex_unlock(&r->wait_lock);
}

/* For a writer between its reservation and its publication: it needs a processor, nothing else. */
static void await_writer(unsigned turn)
{
    if (turn < 200) {
        __builtin_ia32_pause();
    } else if (turn < 400) {
        sched_yield();
    } else {
        const struct timespec nap = {0, 20000};
        nanosleep(&nap, NULL);
    }
}

/* ---- drain ---- */

void ring_fail(struct ring *r, int code)
{
    int none = 0;
    ASSERT(code < 0);
    if (__atomic_compare_exchange_n(&r->failure, &none, code, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED)) announce(r);
}

int ring_failure(const struct ring *r)
{
    return __atomic_load_n(&r->failure, __ATOMIC_RELAXED);
}

static void advance(struct ring *r, uint64_t units, uint32_t count)
{
    size_t from = (size_t)((r->drained_units * UNIT) & (r->size - 1)), n = units * UNIT;
    size_t first = n < r->size - from ? n : r->size - from;
    ASSERT(n <= r->size);
    memset(r->base + from, 0, first);
    memset(r->base, 0, n - first);
    /* seq before position: whoever sees the position sees a seq that belongs to it or to later */
    __atomic_store_n(&r->drained_next, r->drained_next + count, __ATOMIC_RELEASE);
    __atomic_store_n(&r->drained_units, r->drained_units + units, __ATOMIC_SEQ_CST);
    announce(r);
}

static int hand_over(struct ring *r, slice bytes, uint32_t count)
{
    int rc = r->sink(r->ctx, bytes, r->drained_next, count);
    ASSERT(rc <= 0);
    if (rc < 0) {
        ring_fail(r, rc);
        return ring_failure(r);
    }
    COUNT(&r->stats.drains, 1);
    COUNT(&r->stats.bytes, bytes.n);
    return E_OK;
}

static int drain_oversize(struct ring *r)
{
    struct oversize *o;
    memcpy(&o, place(r, r->drained_units) + 8, sizeof o);
    ASSERT(o->count > 0 && o->bytes > 0);
    uint32_t count = o->count;
    int rc = hand_over(r, slice_of(o->at, o->bytes), count);
    if (rc) return rc;
    mutex_lock(&r->over_lock);
    *(o->prev ? &o->prev->next : &r->over) = o->next;
    if (o->next) o->next->prev = o->prev;
    r->over_seqs -= count;
    mutex_unlock(&r->over_lock);
    mem_free(o);
    advance(r, OVERSIZE_SLOT_BYTES / UNIT, count);
    return E_OK;
}

/* Walks published records from the cursor to the end of a commit, about `max` units on. */
static uint64_t walk(const struct ring *r, uint64_t max, uint32_t *count)
{
    uint64_t at = r->drained_units, run = 0;
    uint32_t n = 0;
    *count = 0;
    while (run < max && (at - r->drained_units) * UNIT < r->size) {
        uint32_t word = load_word(r, at);
        if (word == 0 || word == OVERSIZE_WORD) break;
        size_t bytes = record_size(word & ~RECORD_MORE);
        ASSERT(bytes >= RECORD_BYTES_MIN);
        DEBUG_ASSERT(get_u64(place(r, at) + RECORD_HEADER_BYTES + 8) == r->drained_next + n);
        at += bytes / UNIT;
        n++;
        if (word & RECORD_MORE) continue;
        run = at - r->drained_units;
        *count = n;
    }
    ASSERT(n == *count); /* a commit is published as a whole */
    return run;
}

/* One hand-over. E_AGAIN: the record at the cursor is not published. */
static int drain_step(struct ring *r)
{
    size_t max = r->size / 4 < CHUNK_BYTES_MAX ? r->size / 4 : CHUNK_BYTES_MAX;
    int rc = __atomic_load_n(&r->failure, __ATOMIC_SEQ_CST);
    if (rc) return rc;
    uint32_t word = load_word(r, r->drained_units), count;
    if (word == 0) return E_AGAIN;
    if (word == OVERSIZE_WORD) return drain_oversize(r);
    uint64_t units = walk(r, max / UNIT, &count);
    ASSERT(units > 0 && count > 0);
    rc = hand_over(r, slice_of(place(r, r->drained_units), units * UNIT), count);
    if (rc) return rc;
    advance(r, units, count);
    return E_OK;
}

/* With the drain lock. `wait`: for records below `end` that are reserved and not yet published. */
static int drain_to(struct ring *r, uint64_t end, bool wait)
{
    unsigned turn = 0;
    for (;;) {
        int rc = __atomic_load_n(&r->failure, __ATOMIC_SEQ_CST);
        if (rc) return rc;
        if (r->drained_units * UNIT >= end) return E_OK;
        rc = drain_step(r);
        if (rc == E_OK) {
            turn = 0;
            continue;
        }
        if (rc != E_AGAIN) return rc;
        if (!wait) return E_OK;
        await_writer(turn++);
    }
}

/* E_AGAIN: another thread is draining. */
static int attempt(struct ring *r, uint64_t end, bool wait)
{
    int failure = __atomic_load_n(&r->failure, __ATOMIC_SEQ_CST);
    if (failure) return failure;
    if (LOAD_SC(&r->drained_units) * UNIT >= end) return E_OK;
    if (!mutex_trylock(&r->drain)) return E_AGAIN;
    int rc = drain_to(r, end, wait);
    ASSERT(rc != E_AGAIN);
    mutex_unlock(&r->drain);
    announce(r);
    return rc;
}

/* Until the cursor has reached `end`, by this thread's work or another's. */
static int reach(struct ring *r, uint64_t end, bool wait)
{
    int rc = attempt(r, end, wait);
    while (rc == E_AGAIN) {
        __atomic_fetch_add(&r->waiters, 1, __ATOMIC_SEQ_CST);
        uint64_t epoch = LOAD_SC(&r->epoch);
        rc = attempt(r, end, wait);
        if (rc == E_AGAIN) sleep_while(r, epoch);
        __atomic_fetch_sub(&r->waiters, 1, __ATOMIC_SEQ_CST);
    }
    return rc;
}

int ring_drain(struct ring *r, uint64_t end)
{
    ASSERT(end % UNIT == 0);
    int rc = __atomic_load_n(&r->failure, __ATOMIC_SEQ_CST);
    if (rc) return rc;
    if (end == 0) return reach(r, ring_reserved_end(r), false);
    if (LOAD(&r->drained_units) * UNIT >= end) return E_OK;
    return reach(r, end, true);
}

/* ---- reserve ---- */

static bool is_oversize(const struct ring *r, size_t bytes, uint32_t count)
{
    return bytes > r->size / 4 || count > RING_DIRECT_NODES_MAX;
}

/* Out of line, so that the way of a writer that finds space stays short. */
static __attribute__((noinline)) int park(struct ring *r, uint64_t end)
{
    ASSERT(end > r->size);
    COUNT(&r->stats.parks, 1);
    /* Everything below the target belongs to others (a slot is at most a quarter of the ring), so helping to drain cannot wait
     * for this writer itself. */
    uint32_t parked = __atomic_add_fetch(&r->parked, 1, __ATOMIC_RELAXED);
    ASSERT(parked <= RING_WRITERS_MAX); /* one more does no harm yet */
    bool failed = reach(r, end - r->size, true);
    __atomic_fetch_sub(&r->parked, 1, __ATOMIC_RELAXED);
    return failed ? E_STICKY : E_OK;
}

static inline int take(struct ring *r, size_t bytes, uint32_t count, struct ring_slot *out)
{
    uint64_t w = __atomic_fetch_add(&r->tail, tail_step(bytes, count), __ATOMIC_ACQ_REL);
    uint64_t cursor = LOAD(&r->drained_units), units, seq;
    unpack(w, cursor, LOAD(&r->drained_next), &units, &seq);
    out->at = place(r, units);
    out->first_seq = seq;
    out->end = units * UNIT + bytes;
    out->count = count;
    out->bytes = bytes;
    if (__builtin_expect(out->end - cursor * UNIT > r->size, 0)) return park(r, out->end);
    return E_OK;
}

static int over_admit(struct ring *r, struct oversize *o)
{
    for (;;) {
        mutex_lock(&r->over_lock);
        bool room = r->over_seqs + o->count <= OVERSIZE_SEQS;
        if (room) {
            r->over_seqs += o->count;
            o->next = r->over;
            if (r->over) r->over->prev = o;
            r->over = o;
        }
        mutex_unlock(&r->over_lock);
        if (room) return E_OK;
        int rc = ring_drain(r, ring_reserved_end(r));
        if (rc) return rc;
    }
}

static __attribute__((noinline)) int reserve_oversize(struct ring *r, size_t bytes, uint32_t count, struct ring_slot *out)
{
    struct oversize *o = mem_alloc(sizeof *o + bytes);
    *o = (struct oversize){.bytes = bytes, .count = count};
    if (over_admit(r, o)) {
        mem_free(o);
        return E_STICKY;
    }
    struct ring_slot slot;
    int rc = take(r, OVERSIZE_SLOT_BYTES, count, &slot);
    if (rc) return rc; /* close frees it */
    memcpy(slot.at + 8, &o, sizeof o);
    COUNT(&r->stats.oversize, 1);
    slot.at = o->at;
    slot.bytes = bytes;
    *out = slot;
    return E_OK;
}

int ring_reserve(struct ring *r, size_t bytes, uint32_t count, struct ring_slot *out)
{
    ASSERT(bytes % UNIT == 0 && bytes >= (size_t)count * RECORD_BYTES_MIN);
    ASSERT(count > 0 && count <= RING_COMMIT_NODES_MAX);
    if (__builtin_expect(ring_failure(r) != 0, 0)) return E_STICKY;
    if (__builtin_expect(is_oversize(r, bytes, count), 0)) return reserve_oversize(r, bytes, count, out);
    return take(r, bytes, count, out);
}

/* ---- publish ---- */

static void publish_oversize(struct ring *r, const struct ring_slot *s)
{
    store_word(place(r, (s->end - OVERSIZE_SLOT_BYTES) / UNIT), OVERSIZE_WORD);
}

void ring_publish_one(struct ring *r, const struct ring_slot *s, uint32_t word)
{
    ASSERT(s->count == 1 && !(word & RECORD_MORE));
    ASSERT(record_size(word) == s->bytes);
    store_word(s->at, word);
    if (__builtin_expect(is_oversize(r, s->bytes, 1), 0)) publish_oversize(r, s);
}

void ring_publish(struct ring *r, const struct ring_slot *s, const uint32_t *words)
{
    size_t at = s->bytes;
    ASSERT(s->count > 0 && !(words[s->count - 1] & RECORD_MORE));
    for (uint32_t i = s->count; i-- > 0;) {
        size_t n = record_size(words[i] & ~RECORD_MORE);
        ASSERT(n >= RECORD_BYTES_MIN && n <= at);
        ASSERT(i + 1 == s->count || (words[i] & RECORD_MORE));
        at -= n;
        store_word(s->at + at, words[i]);
    }
    ASSERT(at == 0);
    if (is_oversize(r, s->bytes, s->count)) publish_oversize(r, s);
}

void ring_abandon(struct ring *r, const struct ring_slot *s)
{
    bool over = is_oversize(r, s->bytes, s->count);
    size_t at = s->bytes;
    ASSERT(s->count > 0 && s->bytes >= (size_t)s->count * RECORD_BYTES_MIN);
    if (over) { /* a buffer of its own may shrink; bytes in the ring may not */
        struct oversize *o = (struct oversize *)(void *)(s->at - offsetof(struct oversize, at));
        ASSERT(o->count == s->count && o->bytes == s->bytes);
        o->bytes = at = (size_t)s->count * RECORD_BYTES_MIN;
    }
    /* What the writer had begun is wiped, but for the first word, at which the drainer may be looking. */
    memset(s->at + 4, 0, at - 4);
    for (uint32_t i = s->count; i-- > 0;) {
        size_t n = i ? RECORD_BYTES_MIN : at; /* the first record takes what the smallest fillers leave over */
        uint8_t *rec = s->at + (at -= n);
        struct node filler = {.op = NODE_FILLER, .seq = s->first_seq + i};
        node_encode(&filler, rec + RECORD_HEADER_BYTES);
        /* its payload, the rest of the record, is zeros already */
        store_word(rec, record_seal(rec, n - RECORD_HEADER_BYTES, false));
    }
    ASSERT(at == 0);
    COUNT(&r->stats.fillers, s->count);
    if (over) publish_oversize(r, s);
}

/* ---- where things are ---- */

/* Without a reservation of one's own the cursor may pass W while both are read, so it is read again behind W: if it moved little,
 * W was less than 2^24 seqs ahead of the first reading. */
static void reserved(const struct ring *r, uint64_t *units, uint64_t *seq)
{
    uint64_t cursor_units, cursor_seq;
    do {
        cursor_units = LOAD_SC(&r->drained_units);
        cursor_seq = LOAD_SC(&r->drained_next);
        unpack(LOAD_SC(&r->tail), cursor_units, cursor_seq, units, seq);
    } while (LOAD_SC(&r->drained_next) - cursor_seq > SEQ_MASK / 4);
}

uint64_t ring_reserved_seq(const struct ring *r)
{
    uint64_t units, seq;
    reserved(r, &units, &seq);
    ASSERT(seq > 0);
    return seq - 1;
}

uint64_t ring_reserved_end(const struct ring *r)
{
    uint64_t units, seq;
    reserved(r, &units, &seq);
    return units * UNIT;
}

uint64_t ring_drained_seq(const struct ring *r)
{
    return LOAD(&r->drained_next) - 1;
}

uint64_t ring_drained_end(const struct ring *r)
{
    return LOAD(&r->drained_units) * UNIT;
}

void ring_get_stats(const struct ring *r, struct ring_stats *out)
{
    ASSERT(r && out);
    *out = (struct ring_stats){LOAD(&r->stats.parks), LOAD(&r->stats.drains), LOAD(&r->stats.bytes), LOAD(&r->stats.oversize),
                               LOAD(&r->stats.fillers)};
}
