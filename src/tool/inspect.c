/* varve inspect: what a store consists of, read by the tool's own readers, so that a damaged store can be looked at too. Only the counts of databases come
 * from the engine, opened read-only, since they are a fold of the whole log. */
#include "base/codec.h"
#include "base/logline.h"
#include "base/num.h"
#include "engine/engine.h"
#include "tool/run_file.h"
#include "tool/store.h"
#include "tool/text.h"
#include "tool/tool.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define NAME "inspect"
#define EXCERPT_BYTES 512
#define KEY_SHOWN 80

struct wish {
    const char *dir, *segment, *node, *run;
    bool raw;
};

/* ---- printing ---- */

static void print_bytes(slice s, size_t max)
{
    struct paper plain = {.f = stdout};
    paper_bytes(&plain, s, max);
}

static void print_time(uint64_t ms)
{
    char text[32];
    time_t t = (time_t)(ms / 1000);
    struct tm tm;
    if (!gmtime_r(&t, &tm) || strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm) == 0) printf("%llu ms", (unsigned long long)ms);
    else printf("%s.%03uZ (%llu)", text, (unsigned)(ms % 1000), (unsigned long long)ms);
}

static void print_hex(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++) printf("%02x", p[i]);
}

/* ---- the summary ---- */

static void show_manifest(const struct store *s)
{
    const struct manifest_file *m = &s->manifest;
    if (!m->good) {
        printf("manifest   %s\n", s->manifest_why ? s->manifest_why : "missing");
        return;
    }
    printf("store      ");
    print_hex(m->store_id, sizeof m->store_id);
    printf(", created ");
    print_time(m->created_ms);
    printf("\nmanifest   number %llu, %s%s; newest time ", (unsigned long long)m->number, m->flags & MANIFEST_IS_CLEAN ? "orderly stop" : "no orderly stop",
           m->flags & MANIFEST_MUST_FORGET ? ", the index has still to forget dropped nodes" : "");
    print_time(m->newest_ms);
    printf("\ncovers     seq %llu; on disk up to %llu (sync mark %llu); horizon of keys %llu\ntree       size %llu, root ", (unsigned long long)m->covers,
           (unsigned long long)m->floor, (unsigned long long)s->mark, (unsigned long long)m->horizon, (unsigned long long)m->covers);
    print_hex(m->root, sizeof m->root);
    putchar('\n');
}

struct tally {
    uint64_t nodes, last, bytes;
};

/* Without a sidecar: by stepping over the records. */
static void count_records(struct file *f, struct tally *t)
{
    struct record r;
    const char *why;
    uint64_t at = SEGMENT_HEAD, limit = f->size & ~(uint64_t)3;
    while (at < limit && record_read(f, at, limit, &r, &why) == RECORD_OK) {
        t->nodes++;
        t->last = r.seq;
        at += r.size;
    }
    t->bytes = at;
}

static void show_segment(const struct store *s, size_t i)
{
    char name[SEGMENT_NAME_MOST];
    const struct store_segment *g = &s->segments[i];
    struct sidecar_file side;
    struct file f;
    struct tally t = {0};
    segment_name_write(name, &g->name, "seg");
    if (file_open(&f, s->dir, name)) {
        printf("  %3zu  %s  missing\n", i + 1, name);
        return;
    }
    (void)sidecar_file_read(s->dir, &g->name, &side);
    if (side.good) t = (struct tally){side.count, side.last, side.segment_bytes};
    else count_records(&f, &t);
    printf("  %3zu  %s  seq %llu", i + 1, name, (unsigned long long)g->name.first);
    if (t.last >= g->name.first) printf("-%llu", (unsigned long long)t.last);
    printf("  %llu nodes  %llu bytes  generation %u%s%s%s%s\n", (unsigned long long)t.nodes, (unsigned long long)t.bytes, g->name.generation, side.good ? "  sealed" : "  open",
           g->compacted ? "  compacted" : "", side.good && side.flags & SIDECAR_IS_LOSSY ? "  with losses" : "", g->listed ? "" : "  newer than the manifest");
    sidecar_file_fini(&side);
    file_close(&f);
}

static void show_databases(const struct store *s)
{
    struct engine_options o = {.dir = s->dir, .read_only = true, .no_threads = true};
    struct engine_report found;
    struct engine *e = NULL;
    log_set_level(LOG_NOTHING);
    int rc = engine_open(&o, &e, &found);
    if (rc < 0) {
        printf("databases  cannot be counted: %s\n", found.where[0] ? found.where : err_text(rc));
        return;
    }
    printf("databases\n");
    for (uint16_t db = 0; db < ENGINE_DATABASES_MAX; db++) {
        struct db_view view;
        struct db_counts n;
        engine_db_at(e, db, UINT64_MAX, &view);
        engine_db_counts(e, view.lineage, &n);
        if (n.keys == 0 && db > 0) continue;
        printf("  %3u  %llu keys, %llu of them documents, %llu with an expiry\n", db, (unsigned long long)n.keys, (unsigned long long)n.docs, (unsigned long long)n.expiring);
    }
    if (engine_close(&e) < 0) printf("  (the store could not be closed)\n");
}

static int show_all(struct store *s)
{
    show_manifest(s);
    printf("segments\n");
    for (size_t i = 0; i < s->n_segments; i++) show_segment(s, i);
    printf("runs\n");
    for (uint32_t i = 0; i < s->manifest.n_runs; i++) {
        struct manifest_run r;
        manifest_file_run(&s->manifest, i, &r);
        printf("  index/%08llu.run  level %llu  %llu entries  %llu bytes\n", (unsigned long long)r.id, (unsigned long long)r.level, (unsigned long long)r.entries, (unsigned long long)r.bytes);
    }
    os_close(os_posix(), &s->lock); /* the engine takes it */
    show_databases(s);
    return EXIT_YES;
}

/* ---- one segment ---- */

static int find_segment(struct store *s, const char *which)
{
    uint64_t n;
    if (num_parse_u64(slice_str(which), &n) && n >= 1 && n <= s->n_segments) return (int)n - 1;
    const char *base = strrchr(which, '/') ? strrchr(which, '/') + 1 : which;
    for (size_t i = 0; i < s->n_segments; i++) {
        char name[SEGMENT_NAME_MOST];
        segment_name_write(name, &s->segments[i].name, "seg");
        if (strcmp(name + 4, base) == 0) return (int)i;
    }
    return -1;
}

static void show_record(const struct record *r)
{
    struct node_bytes n;
    const char *why = node_bytes_parse(r->node, &n);
    printf("%10llu  %8llu  ", (unsigned long long)r->offset, (unsigned long long)r->seq);
    if (why) {
        printf("%s\n", why);
        return;
    }
    printf("%-7s %-8s %-6s %8zu%s  ", node_bytes_op(n.op), node_bytes_type(n.type), node_bytes_space(n.space), r->node.n, r->more ? " +" : r->cut ? " /" : "  ");
    print_bytes(n.key, KEY_SHOWN);
    putchar('\n');
}

static int show_records(struct store *s, const char *which)
{
    char name[SEGMENT_NAME_MOST];
    struct file f;
    int i = find_segment(s, which), status = EXIT_YES;
    if (i < 0) return tool_trouble(NAME, "there is no segment '%s'", which);
    segment_name_write(name, &s->segments[i].name, "seg");
    if (file_open(&f, s->dir, name)) return tool_trouble(NAME, "%s cannot be read", name);
    uint64_t at = SEGMENT_HEAD, limit = f.size & ~(uint64_t)3;
    const struct seq_window any = {1, UINT64_MAX};
    printf("%10s  %8s  %-7s %-8s %-6s %8s    %s\n", "offset", "seq", "op", "type", "space", "bytes", "key       (+: its commit goes on)");
    while (at < limit) {
        struct record r;
        const char *why = "no record";
        uint64_t next;
        enum record_result got = record_read(&f, at, limit, &r, &why);
        if (got == RECORD_OK) {
            show_record(&r);
            at += r.size;
            continue;
        }
        if (record_search(&f, at, limit, &any, &next) != RECORD_OK) break;
        printf("%10llu  %s; %llu bytes to the next record\n", (unsigned long long)at, got == RECORD_IO ? "cannot be read" : why, (unsigned long long)(next - at));
        status = EXIT_NO;
        at = next;
    }
    file_close(&f);
    return status;
}

/* ---- one node ---- */

static void show_node(slice raw, const struct node_bytes *n)
{
    uint8_t hash[DIGEST_BYTES];
    digest_blake(hash, raw.p, raw.n);
    printf("seq        %llu\nhash       ", (unsigned long long)n->seq);
    print_hex(hash, sizeof hash);
    printf("\nop         %s\ntype       %s\nspace      %s\nlineage    %u\nkey        ", node_bytes_op(n->op), node_bytes_type(n->type), node_bytes_space(n->space), n->lineage);
    print_bytes(n->key, SIZE_MAX);
    printf("\nver        %llu\nprev       %llu", (unsigned long long)n->ver, (unsigned long long)n->prev);
    if (n->prev_hash) putchar(' '), print_hex(n->prev_hash, DIGEST_BYTES);
    printf("\ntime       ");
    print_time(n->time_ms);
    printf("\nsalt       ");
    print_hex(n->salt, 16);
    printf("\nflags      %u%s%s%s\nposition   %llu of its commit", n->flags, n->flags & BIT_CREATED ? " created" : "", n->flags & BIT_RETYPED ? " retyped" : "",
           n->flags & BIT_ENC_RAW ? " raw" : "", (unsigned long long)n->position);
    if (n->flags & BIT_EXPIRES) printf("\nexpires    "), print_time(n->expire_ms);
    if (n->flags & BIT_VALID) printf("\nvalid      %lld to %lld", (long long)n->valid_from, (long long)n->valid_to);
    for (uint64_t i = 0; i < n->n_causes; i++) {
        printf("\ncause      %llu ", (unsigned long long)get_u64(n->causes + i * CAUSE_SIZE));
        print_hex(n->causes + i * CAUSE_SIZE + 8, DIGEST_BYTES);
    }
    if (n->by.n) printf("\nby         "), print_bytes(n->by, SIZE_MAX);
    if (n->note.n) printf("\nnote       "), print_bytes(n->note, SIZE_MAX);
    if (n->idem.n) printf("\ntoken      "), print_bytes(n->idem, SIZE_MAX);
    printf("\nbytes      %zu, payload %zu\npayload    ", raw.n, n->payload.n);
    print_bytes(n->payload, EXCERPT_BYTES);
    putchar('\n');
}

static int print_record(const struct record *r, bool raw)
{
    struct node_bytes n;
    if (raw) return fwrite(r->node.p, 1, r->node.n, stdout) == r->node.n ? EXIT_YES : EXIT_TROUBLE;
    const char *why = node_bytes_parse(r->node, &n);
    if (why) return tool_trouble(NAME, "seq %llu: %s", (unsigned long long)r->seq, why);
    show_node(r->node, &n);
    return EXIT_YES;
}

/* Records are looked through from the segment's beginning: no sidecar has to be right for that. */
static int find_node(struct store *s, uint64_t seq, bool raw)
{
    const struct seq_window any = {1, UINT64_MAX};
    int status = -1;
    for (size_t i = 0; i < s->n_segments && status < 0; i++) {
        char name[SEGMENT_NAME_MOST];
        struct file f;
        if (seq < s->segments[i].name.first || seq >= s->segments[i].upto) continue;
        segment_name_write(name, &s->segments[i].name, "seg");
        if (file_open(&f, s->dir, name)) return tool_trouble(NAME, "%s cannot be read", name);
        uint64_t at = SEGMENT_HEAD, limit = f.size & ~(uint64_t)3;
        while (at < limit && status < 0) {
            struct record r;
            const char *why;
            if (record_read(&f, at, limit, &r, &why) != RECORD_OK) {
                if (record_search(&f, at, limit, &any, &at) != RECORD_OK) break;
                continue;
            }
            if (r.seq == seq) status = print_record(&r, raw);
            if (r.seq > seq) break;
            at += r.size;
        }
        file_close(&f);
    }
    return status >= 0 ? status : tool_trouble(NAME, "there is no node %llu: never written, dropped by compaction, or damaged", (unsigned long long)seq);
}

/* ---- one run ---- */

static void show_entry(void *ctx, slice key, slice value, bool tombstone)
{
    print_bytes(key, SIZE_MAX);
    if (tombstone) printf("  deleted\n");
    else printf("  %zu bytes\n", value.n);
}

static int show_run(struct store *s, const char *which)
{
    char name[300];
    uint64_t id;
    struct report r;
    struct run_file got;
    const char *base = strrchr(which, '/') ? strrchr(which, '/') + 1 : which;
    if (num_parse_u64(slice_str(which), &id)) (void)snprintf(name, sizeof name, "index/%08llu.run", (unsigned long long)id);
    else (void)snprintf(name, sizeof name, "index/%.200s", base);
    if (!file_exists(s->dir, name)) return tool_trouble(NAME, "there is no run '%s'", which);
    report_init(&r, false);
    run_file_check(s->dir, name, NULL, show_entry, NULL, &r, &got);
    printf("%s: level %u, %llu entries, %llu of them deletions, %llu blocks, %llu bytes, covers seq %llu\n", name, got.level, (unsigned long long)got.entries,
           (unsigned long long)got.tombstones, (unsigned long long)got.blocks, (unsigned long long)got.bytes, (unsigned long long)got.covers);
    int status = r.faults ? EXIT_NO : EXIT_YES;
    report_fini(&r);
    return status;
}

/* ---- arguments ---- */

static int parse_arguments(int argc, char **argv, struct wish *w)
{
    for (int i = 0; i < argc; i++) {
        const char **value = strcmp(argv[i], "--segment") == 0 ? &w->segment : strcmp(argv[i], "--node") == 0 ? &w->node : strcmp(argv[i], "--run") == 0 ? &w->run : NULL;
        if (value && i + 1 == argc) return tool_usage(NAME, "%s needs a value", argv[i]);
        if (value) *value = argv[++i];
        else if (strcmp(argv[i], "--raw") == 0) w->raw = true;
        else if (argv[i][0] == '-') return tool_usage(NAME, "unknown option '%s'", argv[i]);
        else if (w->dir) return tool_usage(NAME, "one data directory at a time");
        else w->dir = argv[i];
    }
    if (!w->dir) return tool_usage(NAME, "which data directory?");
    if (!!w->segment + !!w->node + !!w->run > 1) return tool_usage(NAME, "one of --segment, --node and --run at a time");
    return w->raw && !w->node ? tool_usage(NAME, "--raw goes with --node") : EXIT_YES;
}

int tool_inspect(int argc, char **argv)
{
    struct wish w = {0};
    struct store s;
    uint64_t seq = 0;
    int status = parse_arguments(argc, argv, &w);
    if (status == EXIT_YES && w.node && (!num_parse_u64(slice_str(w.node), &seq) || seq == 0)) status = tool_usage(NAME, "--node takes a seq");
    if (status == EXIT_YES) status = store_open(NAME, w.dir, &s);
    if (status != EXIT_YES) return status;
    status = w.segment ? show_records(&s, w.segment) : w.node ? find_node(&s, seq, w.raw) : w.run ? show_run(&s, w.run) : show_all(&s);
    store_close(&s);
    return status;
}
