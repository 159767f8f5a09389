/* A query, a parameter and a document, parted by bytes 0: whatever parses prints to a text that parses to the same, and can be asked about the
 * document; bounds never leave out a row that matches; rows order as their keys do. */
#include "modules/doc/nql.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(e) ((e) ? (void)0 : abort())

static slice part(const uint8_t **p, const uint8_t *end)
{
    const uint8_t *first = *p, *zero = first < end ? memchr(first, 0, (size_t)(end - first)) : NULL;
    *p = zero ? zero + 1 : end;
    return slice_of(first, (size_t)((zero ? zero : end) - first));
}

static bool is_within(const struct nql_bounds *b, slice v)
{
    bool found = false;
    for (size_t i = 0; b->kind == NQL_BOUNDS_POINTS && i < b->n; i++) found |= json_compare(b->points[i], v) == 0;
    if (b->kind != NQL_BOUNDS_RANGE) return b->kind == NQL_BOUNDS_ALL || found;
    int lo = b->has_lo ? json_compare(v, b->lo) : 1, hi = b->has_hi ? json_compare(v, b->hi) : -1;
    return lo >= !!b->lo_open && hi <= -!!b->hi_open;
}

static void check_bounds(const struct nql_query *q, const struct nql_row *row)
{
    struct buf value = {0};
    for (uint32_t i = 0; i < q->n_paths; i++) {
        struct nql_bounds b;
        nql_bounds(q, i, &b);
        for (size_t k = 1; b.kind == NQL_BOUNDS_POINTS && k < b.n; k++) MUST(json_compare(b.points[k - 1], b.points[k]) < 0);
        buf_clear(&value);
        if (!nql_value_json(q, row, i, &value)) buf_add_str(&value, "null");
        if (nql_match(q, row)) MUST(is_within(&b, buf_slice(&value)));
        nql_bounds_fini(&b);
    }
    buf_fini(&value);
}

static void check_groups(const struct nql_query *q, const struct nql_row *row)
{
    struct nql_column column[NQL_GROUP_MAX + NQL_AGGREGATES_MAX];
    struct nql_groups *g = nql_groups_new(q);
    for (int i = 0; i < 3; i++) MUST(nql_groups_add(g, &row[i & 1]) == E_OK);
    while (nql_groups_finish(g, 1) == E_AGAIN) continue;
    while (nql_groups_next(g, column) == E_OK)
        for (uint32_t i = 0; i < q->n_group + q->n_aggregates; i++) MUST(json_check(column[i].json, NULL, NULL) == E_OK);
    nql_groups_free(&g);
}

static void check_rows(const struct nql_query *q, slice json)
{
    static const uint8_t hash[HASH_BYTES] = {1, 2, 3};
    struct nql_row row[2] = {{.json = json, .key = slice_str("c:a"), .seq = 5, .hash = hash, .by = slice_str("\xff")},
                             {.json = slice_str("{\"a\":[1,{\"b\":\"x\"}],\"b\":5}"), .key = slice_str("c:b"), .ver = 2, .ts_ms = 7, .from = slice_str("f")}};
    struct buf key[2] = {{0}, {0}}, fields = {0};
    for (int i = 0; i < 2; i++) check_bounds(q, &row[i]);
    if (q->grouped) check_groups(q, row);
    for (int i = 0; i < 2 && !q->grouped; i++) nql_sort_key(q, &row[i], &key[i]);
    if (!q->grouped) MUST((nql_compare_rows(q, &row[0], &row[1]) < 0) == (slice_cmp(buf_slice(&key[0]), buf_slice(&key[1])) < 0));
    if (q->n_fields) {
        nql_project(q, &row[0], &fields);
        MUST(json_check(buf_slice(&fields), NULL, NULL) == E_OK);
    }
    buf_fini(&key[0]), buf_fini(&key[1]), buf_fini(&fields);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *p = data, *end = data + size;
    slice text = part(&p, end), value = part(&p, end), json = part(&p, end), trimmed;
    struct nql_param param = {slice_str("p"), value};
    struct nql_query *q = NULL, *again = NULL;
    struct nql_fault fault = {.at = SIZE_MAX};
    struct buf once = {0}, twice = {0};
    size_t n = text.n && memmem(text.p, text.n, "$p", 2) != NULL;
    if (nql_parse(text, &param, n, &q, &fault) != E_OK) {
        MUST(fault.at <= text.n && fault.why[0] && strlen(fault.why) < NQL_WHY_MAX);
        return 0;
    }
    nql_print(q, false, &once);
    MUST(once.n > NQL_BYTES_MAX || nql_parse(buf_slice(&once), NULL, 0, &again, &fault) == E_OK);
    if (again) nql_print(again, false, &twice);
    MUST(!again || slice_eq(buf_slice(&once), buf_slice(&twice)));
    check_rows(q, json_check(json, &trimmed, NULL) == E_OK ? trimmed : (slice){0});
    nql_free(&q);
    nql_free(&again);
    buf_fini(&once), buf_fini(&twice);
    return 0;
}
