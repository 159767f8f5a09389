/* Nodes, link keys and records: round trips, canonical form, every flipped bit and every cut found. */
#include "engine/node.h"

#include "base/codec.h"
#include "base/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

static const uint8_t hash_a[HASH_BYTES] = {1, 2, 3, 4};
static uint8_t causes[2 * 40];

static struct node plain(void)
{
    struct node n = {
        .op = NODE_PUT, .type = TYPE_STRING, .space = SPACE_KEY, .lineage = 3, .seq = 77, .ts_ms = 1700000000123, .prev = 12};
    memset(n.salt, 0x5a, sizeof n.salt);
    n.ver = 300;
    n.flags = NODE_CREATED | NODE_ENC_RAW;
    n.key = slice_str("user:1");
    n.payload = slice_str("value");
    return n;
}

static struct node full(void)
{
    struct node n = plain();
    put_u64(causes, 5);
    memset(causes + 8, 0xc1, 32);
    put_u64(causes + 40, 9);
    memset(causes + 48, 0xc2, 32);
    n.type = TYPE_DOCUMENT;
    n.prev_hash = hash_a;
    n.commit_pos = 200;
    n.expire_ms = 1800000000000;
    n.has_valid = true;
    n.valid_from = INT64_MIN;
    n.valid_to = INT64_MAX;
    n.causes = causes;
    n.n_causes = 2;
    n.by = slice_str("alice");
    n.note = slice_str("because");
    n.idem = slice_str("token-1");
    return n;
}

static size_t encode(const struct node *n, uint8_t *out)
{
    uint8_t *end = node_encode(n, out);
    assert_int_equal(end - out, node_size(n));
    return node_size(n);
}

static void assert_same_fields(const struct node *a, const struct node *b)
{
    assert_int_equal(a->op, b->op);
    assert_int_equal(a->type, b->type);
    assert_int_equal(a->space, b->space);
    assert_int_equal(a->lineage, b->lineage);
    assert_true(a->seq == b->seq && a->prev == b->prev && a->ver == b->ver && a->ts_ms == b->ts_ms);
    assert_memory_equal(a->salt, b->salt, NODE_SALT_BYTES);
    assert_int_equal(a->commit_pos, b->commit_pos);
    assert_true(a->expire_ms == b->expire_ms && a->has_valid == b->has_valid);
    assert_true(a->valid_from == b->valid_from && a->valid_to == b->valid_to);
    assert_int_equal(a->n_causes, b->n_causes);
    assert_true(slice_eq(a->by, b->by) && slice_eq(a->note, b->note) && slice_eq(a->idem, b->idem));
    assert_true(slice_eq(a->key, b->key) && slice_eq(a->payload, b->payload));
    assert_true(!a->prev_hash == !b->prev_hash);
}

static void test_round_trip(void **state)
{
    uint8_t raw[1024], again[1024];
    struct node from[2] = {plain(), full()}, to;
    for (int i = 0; i < 2; i++) {
        size_t n = encode(&from[i], raw);
        assert_int_equal(node_decode(slice_of(raw, n), &to), E_OK);
        assert_same_fields(&from[i], &to);
        assert_int_equal(encode(&to, again), n);
        assert_memory_equal(raw, again, n);
    }
    struct node_ref r;
    node_cause(&to, 1, &r);
    assert_int_equal(r.seq, 9);
    assert_int_equal(r.hash[31], 0xc2);
    assert_memory_equal(to.prev_hash, hash_a, HASH_BYTES);
}

static void test_extremes(void **state)
{
    struct node n = {.op = NODE_FLUSH,
                     .lineage = NODE_ALL_LINEAGES,
                     .seq = UINT64_MAX,
                     .prev = UINT64_MAX - 1,
                     .ver = UINT64_MAX},
                out;
    n.ts_ms = (1ull << 48) - 1;
    uint8_t small[128];
    size_t size = encode(&n, small);
    assert_int_equal(node_decode(slice_of(small, size), &out), E_OK);
    assert_true(out.ver == UINT64_MAX && out.key.n == 0 && out.payload.n == 0);

    uint8_t *key = calloc(1, NODE_KEY_MAX), *note = calloc(1, NODE_NOTE_MAX), *many = calloc(NODE_CAUSES_MAX, 40);
    struct node big = plain();
    big.key = slice_of(key, NODE_KEY_MAX);
    big.note = slice_of(note, NODE_NOTE_MAX);
    big.causes = many;
    big.n_causes = NODE_CAUSES_MAX;
    uint8_t *raw = malloc(node_size(&big));
    size = encode(&big, raw);
    assert_int_equal(node_decode(slice_of(raw, size), &out), E_OK);
    assert_int_equal(out.key.n, NODE_KEY_MAX);
    assert_int_equal(out.n_causes, NODE_CAUSES_MAX);
    free(raw), free(key), free(note), free(many);
}

/* Whatever decodes has one spelling: a changed byte is refused or means another node that encodes to just these bytes. */
static void test_canonical(void **state)
{
    uint8_t raw[1024], bad[1024], again[2048];
    struct node n = full(), out;
    size_t size = encode(&n, raw);
    for (size_t i = 0; i < size; i++)
        for (unsigned v = 0; v < 256; v++) {
            memcpy(bad, raw, size);
            bad[i] = (uint8_t)v;
            if (node_decode(slice_of(bad, size), &out)) continue;
            assert_int_equal(encode(&out, again), size);
            assert_memory_equal(bad, again, size);
        }
}

static void test_refuses(void **state)
{
    uint8_t raw[1024];
    struct node n = full(), out;
    size_t size = encode(&n, raw);
    size_t fixed = size - n.payload.n;
    for (size_t cut = 0; cut < fixed; cut++) {
        uint8_t *exact = malloc(cut ? cut : 1);
        memcpy(exact, raw, cut);
        assert_int_equal(node_decode(slice_of(exact, cut), &out), E_CORRUPT);
        free(exact);
    }
    raw[0] = NODE_VERSION + 1;
    assert_int_equal(node_decode(slice_of(raw, size), &out), E_VERSION);
    raw[0] = 0;
    assert_int_equal(node_decode(slice_of(raw, size), &out), E_CORRUPT);
    raw[0] = NODE_VERSION, raw[3] |= 0x80; /* a flag nobody knows */
    assert_int_equal(node_decode(slice_of(raw, size), &out), E_CORRUPT);
    raw[3] &= 0x7f;
    assert_int_equal(node_decode(slice_of(raw, size), &out), E_OK);
    put_u64(raw + 38, n.seq); /* its own predecessor */
    assert_int_equal(node_decode(slice_of(raw, size), &out), E_CORRUPT);
}

static void test_kinds(void **state)
{
    struct node n = {0};
    static const struct {
        uint8_t op;
        bool base, live;
    } want[] = {{NODE_PUT, 1, 1},    {NODE_EFFECT, 0, 1}, {NODE_META, 0, 1}, {NODE_DELETE, 1, 0},
                {NODE_EXPIRE, 1, 0}, {NODE_FLUSH, 0, 0},  {NODE_SWAP, 0, 0}, {NODE_FILLER, 0, 0}};
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        n.op = want[i].op;
        assert_int_equal(node_is_base(&n), want[i].base);
        assert_int_equal(node_is_live(&n), want[i].live);
        assert_string_not_equal(node_op_name(n.op), "?");
    }
    assert_string_equal(node_op_name(0), "?");
    assert_string_equal(node_op_name(9), "?");
    assert_string_equal(node_op_name(NODE_EFFECT), "effect");
}

static void test_link_key(void **state)
{
    struct buf b = {0};
    slice f, r, t;
    link_key(&b, slice_str("from:1"), slice_str(""), slice_str("to"));
    assert_int_equal(link_key_parse(buf_slice(&b), &f, &r, &t), E_OK);
    assert_true(slice_eq(f, slice_str("from:1")) && r.n == 0 && slice_eq(t, slice_str("to")));
    for (size_t n = 0; n < b.n; n++) assert_int_equal(link_key_parse(slice_of(b.p, n), &f, &r, &t), E_CORRUPT);
    buf_add_byte(&b, 'x');
    assert_int_equal(link_key_parse(buf_slice(&b), &f, &r, &t), E_CORRUPT);
    buf_fini(&b);
}

static size_t make_record(uint8_t *rec, const struct node *n, bool more)
{
    size_t size = encode(n, rec + RECORD_HEADER_BYTES);
    put_u32(rec, record_seal(rec, size, more));
    return record_size(size);
}

/* One whose commit went on for `cut` nodes that were dropped. */
static size_t make_cut_record(uint8_t *rec, const struct node *n, uint32_t cut)
{
    size_t size = encode(n, rec + RECORD_HEADER_BYTES);
    put_u32(rec, record_seal_cut(rec, size, cut));
    return record_bytes(get_u32(rec));
}

static void test_record(void **state)
{
    uint8_t rec[1024] __attribute__((aligned(4)));
    struct node n = plain();
    struct log_record r;
    for (unsigned i = 0; i < 12; i++) {
        n.payload = slice_of("12345678", (size_t)i % 8);
        memset(rec, 0xff, sizeof rec);
        uint32_t want = i < 8 ? 0 : i == 11 ? RECORD_CUT_MAX : i - 7;
        size_t total = want ? make_cut_record(rec, &n, want) : make_record(rec, &n, i & 1);
        assert_int_equal(total, record_size(node_size(&n)) + (want ? RECORD_CUT_BYTES : 0));
        assert_int_equal(total % 4, 0);
        assert_int_equal(record_check(slice_of(rec, total), &r), E_OK);
        assert_int_equal(r.size, total);
        assert_int_equal(r.more, want == 0 && (i & 1));
        assert_int_equal(r.cut, want);
        assert_int_equal(r.node.n, node_size(&n));
        for (size_t bit = 0; bit < total * 8; bit++) {
            rec[bit / 8] ^= (uint8_t)(1 << bit % 8);
            assert_int_equal(record_check(slice_of(rec, total), &r), E_CORRUPT);
            rec[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        for (size_t cut = 1; cut < total; cut++)
            assert_int_equal(record_check(slice_of(rec, cut), &r), E_CORRUPT);
    }
    assert_int_equal(record_check(slice_of(rec, 0), &r), E_END);
    memset(rec, 0, sizeof rec);
    assert_int_equal(record_check(slice_of(rec, 64), &r), E_END);
}

/* Marks that nothing writes are refused although the checksum fits. */
static void test_record_marks(void **state)
{
    uint8_t rec[256] __attribute__((aligned(4))) = {0};
    struct node n = plain();
    struct log_record r;
    size_t total = make_cut_record(rec, &n, 3), node_bytes = node_size(&n);
    uint8_t *cut = rec + record_size(node_bytes);
    for (int i = 0; i < 3; i++) {
        put_u32(rec, (uint32_t)node_bytes | RECORD_CUT | (i == 2 ? RECORD_MORE : 0));
        put_u32(cut, i == 0 ? 0 : i == 1 ? RECORD_CUT_MAX + 1 : 3);
        uint32_t crc = crc32c(crc32c(0, rec, 4), rec + RECORD_HEADER_BYTES, node_bytes);
        put_u32(rec + 4, crc32c(crc, cut, RECORD_CUT_BYTES));
        assert_int_equal(record_check(slice_of(rec, total), &r), E_CORRUPT);
    }
}

/* The example in src/docs/format.md is made by this code; the test reads it from there. */
static void test_documented_example(void **state)
{
    FILE *f = fopen("src/docs/format.md", "r");
    assert_non_null(f);
    char line[256];
    uint8_t doc[256];
    size_t n = 0;
    bool in = false;
    while (fgets(line, sizeof line, f)) {
        if (strstr(line, "<!-- example: record -->")) in = true;
        if (strstr(line, "<!-- end -->")) in = false;
        unsigned off;
        int used;
        if (!in || sscanf(line, "%4x:%n", &off, &used) != 1) continue;
        assert_int_equal(off, n);
        for (const char *p = line + used; n < sizeof doc; n++) {
            while (*p == ' ') p++;
            if (!hex_decode(doc + n, p, 1)) break;
            p += 2;
        }
    }
    fclose(f);

    struct node example = {
        .op = NODE_PUT, .type = TYPE_STRING, .flags = NODE_CREATED, .seq = 1, .ver = 1, .ts_ms = 1700000000000};
    for (int i = 0; i < NODE_SALT_BYTES; i++) example.salt[i] = (uint8_t)(0xa0 + i);
    example.expire_ms = 1700000060000;
    example.key = slice_str("greeting");
    example.payload = slice_str("hello");
    uint8_t rec[256] __attribute__((aligned(4)));
    size_t size = make_record(rec, &example, false);
    if (size != n || memcmp(rec, doc, n) != 0) {
        printf("the example is now:\n");
        for (size_t i = 0; i < size; i++) {
            if (i % 16 == 0) printf(i ? "\n%04x:" : "%04x:", (unsigned)i);
            printf(" %02x", rec[i]);
        }
        printf("\n");
        fail();
    }
    uint8_t hash[HASH_BYTES];
    char hex[2 * HASH_BYTES + 1];
    blake2b_256(hash, rec + RECORD_HEADER_BYTES, node_size(&example));
    hex_encode(hex, hash, HASH_BYTES);
    f = fopen("src/docs/format.md", "r");
    bool found = false;
    while (fgets(line, sizeof line, f)) found |= strstr(line, hex) != NULL;
    fclose(f);
    if (!found) printf("its hash is now %s\n", hex);
    assert_true(found);
}

/* A figure for the log of the build, not a limit: machines differ. */
static void test_speed(void **state)
{
    uint8_t rec[256] __attribute__((aligned(4)));
    struct node n = plain();
    n.payload = slice_str("abc");
    struct timespec a, b;
    uint32_t sum = 0;
    enum { ROUNDS = 200000 };
    clock_gettime(CLOCK_MONOTONIC, &a);
    for (int i = 0; i < ROUNDS; i++) {
        n.seq = 100 + (uint64_t)i;
        size_t size = node_size(&n);
        node_encode(&n, rec + RECORD_HEADER_BYTES);
        sum += record_seal(rec, size, false) + rec[4];
    }
    clock_gettime(CLOCK_MONOTONIC, &b);
    double ns = ((double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec)) / ROUNDS;
    printf("encode and seal 3 bytes: %.0f ns (%u)\n", ns, sum & 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_extremes),
        cmocka_unit_test(test_canonical),  cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_kinds),      cmocka_unit_test(test_link_key),
        cmocka_unit_test(test_record),
        cmocka_unit_test(test_record_marks),     cmocka_unit_test(test_documented_example),
        cmocka_unit_test(test_speed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
