/* The engine as a library: documents, their history, a reading in the past, and a proof. src/docs/engine.md walks through it.
 *
 *   cc -Isrc src/docs/engine-example.c build/libvarve.a -pthread -lb2 -lcrypto -ljemalloc -lm -o example
 *   ./example DIR */
#include "engine/engine.h"

#include <stdio.h>

#define MUST(call)                                                                                                               \
    do {                                                                                                                         \
        int must_rc = (call);                                                                                                    \
        if (must_rc < 0) {                                                                                                       \
            fprintf(stderr, "%s: %s\n", #call, err_text(must_rc));                                                               \
            return 1;                                                                                                            \
        }                                                                                                                        \
    } while (0)

/* One new version of a document. What the engine wants to know of the version before is asked of the engine itself. */
static int put(struct engine *e, const char *key, const char *json, struct receipt *r)
{
    struct version before = {0};
    int rc = engine_catch_up(e, 0);
    if (rc == E_OK) rc = engine_find(e, SPACE_KEY, 0, slice_str(key), UINT64_MAX, FIND_ALL, &before);
    if (rc < 0 && rc != E_NOTFOUND) return rc;
    bool live = rc == E_OK && before.op != NODE_DELETE && before.op != NODE_EXPIRE;
    struct node n = {.op = NODE_PUT,
                     .type = TYPE_DOCUMENT,
                     .space = SPACE_KEY,
                     .flags = live ? 0 : NODE_CREATED,
                     .prev = before.seq,
                     .ver = before.ver + 1,
                     .key = slice_str(key),
                     .payload = slice_str(json)};
    return engine_append(e, &n, true, r);
}

/* What the key was at a point. */
static int get(struct engine *e, const char *key, uint64_t at, struct buf *mem, slice *json)
{
    struct version v;
    struct node n;
    int rc = engine_find(e, SPACE_KEY, 0, slice_str(key), at, FIND_ALL, &v);
    if (rc == E_OK) rc = engine_read(e, v.seq, mem, &n);
    if (rc == E_OK) *json = n.payload;
    return rc;
}

static int show_history(struct engine *e, const char *key)
{
    struct version_cursor *c = NULL;
    struct version v;
    int rc = engine_versions(e, SPACE_KEY, 0, slice_str(key), 1, UINT64_MAX, false, &c);
    while (rc == E_OK && (rc = version_next(c, &v)) == E_OK)
        printf("  version %llu at seq %llu: %s, %u bytes\n", (unsigned long long)v.ver, (unsigned long long)v.seq,
               node_op_name(v.op), v.bytes);
    if (c) version_close(&c);
    return rc == E_END ? E_OK : rc;
}

static int prove(struct engine *e, const struct receipt *r)
{
    struct tree_proof proof;
    uint8_t root[HASH_BYTES];
    uint64_t size = engine_tree_size(e);
    int rc = engine_root(e, size, root);
    if (rc == E_OK) rc = engine_prove_inclusion(e, r->seq, size, &proof);
    if (rc < 0) return rc;
    bool holds = tree_check_inclusion(r->hash, r->seq - 1, size, &proof, root);
    printf("proof of seq %llu in a tree of %llu: %s, %u hashes\n", (unsigned long long)r->seq, (unsigned long long)size,
           holds ? "holds" : "FAILS", proof.n);
    return holds ? E_OK : E_CORRUPT;
}

int main(int argc, char **argv)
{
    struct engine_options o = {.dir = argc > 1 ? argv[1] : "./example-data", .durability = DURABLE_ALWAYS};
    struct engine *e;
    struct engine_report found;
    MUST(engine_open(&o, &e, &found));
    printf("%s store, %llu nodes\n", found.fresh ? "new" : "known", (unsigned long long)engine_tree_size(e));

    struct receipt first, second;
    MUST(put(e, "user:7", "{\"name\":\"Ada\",\"plan\":\"free\"}", &first));
    MUST(put(e, "user:7", "{\"name\":\"Ada\",\"plan\":\"pro\"}", &second));
    MUST(engine_sync(e, second.end)); /* on disk from here on */
    MUST(engine_catch_up(e, second.seq));

    struct buf mem = {0};
    slice now, then;
    MUST(get(e, "user:7", UINT64_MAX, &mem, &now));
    printf("now:         %.*s\n", (int)now.n, (const char *)now.p);
    MUST(get(e, "user:7", first.seq, &mem, &then));
    printf("at seq %-5llu %.*s\n", (unsigned long long)first.seq, (int)then.n, (const char *)then.p);
    buf_fini(&mem);

    MUST(show_history(e, "user:7"));
    MUST(prove(e, &first));
    MUST(engine_close(&e));
    return 0;
}
