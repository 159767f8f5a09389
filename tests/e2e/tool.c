/* The tool against stores that a real server wrote: whole ones must be called whole, stopped, killed or compacted; every kind of damage must be seen; proofs must
 * hold, and must not once any part of them is changed; a repair keeps all that can be read and brings nothing else back. */
#include "base/codec.h"
#include "base/hash.h"
#include "tests/support/server.h"
#include "tests/support/tree_ref.h"
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define FLIPS_PER_FILE 12
#define FILES_MAX 64

static int failures, checks;
static char tool[512], output[4 << 20];

static void expect(bool ok, const char *format, ...)
{
    va_list ap;
    checks++;
    if (ok) return;
    failures++;
    va_start(ap, format);
    fprintf(stderr, "failed: ");
    vfprintf(stderr, format, ap);
    fprintf(stderr, "\n%.2000s\n", output);
    va_end(ap);
}

/* Runs `varve …` through a shell; fills `output` with what it prints on both streams, returns its exit status. */
static int run(const char *format, ...)
{
    char arguments[2000], command[3000];
    va_list ap;
    va_start(ap, format);
    (void)vsnprintf(arguments, sizeof arguments, format, ap);
    va_end(ap);
    (void)snprintf(command, sizeof command, "%s %s 2>&1", tool, arguments);
    FILE *f = popen(command, "r");
    size_t n = f ? fread(output, 1, sizeof output - 1, f) : 0;
    output[n] = 0;
    int status = f ? pclose(f) : -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static bool says(const char *text) { return strstr(output, text) != NULL; }

static void shell(const char *format, ...)
{
    char command[2000];
    va_list ap;
    va_start(ap, format);
    (void)vsnprintf(command, sizeof command, format, ap);
    va_end(ap);
    if (system(command) != 0) fprintf(stderr, "could not: %s\n", command), abort();
}

/* ---- files of a store ---- */

struct files {
    char name[FILES_MAX][96]; /* below the store's directory */
    size_t n;
};

static void add_folder(struct files *f, const char *dir, const char *folder)
{
    char path[400];
    struct dirent *e;
    (void)snprintf(path, sizeof path, "%s%s%s", dir, *folder ? "/" : "", folder);
    DIR *d = opendir(path);
    while (d && (e = readdir(d))) {
        struct stat st;
        char file[700];
        (void)snprintf(file, sizeof file, "%s/%s", path, e->d_name);
        if (stat(file, &st) != 0 || !S_ISREG(st.st_mode) || strcmp(e->d_name, "LOCK") == 0 || f->n == FILES_MAX) continue;
        (void)snprintf(f->name[f->n++], sizeof f->name[0], "%s%s%.60s", folder, *folder ? "/" : "", e->d_name);
    }
    if (d) closedir(d);
}

static struct files files_of(const char *dir)
{
    struct files f = {.n = 0};
    static const char *const folders[] = {"", "log", "index", "tree"};
    for (size_t i = 0; i < 4; i++) add_folder(&f, dir, folders[i]);
    return f;
}

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), k = strlen(end);
    return n >= k && strcmp(s + n - k, end) == 0;
}

static uint8_t *load(const char *dir, const char *name, size_t *n)
{
    char path[400];
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "r");
    if (!f) abort();
    fseek(f, 0, SEEK_END);
    *n = (size_t)ftell(f);
    rewind(f);
    uint8_t *p = malloc(*n + 1);
    if (!p || fread(p, 1, *n, f) != *n) abort();
    fclose(f);
    return p;
}

/* Up to the last byte that is not zero: a tail's file is longer than what is in it. */
static size_t used_bytes(const char *dir, const char *name)
{
    size_t n;
    uint8_t *p = load(dir, name, &n);
    while (n > 0 && p[n - 1] == 0) n--;
    free(p);
    return n;
}

static void put(const char *dir, const char *name, uint64_t at, const void *p, size_t n)
{
    char path[400];
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    int fd = open(path, O_WRONLY);
    if (fd < 0 || pwrite(fd, p, n, (off_t)at) != (ssize_t)n) abort();
    close(fd);
}

static void flip(const char *dir, const char *name, uint64_t at, unsigned bit)
{
    size_t n;
    uint8_t *p = load(dir, name, &n), c = p[at] ^ (uint8_t)(1u << bit);
    put(dir, name, at, &c, 1);
    free(p);
}

static void copy_store(const char *from, char *to, size_t n)
{
    (void)snprintf(to, n, "%s.copy", from);
    shell("rm -rf '%s' && cp -a --sparse=always '%s' '%s'", to, from, to);
}

static const char *last_segment(const struct files *f)
{
    const char *last = NULL;
    for (size_t i = 0; i < f->n; i++)
        if (ends_with(f->name[i], ".seg") && (!last || strcmp(f->name[i], last) > 0)) last = f->name[i];
    return last;
}

/* ---- a store with something of everything ---- */

static void write_some(redisContext *r, int from, int to)
{
    for (int i = from; i < to; i++) {
        redisAppendCommand(r, "DPUT user:%d {\"n\":%d,\"s\":\"text\"}", i % 20, i);
        redisAppendCommand(r, "SET key:%d value-%d", i % 50, i);
        redisAppendCommand(r, "MULTI");
        redisAppendCommand(r, "SET pair:a %d", i);
        redisAppendCommand(r, "SET pair:b %d", i);
        redisAppendCommand(r, "EXEC");
        for (int k = 0; k < 6; k++) {
            redisReply *v = NULL;
            if (redisGetReply(r, (void **)&v) != REDIS_OK) return;
            freeReplyObject(v);
        }
    }
}

static void make_store(struct server *s)
{
    static const char *const args[] = {"--checkpoint-bytes", "30kb", "--databases", "32", NULL};
    server_start(s, NULL, args);
    redisContext *r = server_connect(s, 2);
    write_some(r, 0, 300);
    freeReplyObject(ask(r, "DCOMPACT KEEP 3"));
    write_some(r, 300, 450);
    expect(ask_ok(r, "SELECT 20") && ask_ok(r, "SET far away"), "a key in a database behind the sixteenth");
    redisFree(r);
}

/* ---- verify ---- */

static void test_whole(struct server *s)
{
    expect(run("verify %s", s->dir) == 2 && says("stop the server"), "verify refuses while a server runs");
    server_stop(s);
    expect(run("verify %s", s->dir) == 0 && says("whole: no fault found"), "a stopped, compacted store is whole");
    expect(says("dropped by compaction"), "there was a compaction");
    expect(!says("note"), "an orderly stop leaves nothing to note");
    expect(run("verify /tmp") == 2 && run("verify /nowhere/at/all") == 2, "what is no store is refused");
}

static void test_flips(const char *dir)
{
    struct files f = files_of(dir);
    char copy[200];
    unsigned seed = 7;
    copy_store(dir, copy, sizeof copy);
    expect(f.n >= 7, "manifest, segments, sidecar, mark, runs and tree are there");
    for (size_t i = 0; i < f.n; i++) {
        size_t n = used_bytes(copy, f.name[i]);
        for (unsigned k = 0; n && k < FLIPS_PER_FILE; k++) {
            uint64_t at = k == 0 ? 0 : k == 1 ? n - 1 : (uint64_t)rand_r(&seed) % n;
            unsigned bit = (unsigned)rand_r(&seed) % 8;
            flip(copy, f.name[i], at, bit);
            expect(run("verify %s", copy) == 1 && says("FAULT") && says(strncmp(f.name[i], "tree/", 5) == 0 ? "tree/" : f.name[i]), "bit %u of byte %llu of %s", bit, (unsigned long long)at, f.name[i]);
            flip(copy, f.name[i], at, bit);
        }
    }
    expect(run("verify %s", copy) == 0, "with every bit back it is whole again");
}

static void test_missing(const char *dir)
{
    struct files f = files_of(dir);
    char copy[200];
    for (size_t i = 0; i < f.n; i++) {
        if (ends_with(f.name[i], "synced")) continue; /* may be missing at any time */
        copy_store(dir, copy, sizeof copy);
        shell("rm '%s/%s'", copy, f.name[i]);
        expect(run("verify %s", copy) == 1 && says("missing"), "%s is missing", f.name[i]);
        copy_store(dir, copy, sizeof copy);
        shell("truncate -s -40 '%s/%s'", copy, f.name[i]);
        bool tail = strcmp(f.name[i], last_segment(&f)) == 0; /* zeros are all that it loses */
        expect(run("verify %s", copy) == (tail ? 0 : 1), "%s is shorter", f.name[i]);
    }
    copy_store(dir, copy, sizeof copy);
    shell("truncate -s %zu '%s/%s'", used_bytes(copy, last_segment(&f)) - 10, copy, last_segment(&f));
    expect(run("verify %s", copy) == 1 && says("but was on disk up to") && says("lost"), "the newest record is gone");
}

/* The end of the log is gone, although it was on disk. */
static void test_lost_end(const char *dir)
{
    struct files f = files_of(dir);
    const char *tail = last_segment(&f);
    size_t used = used_bytes(dir, tail);
    const size_t keep[] = {used - 10, used - 3000, 64, 0};
    for (size_t i = 0; i < sizeof keep / sizeof *keep; i++) {
        char copy[200];
        copy_store(dir, copy, sizeof copy);
        shell("truncate -s %zu '%s/%s'", keep[i], copy, tail);
        expect(run("verify %s", copy) == 1, "%zu bytes of the tail are left", keep[i]);
        expect(run("repair %s", copy) == 0 && says("Lost for good") && !says("altered"), "a log of %zu bytes is repaired", keep[i]);
        expect(run("verify %s", copy) == 0 && says("given up by a repair"), "what is left of %zu bytes is whole, and says what it lacks", keep[i]);
        if (keep[i] > 64) {
            flip(copy, "tree/entries", (strtoull(tail + 4, NULL, 16) - 1) * 32 + 5, 3); /* of the tail's first node */
            expect(run("repair %s", copy) == 0 && says("the root is as it was"), "a leaf of a node that is there is mended beside those of lost ones");
        }
        flip(copy, "tree/entries", used_bytes(copy, "tree/entries") - 5, 3);
        expect(run("repair %s", copy) == 0 && says("its root changes"), "one of a lost node is not, and the tree is made anew");
        expect(run("verify %s", copy) == 0, "after which the store is whole");
    }
}

/* Someone changes a value and corrects the checksum. */
static void test_altered(const char *dir)
{
    struct files f = files_of(dir);
    char copy[200];
    size_t n;
    const char *name = last_segment(&f);
    copy_store(dir, copy, sizeof copy);
    uint8_t *p = load(copy, name, &n);
    uint32_t size = get_u32(p + 64) & 0x7fffffff;
    p[64 + 8 + size - 1] ^= 1;
    put_u32(p + 68, crc32c(crc32c(0, p + 64, 4), p + 72, size));
    put(copy, name, 64, p + 64, 8 + size);
    free(p);
    expect(run("verify %s", copy) == 1 && says("altered"), "a node that was altered under a right checksum");
    expect(run("repair %s", copy) == 0 && says("altered"), "repair takes it out");
    expect(run("verify %s", copy) == 0, "and the rest is whole");
}

static void test_killed(struct server *s)
{
    for (int round = 0; round < 3; round++) {
        server_again(s);
        redisContext *r = server_connect(s, 2);
        write_some(r, 1000 + round * 100, 1060 + round * 100);
        for (int i = 0; i < 200; i++) redisAppendCommand(r, "SET key:%d under-way-%d", i, i); /* not waited for */
        int done = 0;
        (void)redisBufferWrite(r, &done);
        server_kill(s);
        redisFree(r);
        expect(run("verify %s", s->dir) == 0 && says("whole"), "a killed store is whole");
        expect(run("inspect %s", s->dir) == 0 && says("databases") && says(" keys, "), "and its keys can be counted");
    }
    struct files f = files_of(s->dir);
    char copy[200];
    copy_store(s->dir, copy, sizeof copy);
    const char *name = last_segment(&f);
    uint64_t end = (used_bytes(copy, name) + 7) & ~(uint64_t)3;
    put(copy, name, end, "\x60\0\0\0half a record", 17);
    expect(run("verify %s", copy) == 0 && says("torn tail"), "what a crash tore behind the last commit is a note");
    flip(copy, name, 64 + 20, 3);
    expect(run("verify %s", copy) == 1, "which hides no fault");
}

/* ---- repair ---- */

/* A sync mark that names a seq which cannot be, under a right checksum. */
static void test_absurd_mark(const char *dir)
{
    char copy[200];
    uint8_t slot[32];
    size_t n;
    copy_store(dir, copy, sizeof copy);
    uint8_t *p = load(copy, "log/synced", &n);
    memcpy(slot, p, sizeof slot);
    free(p);
    put_u64(slot + 8, 1ull << 62);
    put_u32(slot + 4, crc32c(0, slot + 8, sizeof slot - 8));
    put(copy, "log/synced", 0, slot, sizeof slot);
    expect(run("verify %s", copy) == 1 && says("was on disk up to seq 4611686018427387904"), "an absurd sync mark is a fault");
    expect(run("repair %s", copy) == 1 && says("cannot be: log and tree"), "and nothing that a repair would believe");
}

static void test_repair(struct server *s)
{
    struct files f = files_of(s->dir);
    char copy[200], kept[96];
    struct server again = *s;
    expect(run("repair %s", s->dir) == 0 && says("Nothing to repair"), "a whole store is left alone");
    copy_store(s->dir, copy, sizeof copy);
    const char *name = last_segment(&f);
    size_t n;
    uint8_t *p = load(copy, name, &n);
    uint64_t at = 64;
    for (int i = 0; i < 6; i++) at += (8 + (get_u32(p + at) & 0x7fffffff) + 3) & ~3ull;
    while (!(get_u32(p + at) & 0x80000000)) at += (8 + (get_u32(p + at) & 0x7fffffff) + 3) & ~3ull;
    uint64_t first = get_u64(p + at + 16); /* the first of a transaction's two */
    free(p);
    flip(copy, name, at + 30, 1);
    expect(run("repair --dry-run %s", copy) == 0 && says("nothing was changed"), "a dry run");
    expect(run("verify %s", copy) == 1, "changes nothing");
    expect(run("repair %s", copy) == 0 && says("Lost for good: 2 seqs") && says("kept aside"), "half a transaction goes with its other half");
    (void)snprintf(kept, sizeof kept, "%llu-%llu", (unsigned long long)first, (unsigned long long)first + 1);
    expect(says(kept), "and is named: %s", kept);
    expect(run("verify %s", copy) == 0 && says("given up by a repair"), "afterwards the store is whole, and says what it lacks");
    expect(run("inspect %s --node %llu", copy, (unsigned long long)first) == 2, "the lost node is not there");
    memcpy(again.dir, copy, strlen(copy) + 1);
    again.pid = 0;
    server_again(&again);
    redisContext *r = server_connect(&again, 2);
    redisReply *a = ask(r, "GET pair:a"), *b = ask(r, "GET pair:b");
    expect(a->str && b->str && strcmp(a->str, b->str) == 0, "a server takes it up, and pairs are pairs");
    expect(ask_int(r, "DBSIZE") > 50 && ask_ok(r, "SET after repair"), "with the keys, and takes writes");
    freeReplyObject(a);
    freeReplyObject(b);
    redisFree(r);
    server_stop(&again);
    expect(run("verify %s", copy) == 0, "and leaves it whole");
    shell("rm -f '%s.log'", copy);
}

static void test_repair_files(const char *dir)
{
    struct files f = files_of(dir);
    char copy[200];
    for (size_t i = 0; i < f.n; i++) {
        copy_store(dir, copy, sizeof copy);
        flip(copy, f.name[i], used_bytes(copy, f.name[i]) / 2, 2);
        expect(run("verify %s", copy) == 1, "%s is damaged", f.name[i]);
        expect(run("repair %s", copy) == 0, "%s is repaired", f.name[i]);
        expect(run("verify %s", copy) == 0, "after the repair of %s the store is whole", f.name[i]);
    }
}

/* ---- proofs ---- */

static void write_text(const char *path, const char *text, size_t n)
{
    FILE *f = fopen(path, "w");
    if (!f || fwrite(text, 1, n, f) != n) abort();
    fclose(f);
}

/* The whole of what a command replies with, as redis-cli prints it. */
static void cli(const struct server *s, const char *to, const char *command)
{
    shell("redis-cli -3 -p %d %s > %s", s->port, command, to);
}

/* Changes the member's value in every digit position's first place and expects refusal. */
static void tamper(const char *path, const char *member, const char *digits)
{
    size_t n;
    char dir[] = "/", what[40], bad[300];
    uint8_t *p = load(dir, path + 1, &n);
    p[n] = 0;
    (void)snprintf(what, sizeof what, "\"%s\":", member);
    char *at = strstr((char *)p, what);
    (void)snprintf(bad, sizeof bad, "%s.bad", path);
    expect(at != NULL, "the proof has %s", member);
    if (at) {
        at += strlen(what);
        at += strcspn(at, digits);
        *at = *at == digits[0] ? digits[1] : digits[0];
        write_text(bad, (char *)p, n);
        expect(run("verify-proof %s", bad) == 1 && strncmp(output, "INVALID:", 8) == 0, "a proof whose %s was changed", member);
    }
    free(p);
}

static void test_server_proofs(const struct server *s)
{
    static const char *const inclusion[] = {"index", "leaf", "root", "path", "node"}, *const consistency[] = {"from", "from_root", "to_root", "path"};
    char p[200], c[200], node[200], root[65] = "";
    (void)snprintf(p, sizeof p, "%s.proof", s->dir);
    (void)snprintf(c, sizeof c, "%s.consistency", s->dir);
    (void)snprintf(node, sizeof node, "%s.node", s->dir);
    redisContext *r = server_connect(s, 3);
    redisReply *v = ask(r, "DHEAD"), *m = map_get(v, "root");
    if (m && m->str) (void)snprintf(root, sizeof root, "%s", m->str);
    freeReplyObject(v);
    redisFree(r);
    cli(s, p, "--json DPROVE INCLUSION key:user:7");
    cli(s, c, "--json DPROVE CONSISTENCY 77 500");
    cli(s, node, "DNODE key:user:7 RAW");
    expect(run("verify-proof %s", p) == 0 && strncmp(output, "valid: this node", 16) == 0, "an inclusion proof as redis-cli prints it");
    expect(run("verify-proof --root %s --node %s %s", root, node, p) == 0 && says("the trusted root"), "with root and node");
    expect(run("verify-proof < %s", c) == 0 && strncmp(output, "valid:", 6) == 0, "a consistency proof from standard input");
    root[5] = root[5] == '0' ? '1' : '0';
    expect(run("verify-proof --root %s %s", root, p) == 1, "another root");
    cli(s, node, "DNODE key:user:8 RAW");
    expect(run("verify-proof --node %s %s", node, p) == 1 && strncmp(output, "INVALID:", 8) == 0, "another node");
    expect(run("verify-proof --size 3 %s", p) == 1, "another size");
    for (size_t i = 0; i < 5; i++) tamper(p, inclusion[i], i == 0 ? "12" : i == 4 ? "{x" : "ab");
    for (size_t i = 0; i < 4; i++) tamper(c, consistency[i], i == 0 ? "78" : "ab");
    write_text(p, "{\"index\":1}", 11);
    expect(run("verify-proof %s", p) == 1, "no proof at all");
    expect(run("verify-proof /nowhere") == 2 && run("verify-proof --root abc %s", p) == 2, "questions that make no sense");
    shell("rm -f '%s'.*", s->dir);
}

static void add_hash(FILE *f, const char *name, const uint8_t *hash)
{
    char hex[65];
    hex_encode(hex, hash, 32);
    fprintf(f, ",\"%s\":\"%s\"", name, hex);
}

static void add_path(FILE *f, const struct tree_proof *p)
{
    char hex[65];
    fprintf(f, ",\"path\":[");
    for (uint32_t i = 0; i < p->n; i++) hex_encode(hex, p->hash[i], 32), fprintf(f, "%s\"%s\"", i ? "," : "", hex);
    fprintf(f, "]}\n");
}

/* Proofs made by the RFC's recursive definitions: small sizes all, and some large ones. */
static void test_reference_proofs(const char *path)
{
    struct ref ref;
    uint8_t root[HASH_BYTES], other[HASH_BYTES], leaf[HASH_BYTES];
    ref_init(&ref, 1000);
    for (uint64_t size = 1; size <= 1000; size = size < 9 ? size + 1 : size * 3 + 2) {
        for (uint64_t i = 0; i < size; i += 1 + size / 7) {
            struct tree_proof in = {.n = 0}, co = {.n = 0};
            ref_mth(&ref, 0, size, root);
            ref_mth(&ref, i, 1, leaf);
            ref_mth(&ref, 0, i + 1, other);
            ref_path(&ref, i, 0, size, &in);
            if (i + 1 < size) ref_subproof(&ref, i + 1, 0, size, true, &co);
            FILE *f = fopen(path, "w");
            fprintf(f, "{\"size\":%llu,\"index\":%llu,\"more\":{\"a\":[1,null,\"x\\\"\"]}", (unsigned long long)size, (unsigned long long)i);
            add_hash(f, "leaf", leaf), add_hash(f, "root", root), add_path(f, &in);
            fclose(f);
            expect(run("verify-proof %s", path) == 0, "inclusion of %llu in %llu", (unsigned long long)i, (unsigned long long)size);
            f = fopen(path, "w");
            fprintf(f, "{\"to\":%llu,\"from\":%llu", (unsigned long long)size, (unsigned long long)i + 1);
            add_hash(f, "from_root", other), add_hash(f, "to_root", root), add_path(f, &co);
            fclose(f);
            expect(run("verify-proof - < %s", path) == 0, "consistency of %llu with %llu", (unsigned long long)i + 1, (unsigned long long)size);
        }
    }
    ref_fini(&ref);
    shell("rm -f '%s'", path);
}

/* ---- inspect, usage ---- */

static void test_inspect(const char *dir)
{
    struct files f = files_of(dir);
    uint8_t hash[HASH_BYTES];
    char hex[65];
    size_t n;
    uint8_t *p = load(dir, last_segment(&f), &n);
    uint64_t seq = get_u64(p + 64 + 16);
    blake2b_256(hash, p + 72, get_u32(p + 64) & 0x7fffffff);
    hex_encode(hex, hash, 32);
    free(p);
    expect(run("inspect %s", dir) == 0 && says("store ") && says("compacted") && says("level") && says("of them documents") && says("\n   20  1 keys"), "the summary");
    expect(run("inspect %s --node %llu", dir, (unsigned long long)seq) == 0 && says(hex) && says("payload"), "a node with its hash");
    expect(run("inspect %s --node %llu --raw | b2sum -l 256", dir, (unsigned long long)seq) == 0 && says(hex), "whose bytes give its name");
    expect(run("inspect %s --segment 1", dir) == 0 && says("user:7") && says("document"), "a segment by number");
    expect(run("inspect %s --segment %s", dir, last_segment(&f)) == 0 && says("pair:a"), "and by name");
    for (size_t i = 0; i < f.n; i++)
        if (ends_with(f.name[i], ".run")) expect(run("inspect %s --run %s", dir, f.name[i]) == 0 && says("entries") && says("\\xff\\xff"), "a run, and no bytes that spoil a terminal");
    expect(run("inspect %s --node 999999999", dir) == 2 && run("inspect %s --segment 99", dir) == 2, "what is not there");
}

static void test_usage(void)
{
    expect(run("--version") == 0 && strncmp(output, "varve ", 6) == 0, "--version");
    expect(run("help") == 0 && says("verify-proof") && run("help repair") == 0 && says("--dry-run"), "help");
    expect(run("%s", "") == 2 && run("frobnicate") == 2 && says("not a command"), "unknown commands");
    expect(run("verify") == 2 && run("verify --quickly") == 2 && run("verify --quickly /tmp") == 2 && says("--quickly") && run("verify-proof --leaf x") == 2 && says("unknown option"), "unknown options");
    expect(run("inspect /tmp --raw") == 2 && run("repair") == 2 && run("help frobnicate") == 2, "and what makes no sense");
}

int main(void)
{
    const char *build = getenv("VARVE_BUILD");
    struct server s;
    (void)snprintf(tool, sizeof tool, "%s/varve", build ? build : "build");
    test_usage();
    make_store(&s);
    test_server_proofs(&s);
    test_whole(&s);
    test_inspect(s.dir);
    test_flips(s.dir);
    test_missing(s.dir);
    test_lost_end(s.dir);
    test_altered(s.dir);
    test_repair(&s);
    test_repair_files(s.dir);
    test_absurd_mark(s.dir);
    test_killed(&s);
    char path[200];
    (void)snprintf(path, sizeof path, "%s.reference", s.dir);
    test_reference_proofs(path);
    shell("rm -rf '%s.copy' '%s.log'", s.dir, s.dir);
    server_remove(&s);
    printf("tool: %d passed, %d failed\n", checks - failures, failures);
    return failures ? 1 : 0;
}
