/* One segment: header, names, the open table, sealing, references. */
#include "logwork.h"

#include "engine/segment.h"

static void test_header(void **state)
{
    uint8_t raw[SEGMENT_HEADER_BYTES];
    struct segment_header h = {.first_seq = 17,
                               .generation = 3,
                               .created_ms = 1234567,
                               .flags = SEGMENT_COMPACTED,
                               .records = 99},
                          out;
    memcpy(h.store_id, work_store, 16);
    segment_header_encode(&h, raw);
    assert_int_equal(segment_header_decode(slice_of(raw, sizeof raw), &out), E_OK);
    assert_memory_equal(&h, &out, sizeof h);
    for (size_t bit = 0; bit < sizeof raw * 8; bit++) {
        raw[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(segment_header_decode(slice_of(raw, sizeof raw), &out), E_CORRUPT);
        raw[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t n = 0; n < sizeof raw; n++) assert_int_equal(segment_header_decode(slice_of(raw, n), &out), E_CORRUPT);
    put_u16(raw + 8, SEGMENT_VERSION + 1);
    put_u32(raw + 60, crc32c(0, raw, 60));
    assert_int_equal(segment_header_decode(slice_of(raw, sizeof raw), &out), E_VERSION);
}

/* The header in src/docs/format.md. */
static void test_documented_header(void **state)
{
    uint8_t raw[SEGMENT_HEADER_BYTES], doc[SEGMENT_HEADER_BYTES];
    struct segment_header h = {.first_seq = 1, .created_ms = 1700000000000};
    for (int i = 0; i < 16; i++) h.store_id[i] = (uint8_t)(0xb0 + i);
    segment_header_encode(&h, raw);
    FILE *f = fopen("src/docs/format.md", "r");
    char line[256];
    bool in = false;
    size_t n = 0;
    assert_non_null(f);
    while (fgets(line, sizeof line, f)) {
        if (strstr(line, "<!-- example: segment -->")) in = true;
        if (strstr(line, "<!-- end -->")) in = false;
        unsigned off;
        int used;
        if (!in || sscanf(line, "%4x:%n", &off, &used) != 1) continue;
        assert_int_equal(off, n);
        for (const char *p = line + used + 1; n < sizeof doc && hex_decode(doc + n, p, 1); n++, p += 3) continue;
    }
    fclose(f);
    if (n != sizeof doc || memcmp(raw, doc, n) != 0) {
        for (size_t i = 0; i < sizeof raw; i++) {
            if (i % 16 == 0) printf(i ? "\n%04x:" : "%04x:", (unsigned)i);
            printf(" %02x", raw[i]);
        }
        fail();
    }
}

static void test_names(void **state)
{
    char name[SEGMENT_NAME_BYTES];
    uint64_t first;
    uint32_t gen;
    bool sidecar;
    segment_name(name, 0x1f, 2, "seg");
    assert_string_equal(name, "000000000000001f-0002.seg");
    assert_true(segment_name_parse(name, &first, &gen, &sidecar));
    assert_true(first == 0x1f && gen == 2 && !sidecar);
    segment_name(name, UINT64_MAX, UINT32_MAX, "idx");
    assert_true(segment_name_parse(name, &first, &gen, &sidecar));
    assert_true(first == UINT64_MAX && gen == UINT32_MAX && sidecar);
    static const char *const bad[] = {
        "",
        "x",
        "000000000000001f-0002.tmp",
        "000000000000001F-0002.seg",
        "1f-2.seg",
        "000000000000001f-0002.seg.tmp",
        "000000000000001f-0002seg",
        "0000000000000000-0000.seg",
        "../000000000001f-0002.seg",
        "000000000000001f-00002.seg",
        "000000000000001f--002.seg",
        "000000000000001f-0002.segaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) assert_false(segment_name_parse(bad[i], &first, &gen, &sidecar));
}

static struct segment *make(struct os *os, uint64_t first_seq)
{
    const struct seg_id id = {.first_seq = first_seq};
    char name[SEGMENT_NAME_BYTES];
    struct buf path = {0};
    struct os_file *f;
    segment_name(name, first_seq, 0, "seg");
    assert_int_equal(os_mkdir(os, "/d"), E_OK);
    assert_int_equal(os_open(os, segment_path(&path, "/d", name), OS_WRITE, &f), E_OK);
    buf_fini(&path);
    return segment_new(os, "/d", &f, &id, SEGMENT_BYTES_MIN);
}

static void check_places(const struct segment *s, uint64_t first, uint64_t last)
{
    struct sidecar_place at;
    struct buf mem = {0};
    struct log_record r;
    for (uint64_t seq = first; seq <= last; seq++) {
        assert_int_equal(segment_locate(s, seq, &at), E_OK);
        assert_int_equal(at.seq, seq);
        assert_int_equal(at.more, seq != work_commit_last(seq));
        assert_int_equal(segment_read(s, &at, &mem, &r), E_OK);
        assert_true(work_is(seq, r.node));
    }
    assert_int_equal(segment_ceiling(s, last + 1, &at), E_END);
    assert_int_equal(segment_ceiling(s, 1, &at), E_OK);
    assert_int_equal(at.seq, first);
    assert_int_equal(segment_locate(s, last + 1, &at), s->side ? E_CORRUPT : E_NOTFOUND);
    buf_fini(&mem);
}

static void test_open_and_sealed(void **state)
{
    struct os *os = os_memory_new();
    struct segment *s = make(os, 11), *sealed;
    struct sidecar *side;
    struct buf b = {0};
    for (uint64_t seq = 11; seq <= 9000; seq++) { /* over the first chunk of the table */
        work_add(&b, seq);
        if (seq % 10) continue;
        assert_int_equal(segment_append(s, buf_slice(&b), 10), E_OK);
        buf_clear(&b);
        if (seq % 1000 == 0) check_places(s, 11, seq);
    }
    assert_int_equal(segment_count(s), 8990);
    assert_int_equal(segment_write_sidecar(s, work_store), E_OK);
    assert_int_equal(sidecar_open(os, "/d/000000000000000b-0000.idx", &side), E_OK);
    assert_int_equal(segment_sealed(os, "/d", &s->id, &side, &sealed), E_OK);
    assert_null(side);
    check_places(sealed, 11, 9000);
    assert_true(segment_end(s) == segment_end(sealed) && segment_count(sealed) == 8990 && !segment_is_lossy(sealed));
    segment_unref(&s);
    check_places(sealed, 11, 9000);

    /* the last reference removes what is doomed, not an earlier one */
    struct segment *other = segment_ref(sealed);
    uint64_t size;
    sealed->doomed = true;
    segment_unref(&sealed);
    check_places(other, 11, 9000);
    segment_unref(&other);
    struct os_file *f = NULL;
    assert_int_equal(os_open(os, "/d/000000000000000b-0000.seg", OS_READ, &f), E_NOTFOUND);
    assert_int_equal(os_open(os, "/d/000000000000000b-0000.idx", OS_READ, &f), E_NOTFOUND);
    (void)size;
    buf_fini(&b);
    os_free(&os);
}

static void test_failed_append_leaves_the_books(void **state)
{
    struct os *os = os_sim_new(4);
    struct segment *s = make(os, 1);
    struct buf b = {0};
    for (uint64_t seq = 1; seq <= 10; seq++) work_add(&b, seq);
    assert_int_equal(segment_append(s, buf_slice(&b), 10), E_OK);
    uint64_t end = segment_end(s);
    os_sim_set(os, &(struct os_sim_faults){.fail_write_at = os_sim_events(os) + 1, .seed = 3});
    buf_clear(&b);
    for (uint64_t seq = 11; seq <= 20; seq++) work_add(&b, seq);
    assert_int_equal(segment_append(s, buf_slice(&b), 10), E_IO);
    assert_true(segment_end(s) == end && segment_count(s) == 10);
    check_places(s, 1, 10);
    segment_unref(&s);
    buf_fini(&b);
    os_free(&os);
}

static void test_read_finds_damage(void **state)
{
    struct os *os = os_sim_new(4);
    struct segment *s = make(os, 1);
    struct sidecar_place at;
    struct buf b = {0}, mem = {0};
    struct log_record r;
    for (uint64_t seq = 1; seq <= 10; seq++) work_add(&b, seq);
    assert_int_equal(segment_append(s, buf_slice(&b), 10), E_OK);
    for (uint64_t seq = 1; seq <= 10; seq++) {
        assert_int_equal(segment_locate(s, seq, &at), E_OK);
        for (uint64_t off = at.offset; off < at.end; off++) {
            assert_int_equal(os_sim_flip(os, "/d/0000000000000001-0000.seg", off, off % 8), E_OK);
            assert_int_equal(segment_read(s, &at, &mem, &r), E_CORRUPT);
            assert_int_equal(os_sim_flip(os, "/d/0000000000000001-0000.seg", off, off % 8), E_OK);
        }
        assert_int_equal(segment_read(s, &at, &mem, &r), E_OK);
        at.seq++; /* a record in the place of another */
        assert_int_equal(segment_read(s, &at, &mem, &r), E_CORRUPT);
    }
    segment_unref(&s);
    buf_fini(&b), buf_fini(&mem);
    os_free(&os);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_header),
        cmocka_unit_test(test_documented_header),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_open_and_sealed),
        cmocka_unit_test(test_failed_append_leaves_the_books),
        cmocka_unit_test(test_read_finds_damage),
    };
    log_set_level(LOG_NOTHING);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
