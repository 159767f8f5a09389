/* Any bytes as a node, as a record and as a link key: nothing is read outside them, and what decodes has exactly one spelling. */
#include "base/codec.h"
#include "engine/node.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_node(slice raw)
{
    struct node n;
    struct node_ref ref;
    if (node_decode(raw, &n)) return;
    uint8_t *again = malloc(raw.n);
    ASSERT(node_size(&n) == raw.n);
    ASSERT(node_encode(&n, again) == again + raw.n);
    ASSERT(memcmp(again, raw.p, raw.n) == 0);
    for (uint32_t i = 0; i < n.n_causes; i++) node_cause(&n, i, &ref);
    free(again);
}

static void check_link_key(slice key)
{
    slice from, rel, to;
    struct buf b = {0};
    if (link_key_parse(key, &from, &rel, &to)) return;
    link_key(&b, from, rel, to);
    ASSERT(slice_eq(buf_slice(&b), key));
    buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct log_record r;
    uint8_t *exact = malloc(size ? size : 1); /* so that a read past the end is seen */
    if (size) memcpy(exact, data, size);
    check_node(slice_of(exact, size));
    check_link_key(slice_of(exact, size));
    if (record_check(slice_of(exact, size), &r) == E_OK) {
        ASSERT(r.size <= size && r.node.n + RECORD_HEADER_BYTES <= r.size);
        ASSERT(!(r.more && r.cut));
        check_node(r.node);
    }
    if (size >= NODE_BYTES_MIN + RECORD_HEADER_BYTES) { /* the same with a good checksum */
        size_t n = size - RECORD_HEADER_BYTES;
        uint32_t cut = data[0] & 2 ? data[0] : 0;
        uint8_t *rec = malloc(record_size(n) + RECORD_CUT_BYTES);
        memcpy(rec + RECORD_HEADER_BYTES, exact + RECORD_HEADER_BYTES, n);
        put_u32(rec, cut ? record_seal_cut(rec, n, cut) : record_seal(rec, n, data[0] & 1));
        ASSERT(record_check(slice_of(rec, record_bytes(get_u32(rec))), &r) == E_OK);
        ASSERT(r.more == (!cut && data[0] & 1) && r.cut == cut && r.node.n == n && r.size == record_size(n) + (cut ? RECORD_CUT_BYTES : 0));
        free(rec);
    }
    free(exact);
    return 0;
}
