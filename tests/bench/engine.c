/* The engine alone, in process, against RocksDB, leveldb and LMDB in the same run: puts of 100-byte documents over random keys, then warm gets. Prints CPU
 * microseconds an operation (user and system, all threads of the process, background work included up to a quiet store). */
#include "base/mem.h"
#include "engine/engine.h"
#include <leveldb/c.h>
#include <lmdb.h>
#include <rocksdb/c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEYS 1000000u
#define BATCH 64 /* puts between two write-outs, as a pipelined loop turn does; LMDB commits as often */

static const char json[] = "{\"id\":\"7f3a9c\",\"name\":\"Ada Lovelace\",\"plan\":\"pro\",\"age\":36,\"tags\":[\"a\",\"b\"],\"active\":true,\"x\":12}";

static double cpu_us(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

/* The i-th key in a scrambled order that visits each once: "doc:" and twelve digits. For all four engines alike it is written digit by digit:
 * snprintf would take a tenth of a microsecond, which is a tenth of what is measured and none of the engine's. */
static size_t key_of(char out[24], uint32_t i)
{
    uint32_t k = (uint32_t)((uint64_t)i * 611953u % KEYS);
    memcpy(out, "doc:000000000000", 17);
    for (char *digit = out + 15; k > 0; k /= 10) *digit-- = (char)('0' + k % 10);
    return 16;
}

static void die(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s\n", what, why ? why : "failed");
    exit(1);
}

struct figures {
    double put, get;
};

static struct figures run_varve(const char *dir)
{
    struct engine_options o = {.dir = dir, .durability = DURABLE_EVERYSEC};
    struct engine *e;
    struct engine_report rep;
    struct receipt r;
    struct version v;
    struct buf mem = {0};
    struct node n;
    char key[24];
    struct figures f;
    if (engine_open(&o, &e, &rep) != E_OK) die("varve", rep.where);
    double t = cpu_us();
    for (uint32_t i = 0; i < KEYS; i++) {
        struct node put = {.op = NODE_PUT, .type = TYPE_DOCUMENT, .flags = NODE_CREATED, .ver = 1};
        put.key = slice_of(key, key_of(key, i));
        put.payload = slice_of(json, sizeof json - 1);
        if (engine_append(e, &put, true, &r) != E_OK) die("varve", "append");
        if (i % BATCH == BATCH - 1 && engine_write_out(e, r.end) != E_OK) die("varve", "write");
    }
    if (engine_write_out(e, 0) != E_OK || engine_catch_up(e, 0) != E_OK || engine_sync(e, 0) != E_OK) die("varve", "finish");
    f.put = (cpu_us() - t) / KEYS;
    if (engine_checkpoint(e) != E_OK) die("varve", "checkpoint");
    for (int pass = 0; pass < 2; pass++) { /* the first pass warms */
        t = cpu_us();
        for (uint32_t i = 0; i < KEYS; i++) {
            slice k = slice_of(key, key_of(key, i * 7 + 3));
            if (engine_find(e, SPACE_KEY, 0, k, UINT64_MAX, FIND_ALL, &v) != E_OK || engine_read(e, v.seq, &mem, &n) != E_OK) die("varve", "get");
        }
        f.get = (cpu_us() - t) / KEYS;
    }
    buf_fini(&mem);
    if (engine_close(&e) != E_OK) die("varve", "close");
    return f;
}

static struct figures run_rocksdb(const char *dir)
{
    char *err = NULL, key[24];
    struct figures f;
    rocksdb_options_t *o = rocksdb_options_create();
    rocksdb_options_set_create_if_missing(o, 1);
    rocksdb_t *db = rocksdb_open(o, dir, &err);
    if (err) die("rocksdb", err);
    rocksdb_writeoptions_t *w = rocksdb_writeoptions_create();
    rocksdb_readoptions_t *ro = rocksdb_readoptions_create();
    double t = cpu_us();
    for (uint32_t i = 0; i < KEYS; i++) rocksdb_put(db, w, key, key_of(key, i), json, sizeof json - 1, &err);
    rocksdb_flushoptions_t *fo = rocksdb_flushoptions_create();
    rocksdb_flush(db, fo, &err);
    f.put = (cpu_us() - t) / KEYS;
    for (int pass = 0; pass < 2; pass++) {
        t = cpu_us();
        for (uint32_t i = 0; i < KEYS; i++) {
            size_t n;
            char *v = rocksdb_get(db, ro, key, key_of(key, i * 7 + 3), &n, &err);
            if (err || v == NULL) die("rocksdb", err);
            free(v);
        }
        f.get = (cpu_us() - t) / KEYS;
    }
    rocksdb_close(db);
    return f;
}

static struct figures run_leveldb(const char *dir)
{
    char *err = NULL, key[24];
    struct figures f;
    leveldb_options_t *o = leveldb_options_create();
    leveldb_options_set_create_if_missing(o, 1);
    leveldb_t *db = leveldb_open(o, dir, &err);
    if (err) die("leveldb", err);
    leveldb_writeoptions_t *w = leveldb_writeoptions_create();
    leveldb_readoptions_t *ro = leveldb_readoptions_create();
    double t = cpu_us();
    for (uint32_t i = 0; i < KEYS; i++) leveldb_put(db, w, key, key_of(key, i), json, sizeof json - 1, &err);
    f.put = (cpu_us() - t) / KEYS;
    for (int pass = 0; pass < 2; pass++) {
        t = cpu_us();
        for (uint32_t i = 0; i < KEYS; i++) {
            size_t n;
            char *v = leveldb_get(db, ro, key, key_of(key, i * 7 + 3), &n, &err);
            if (err || v == NULL) die("leveldb", err);
            leveldb_free(v);
        }
        f.get = (cpu_us() - t) / KEYS;
    }
    leveldb_close(db);
    return f;
}

static struct figures run_lmdb(const char *dir)
{
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;
    char key[24];
    struct figures f;
    if (mkdir(dir, 0700) != 0 || mdb_env_create(&env) || mdb_env_set_mapsize(env, 4ull << 30) || mdb_env_open(env, dir, MDB_NOSYNC, 0600))
        die("lmdb", "open");
    double t = cpu_us();
    for (uint32_t i = 0; i < KEYS; i += BATCH) {
        if (mdb_txn_begin(env, NULL, 0, &txn) || mdb_dbi_open(txn, NULL, 0, &dbi)) die("lmdb", "begin");
        for (uint32_t j = i; j < i + BATCH && j < KEYS; j++) {
            size_t n = key_of(key, j);
            char copy[sizeof json];
            memcpy(copy, json, sizeof json);
            MDB_val k = {n, key}, v = {sizeof json - 1, copy};
            if (mdb_put(txn, dbi, &k, &v, 0)) die("lmdb", "put");
        }
        if (mdb_txn_commit(txn)) die("lmdb", "commit");
    }
    f.put = (cpu_us() - t) / KEYS;
    for (int pass = 0; pass < 2; pass++) {
        if (mdb_txn_begin(env, NULL, MDB_RDONLY, &txn)) die("lmdb", "begin");
        t = cpu_us();
        for (uint32_t i = 0; i < KEYS; i++) {
            MDB_val k = {key_of(key, i * 7 + 3), key}, v;
            if (mdb_get(txn, dbi, &k, &v)) die("lmdb", "get");
        }
        f.get = (cpu_us() - t) / KEYS;
        mdb_txn_abort(txn);
    }
    mdb_env_close(env);
    return f;
}

int main(void)
{
    struct {
        const char *name;
        struct figures (*run)(const char *dir);
    } peers[] = {{"varve", run_varve}, {"rocksdb", run_rocksdb}, {"leveldb", run_leveldb}, {"lmdb, no sync, 64 puts a commit", run_lmdb}};
    char dir[] = "/var/tmp/varve-engine-bench-XXXXXX", path[256], command[300];
    if (mkdtemp(dir) == NULL) die("mkdtemp", dir);
    printf("%u documents of %zu bytes, keys of 16 bytes in scrambled order; hashed, proved and versioned by varve only.\n\n", KEYS, sizeof json - 1);
    puts("| engine | put, CPU us | warm get, CPU us |\n| --- | --- | --- |");
    for (size_t i = 0; i < sizeof peers / sizeof *peers; i++) {
        (void)snprintf(path, sizeof path, "%s/%zu", dir, i);
        struct figures f = peers[i].run(path);
        printf("| %s | %.2f | %.2f |\n", peers[i].name, f.put, f.get);
        fflush(stdout);
    }
    puts("\nAsked of varve: put <= 2, get <= 1.");
    (void)snprintf(command, sizeof command, "rm -rf '%s'", dir);
    return system(command) == 0 ? 0 : 1;
}
