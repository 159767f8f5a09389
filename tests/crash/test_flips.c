/* Decay: whatever happens to one byte, one sector or one file of a store, nobody is told anything that is not so.
 *
 * A small store is made once (strings, spliced strings, documents, links, causes, a sorted index, deletes, expiry, a flush, a swap; a compacted segment,
 * sealed ones, several index runs, a checkpoint, and a tail behind it), as a killed process leaves it: everything synced, nothing closed.
 * Each point spoils one place of a copy, opens it, and asks every question of answers.h. Opening may refuse, if it says where; an answer may be refused; every other
 * answer has to be the right one. Some points also stop the store in order, or let compaction rewrite it, open it once more and ask again: damage
 * that was met must not turn into an absence on the way.
 *
 * Beyond that, damage to a record or to the manifest must be noticed by someone, and DVERIFY's walk over the log must report a record that cannot be read.
 *
 *   test_flips                          the default set: every byte of headers, sidecars, manifest and mark, a stride over the rest; every sector zeroed,
 *                                       every file cut at several places and removed; and nothing spoiled, but a read that fails. Then a bit of every byte
 *                                       of every file of a smaller store
 *   test_flips --bits 8                 every byte of every file, all eight bits
 *   test_flips --points N [--seed S]    N random places (0: without end) */
#include "answers.h"

#include "base/logline.h"
#include "base/os_sim.h"
#include "engine/own.h"
#include "engine/syncmark.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#define FILES_MAX   64
#define HANG_S      60
#define WHOLE_BYTES 1024 /* files up to here byte by byte, and of larger ones both ends */
#define END_BYTES   128  /* how much of them: headers, footers */
#define STRIDE      29   /* over the rest */
#define SECTOR      512
#define READS_STRIDE 7
#define READS_QUIET  60 /* so many in a row did no harm: the questions do not read that often */

enum kind { FLIP, ZERO, CUT, REMOVE, READ_FAILS };
static const char *const kind_names[] = {"flip", "zero a sector", "cut", "remove", "failing read"};

struct file {
    char path[96];
    struct buf bytes;
    size_t used; /* without the zeros at its end */
};

struct place {
    enum kind kind;
    const struct file *file;
    uint64_t at;
    unsigned bit;
};

static struct store {
    struct file file[FILES_MAX];
    size_t n;
    struct questions q;
    struct answers want, got, later;
} store;

static bool small; /* fewer keys and rounds, so that every byte can be spoiled */
static struct place now; /* for the handler of signals */
static uint64_t points, failed, refused_at_open, refused_later, unharmed;

static const char *const keys[] = {"s:0",    "s:1",    "s:2",    "s:3",    "s:4",    "s:5",    "s:6",    "s:7",    "long:a",
                                   "long:b", "t:0",    "t:1",    "t:2",    "user:0", "user:1", "user:2", "user:3", "user:4",
                                   "user:5", "user:6", "user:7", "bulk:0", "bulk:1", "bulk:2", "never"};
static const char *const few_keys[] = {"s:0", "s:3", "s:6", "long:a", "t:0", "user:0", "user:1", "user:3", "bulk:0", "never"};

/* ---- the store ---- */

static void must(int rc, const char *what)
{
    if (rc == E_OK) return;
    printf("making the store: %s: %s\n", what, err_text(rc));
    exit(1);
}
#define MUST(call) must(call, #call)

static struct engine_options options_of(struct os *os)
{
    return (struct engine_options){.os = os,
                                   .dir = "/db",
                                   .no_threads = true,
                                   .ring_bytes = 1 << 16,
                                   .segment_bytes = 64 << 10,
                                   .index_buffer_bytes = 1 << 20};
}

static void put_document(struct ks_ctx *c, unsigned user, unsigned i)
{
    char key[32], json[128];
    uint8_t hash[HASH_BYTES];
    struct node_ref cause = {.seq = 1 + i % 20};
    struct ks_write w = {.note = slice_str(i % 3 ? "" : "a note"), .idem = i == 7 ? slice_str("token-7") : (slice){0}};
    snprintf(key, sizeof key, "user:%u", user);
    snprintf(json, sizeof json, "{\"name\":\"user %u\",\"age\":%u,\"turn\":%u}", user, 20 + i * 7 % 30, i);
    if (i % 5 == 0 && engine_hash(ks_engine(c->ks), cause.seq, hash) == E_OK) {
        memcpy(cause.hash, hash, HASH_BYTES);
        w.causes = &cause;
        w.n_causes = 1;
    }
    MUST(ks_put(c, slice_str(key), TYPE_DOCUMENT, slice_str(json), &w));
}

static void put_link(struct ks_ctx *c, unsigned from, unsigned to, bool gone)
{
    char a[16], b[16];
    struct buf key = {0};
    snprintf(a, sizeof a, "user:%u", from);
    snprintf(b, sizeof b, "user:%u", to);
    link_key(&key, slice_str(a), slice_str(from % 2 ? "knows" : "likes"), slice_str(b));
    int rc = gone ? ks_delete_thing(c, SPACE_LINK, buf_slice(&key), NULL)
                  : ks_put_thing(c, SPACE_LINK, buf_slice(&key), slice_str("{}"), NULL);
    buf_fini(&key);
    MUST(rc == E_NOTFOUND ? E_OK : rc);
}

static void put_string(struct ks_ctx *c, const char *key, unsigned i, uint64_t expire_ms)
{
    char text[64];
    struct ks_write w = {.expiry = expire_ms ? KS_EXPIRY_SET : KS_EXPIRY_CLEAR, .expire_ms = expire_ms};
    snprintf(text, sizeof text, "value %u of %s", i, key);
    MUST(ks_put(c, slice_str(key), TYPE_STRING, slice_str(text), &w));
}

static void write_batch(struct ks_ctx *c, unsigned i)
{
    ks_begin(c);
    for (unsigned k = 0; k < 3; k++) put_string(c, keys[21 + k], i, 0);
    MUST(ks_put(c, slice_str("s:0"), TYPE_STRING, slice_str("first"), NULL));
    MUST(ks_put(c, slice_str("s:0"), TYPE_STRING, slice_str("second"), NULL));
    MUST(ks_commit(c));
}

/* About 20 nodes, or 12. */
static void write_some(struct os *os, struct ks_ctx *c, unsigned i)
{
    uint64_t len;
    bool more;
    char big[1600];
    os_sim_advance(os, 200000);
    c->now_ms = engine_now_ms(ks_engine(c->ks));
    c->db = i % 4 == 3 ? 1 : 0;
    for (unsigned k = 0; k < (small ? 1 : 4); k++) put_string(c, keys[(i + k * 3) % 8], i, 0);
    put_string(c, keys[10 + i % 3], i, c->now_ms + (i % 2 ? 300 : 100000000));
    memset(big, 'a' + (int)(i % 26), sizeof big);
    if (i % (small ? 100 : 6) == 0)
        MUST(ks_put(c, slice_str("long:a"), TYPE_STRING, slice_of(big, sizeof big), NULL));
    else
        MUST(ks_splice(c, slice_str("long:a"), 1000 + i * 9, slice_str("spliced"), &len));
    if (i % 4 == 1) MUST(ks_set_expiry(c, slice_str("long:a"), c->now_ms + 50000000 + i));
    c->db = 0;
    for (unsigned k = 0; k < (small ? 1 : 4); k++) put_document(c, (i * 3 + k) % 8, i + k);
    for (unsigned k = 0; k < 2; k++) put_link(c, (i + k) % 8, (i * 5 + k + 1) % 8, i % 3 == 2);
    int rc = i % 2 ? ks_delete(c, slice_str(keys[13 + i % 8]), NULL) : ks_delete(c, slice_str(keys[i % 8]), NULL);
    MUST(rc == E_NOTFOUND ? E_OK : rc);
    write_batch(c, i);
    MUST(ks_expire_cycle(c, 1000000, &more));
}

static void define_index(struct ks_ctx *c)
{
    static const uint8_t ordered = 0;
    MUST(ks_put_thing(c, SPACE_SORTED, slice_str("\4userage"), slice_of(&ordered, 1), NULL));
    MUST(ks_put_thing(c, SPACE_TAG, slice_str("early"), slice_of("\24\0\0\0\0\0\0\0", 8), NULL));
    MUST(engine_turn(ks_engine(c->ks)));
}

/* Marks the newest seq as a point: between commits. */
static void end_round(struct engine *e, unsigned point)
{
    struct engine_marks m;
    engine_get_marks(e, &m);
    store.q.last_seq = m.last_seq;
    store.q.point[point] = m.last_seq;
}

static void write_rounds(struct os *os, struct ks_ctx *c, unsigned *i, unsigned upto)
{
    for (; *i < upto; ++*i)
        if (!small || *i % 3 == 0) write_some(os, c, *i);
}

static void write_everything(struct os *os, struct engine *e, struct ks_ctx *c)
{
    unsigned i = 0;
    write_rounds(os, c, &i, 6);
    define_index(c);
    MUST(engine_checkpoint(e));
    MUST(engine_compact(e, &(struct compact_options){.keep_versions = 3, .prefix = slice_str("s:")}, NULL));
    end_round(e, 0);
    write_rounds(os, c, &i, 10);
    MUST(engine_checkpoint(e));
    MUST(seglog_roll(e->log));
    end_round(e, 1);
    c->db = 1;
    put_string(c, "s:5", 77, 0);
    MUST(ks_flush(c, 1));
    MUST(ks_swap(c, 1, 2));
    write_rounds(os, c, &i, 14);
    end_round(e, 2);
    MUST(engine_checkpoint(e));
    MUST(seglog_roll(e->log));
    write_rounds(os, c, &i, 16);
    MUST(engine_checkpoint(e));
    end_round(e, 3);
    write_some(os, c, i++);
    end_round(e, 4);
    write_some(os, c, i);
    os_sim_advance(os, 2 * SYNCMARK_INTERVAL_US);
    MUST(engine_sync(e, 0));
    end_round(e, 5);
    store.q.now_ms = c->now_ms;
    MUST(engine_hash(e, store.q.last_seq / 2, store.q.hash));
}

struct listing {
    struct os *os;
    const char *dir;
};

static int take_file(void *ctx, const char *name)
{
    struct listing *l = ctx;
    struct file *f = &store.file[store.n];
    snprintf(f->path, sizeof f->path, "%s/%s", l->dir, name);
    struct os_file *handle = NULL;
    if (os_open(l->os, f->path, OS_READ, &handle) != E_OK) return 0; /* a directory */
    os_close(l->os, &handle);
    MUST(os_read_file(l->os, f->path, 1 << 24, &f->bytes));
    for (f->used = f->bytes.n; f->used > 0 && f->bytes.p[f->used - 1] == 0;) f->used--;
    ASSERT(++store.n < FILES_MAX);
    return 0;
}

static const char *const dirs[] = {"/db", "/db/log", "/db/index", "/db/tree"};
#define DIRS (sizeof dirs / sizeof *dirs)

static void make_store(void)
{
    struct os *os = os_sim_new(1);
    struct engine_options o = options_of(os);
    struct engine *e = NULL;
    struct keyspace *ks = NULL;
    os_sim_set(os, &(struct os_sim_faults){.seed = 1});
    MUST(engine_open(&o, &e, NULL));
    MUST(ks_open(&(struct ks_options){.engine = e, .databases = ASK_DATABASES, .loops = 1}, &ks));
    struct ks_ctx c = {.ks = ks};
    store.q = (struct questions){.keys = keys, .n_keys = sizeof keys / sizeof *keys, .token = "token-7"};
    if (small) store.q.keys = few_keys, store.q.n_keys = sizeof few_keys / sizeof *few_keys;
    write_everything(os, e, &c);
    for (size_t i = 0; i < DIRS; i++) MUST(os_list(os, dirs[i], take_file, &(struct listing){os, dirs[i]}));
    ks_close(&ks);
    MUST(engine_close(&e));
    os_free(&os);
}

/* ---- one point ---- */

static void spoil(const struct place *p, struct buf *bytes)
{
    switch (p->kind) {
    case FLIP: bytes->p[p->at] ^= (uint8_t)(1u << p->bit); break;
    case ZERO: memset(bytes->p + p->at, 0, bytes->n - p->at < SECTOR ? bytes->n - p->at : SECTOR); break;
    case CUT: bytes->n = p->at; break;
    default: break;
    }
}

static void write_file(struct os *os, const struct file *f, const struct place *p)
{
    struct os_file *h = NULL;
    struct buf copy = {0};
    bool mine = p && p->file == f;
    if (mine && p->kind == REMOVE) return;
    buf_add_slice(&copy, buf_slice(&f->bytes));
    if (mine) spoil(p, &copy);
    size_t used = copy.n < f->used || mine ? copy.n : f->used;
    MUST(os_open(os, f->path, OS_WRITE, &h));
    MUST(os_write(os, h, 0, copy.p, used));
    if (used < copy.n) MUST(os_extend(os, h, copy.n));
    os_close(os, &h);
    buf_fini(&copy);
}

/* A store on the disk, spoiled at the place (NULL: whole). */
static struct os *fill_disk(struct os *os, const struct place *p)
{
    for (size_t i = 0; i < DIRS; i++) MUST(os_mkdir(os, dirs[i]));
    for (size_t i = 0; i < store.n; i++) write_file(os, &store.file[i], p);
    return os;
}

static struct os *disk_with(const struct place *p) { return fill_disk(os_memory_new(), p); }

static bool complain(const char *what, const struct answer *a)
{
    printf("FAILED: %s %s at %llu, bit %u: %s", kind_names[now.kind], now.file ? now.file->path : "-", (unsigned long long)now.at,
           now.bit, what);
    if (a)
        printf(": %s %llu %llu answered %d with %zu bytes", a->what, (unsigned long long)a->a, (unsigned long long)a->b, a->rc,
               a->n);
    printf("\n");
    return false;
}

enum outcome { OUT_REFUSED, OUT_ANSWERED, OUT_WRONG };

/* Opens, asks, compares; leaves engine and keyspace open when it has answered. */
static enum outcome open_and_ask(struct os *os, struct engine **e, struct keyspace **ks, struct answers *got, size_t *hard)
{
    struct engine_options o = options_of(os);
    struct engine_report rep;
    *e = NULL;
    *ks = NULL;
    int rc = engine_open(&o, e, &rep);
    if (rc != E_OK && rc != E_CORRUPT && rc != E_VERSION) return complain(err_text(rc), NULL), OUT_WRONG;
    if (rc != E_OK && rep.where[0] == 0) return complain("open refused and did not say where", NULL), OUT_WRONG;
    if (rc != E_OK) return OUT_REFUSED;
    rc = ks_open(&(struct ks_options){.engine = *e, .databases = ASK_DATABASES, .loops = 1}, ks);
    if (rc != E_OK) return rc == E_CORRUPT ? OUT_REFUSED : (complain(err_text(rc), NULL), OUT_WRONG);
    ask_all(got, &store.q, *ks);
    const struct answer *wrong = answers_differ(&store.want, got, hard);
    if (wrong) return complain("wrong", wrong), OUT_WRONG;
    return OUT_ANSWERED;
}

static void close_both(struct engine **e, struct keyspace **ks)
{
    ks_close(ks);
    if (*e) (void)!engine_close(e);
}

/* Opening that refused for a damaged segment has to leave it as it found it: what is cut cannot be salvaged. */
static bool refusal_kept(struct os *os, const struct place *p)
{
    struct buf before = {0}, after = {0};
    if (p->kind == REMOVE || !strstr(p->file->path, ".seg")) return true;
    buf_add_slice(&before, buf_slice(&p->file->bytes));
    spoil(p, &before);
    MUST(os_read_file(os, p->file->path, 1 << 24, &after));
    bool same = slice_eq(buf_slice(&before), buf_slice(&after));
    buf_fini(&before);
    buf_fini(&after);
    return same || complain("open refused, and changed the log", NULL);
}

/* A node that cannot be read must be one that the walk over the log reports. */
static bool verify_agrees(struct engine *e, const struct answers *got)
{
    struct verify_found sum = {0};
    uint64_t next, unreadable = 0;
    for (size_t i = 0; i < got->n; i++) unreadable += strcmp(got->v[i].what, "node") == 0 && got->v[i].rc == E_CORRUPT;
    int rc = engine_verify_slice(e, 1, UINT64_MAX, UINT64_MAX, NULL, NULL, &sum, &next);
    if (rc == E_OK && sum.bad < unreadable) return complain("verify is content with a log that cannot be read", NULL);
    return true;
}

/* Every record is read, so one that is damaged cannot have gone by unseen. (An index run has blocks that no question here needs.) */
static bool must_be_noticed(const struct place *p)
{
    if (p->kind == FLIP && p->at >= p->file->used) return false; /* behind the end: nobody's byte */
    if (p->kind == ZERO || p->kind == CUT) return false;
    return strstr(p->file->path, ".seg") || strstr(p->file->path, "MANIFEST");
}

/* How the store goes on after damage was met. */
static bool ask_again(struct os *os, struct engine **e, struct keyspace **ks)
{
    size_t hard = 0;
    if (points % 2) (void)!engine_compact(*e, &(struct compact_options){.keep_versions = 1000000}, NULL);
    close_both(e, ks);
    return open_and_ask(os, e, ks, &store.later, &hard) != OUT_WRONG;
}

static bool one_point(struct place p)
{
    bool goes_on = points % 4 < 2 && (!small || points % 16 < 2);
    struct engine *e;
    struct keyspace *ks;
    size_t hard = 0;
    now = p;
    alarm(HANG_S);
    struct os *os = disk_with(&p);
    enum outcome got = open_and_ask(os, &e, &ks, &store.got, &hard);
    bool good = got != OUT_WRONG;
    if (got == OUT_REFUSED) good = refusal_kept(os, &p);
    if (good && got == OUT_ANSWERED && hard > 0) good = verify_agrees(e, &store.got);
    if (good && got == OUT_ANSWERED && hard == 0 && must_be_noticed(&p)) good = complain("nobody noticed", NULL);
    refused_at_open += got == OUT_REFUSED;
    refused_later += got == OUT_ANSWERED && hard > 0;
    unharmed += got == OUT_ANSWERED && hard == 0;
    if (good && got == OUT_ANSWERED && goes_on) good = ask_again(os, &e, &ks);
    close_both(&e, &ks);
    os_free(&os);
    points++;
    failed += !good;
    return good;
}

static void forget_store(void)
{
    for (size_t i = 0; i < store.n; i++) buf_fini(&store.file[i].bytes);
    answers_fini(&store.want);
    answers_fini(&store.got);
    answers_fini(&store.later);
    memset(&store, 0, sizeof store);
}

/* ---- which points ---- */

static void every_flip(const struct file *f, bool all_bits)
{
    size_t n = f->bytes.n;
    for (size_t at = 0; at < n;) {
        for (unsigned bit = 0; bit < 8; bit++)
            if (all_bits || bit == at * 5 % 8) (void)one_point((struct place){FLIP, f, at, bit});
        bool ends = at < END_BYTES || at + END_BYTES >= f->used;
        at += all_bits || (small && at < f->used) || f->bytes.n <= WHOLE_BYTES || (ends && at < f->used) ? 1 : at < f->used ? STRIDE : 4099;
    }
}

static void every_loss(const struct file *f)
{
    for (size_t at = 0; at < f->used; at += SECTOR) {
        (void)one_point((struct place){ZERO, f, at, 0});
        if (at % (4 * SECTOR) == 0) (void)one_point((struct place){CUT, f, at, 0});
        if (at % (4 * SECTOR) == 0) (void)one_point((struct place){CUT, f, at + 77 < f->used ? at + 77 : f->used - 1, 0});
    }
    (void)one_point((struct place){REMOVE, f, 0, 0});
}

static void every_file(bool all_bits, bool losses)
{
    for (size_t i = 0; i < store.n; i++) {
        uint64_t before = points;
        every_flip(&store.file[i], all_bits);
        if (losses) every_loss(&store.file[i]);
        printf("  %-32s %7zu bytes (%zu used), %5llu points\n", store.file[i].path, store.file[i].bytes.n, store.file[i].used,
               (unsigned long long)(points - before));
    }
}

/* The store is whole, and one read in the middle of the questions fails: that is no absence, and no row may be left out for it. */
static void failing_reads(void)
{
    unsigned quiet = 0;
    for (uint64_t at = 1; quiet < READS_QUIET; at += READS_STRIDE) {
        struct engine *e = NULL;
        struct keyspace *ks = NULL;
        struct os *os = fill_disk(os_sim_new(1), NULL);
        struct engine_options o = options_of(os);
        size_t hard = 0;
        now = (struct place){.kind = READ_FAILS, .at = at};
        alarm(HANG_S);
        MUST(engine_open(&o, &e, NULL));
        MUST(ks_open(&(struct ks_options){.engine = e, .databases = ASK_DATABASES, .loops = 1}, &ks));
        os_sim_set(os, &(struct os_sim_faults){.fail_read_at = at});
        ask_all(&store.got, &store.q, ks);
        os_sim_set(os, &(struct os_sim_faults){0});
        const struct answer *wrong = answers_differ(&store.want, &store.got, &hard);
        if (wrong) failed += !complain("wrong", wrong);
        quiet = hard > 0 || wrong ? 0 : quiet + 1;
        points++;
        refused_later += hard > 0;
        unharmed += !wrong && hard == 0;
        close_both(&e, &ks);
        os_free(&os);
    }
}

static void random_points(uint64_t n, uint64_t seed)
{
    srand48((long)seed);
    while (points < n) {
        const struct file *f = &store.file[(size_t)lrand48() % store.n];
        if (f->bytes.n == 0) continue;
        uint64_t dice = (uint64_t)lrand48() % 20, at = (uint64_t)lrand48() % (dice < 16 && f->used ? f->used : f->bytes.n);
        enum kind kind = dice < 16 ? FLIP : dice < 18 ? ZERO : CUT;
        (void)one_point((struct place){kind, f, at, (unsigned)lrand48() % 8});
    }
}

static void died(int signal)
{
    (void)complain(signal == SIGALRM ? "it does not end" : "the process died", NULL);
    _exit(1);
}

/* The undamaged store must answer, and again after it was stopped in order and compacted: else nothing can be compared. */
static void learn_answers(void)
{
    struct os *os = disk_with(NULL);
    struct engine *e = NULL;
    struct keyspace *ks = NULL;
    struct engine_options o = options_of(os);
    MUST(engine_open(&o, &e, NULL));
    MUST(ks_open(&(struct ks_options){.engine = e, .databases = ASK_DATABASES, .loops = 1}, &ks));
    ask_all(&store.want, &store.q, ks);
    size_t rows = 0, found = 0;
    for (size_t i = 0; i < store.want.n; i++) {
        rows += store.want.v[i].n;
        found += store.want.v[i].rc == E_OK;
    }
    printf("%zu files, %llu nodes, %zu questions, %zu with an answer, %zu bytes of answers\n", store.n,
           (unsigned long long)store.q.last_seq, store.want.n, found, rows);
    uint64_t before = points;
    for (points = 0; points < 2; points++)
        if (!ask_again(os, &e, &ks)) failed++;
    points = before;
    close_both(&e, &ks);
    os_free(&os);
}

int main(int argc, char **argv)
{
    uint64_t n = 0, seed = 1, before;
    bool random = false, all_bits = false;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--points") == 0) n = strtoull(argv[i + 1], NULL, 10), random = true;
        if (strcmp(argv[i], "--seed") == 0) seed = strtoull(argv[i + 1], NULL, 10);
        if (strcmp(argv[i], "--bits") == 0) all_bits = strtoull(argv[i + 1], NULL, 10) == 8;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    log_set_level(LOG_NOTHING);
    make_store();
    learn_answers();
    signal(SIGALRM, died);
    signal(SIGABRT, died);
    signal(SIGSEGV, died);
    signal(SIGBUS, died);
    if (random) {
        random_points(n ? n : UINT64_MAX, seed);
    } else {
        every_file(all_bits, true);
        before = points;
        failing_reads();
        printf("  %-56s %5llu points\n", "reads that fail", (unsigned long long)(points - before));
        forget_store();
        small = true;
        make_store();
        learn_answers();
        every_file(all_bits, false);
    }
    printf("refused at open %llu, refused an answer %llu, unharmed %llu\n", (unsigned long long)refused_at_open,
           (unsigned long long)refused_later, (unsigned long long)unharmed);
    printf("flip points: %llu passed, %llu failed\n", (unsigned long long)(points - failed), (unsigned long long)failed);
    return failed ? 1 : 0;
}
