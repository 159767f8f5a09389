/* A query's cursor: whatever bytes come, decoding does no harm, and what is taken is exactly what encoding gives. The input is a cursor's text, or, so that
 * the check at its end does not stop everything, the bytes in front of the check, which is then made here. */
#include "modules/doc/query_cursor.c"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(e) ((e) ? (void)0 : abort())

static const struct hash_seed seed = {{11, 13}};

static void decode(slice text)
{
    struct query_position p = {.seq = 42}, again;
    struct buf mem = {0}, back = {0}, second = {0};
    if (query_cursor_decode(text, &seed, &mem, &p) == E_OK) {
        MUST(p.name.n <= QUERY_CURSOR_NAME_MAX);
        query_cursor_encode(&p, &seed, &back);
        MUST(slice_eq(buf_slice(&back), text));
        MUST(query_cursor_decode(buf_slice(&back), &seed, &second, &again) == E_OK);
        MUST(again.seq == p.seq && again.ms == p.ms && again.given == p.given && again.digest == p.digest && slice_eq(again.name, p.name));
    } else {
        MUST(p.seq == 42);
    }
    buf_fini(&mem);
    buf_fini(&back);
    buf_fini(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf bytes = {0}, text = {0};
    decode(slice_of(data, size));
    buf_add(&bytes, data, size);
    put_u64(buf_reserve(&bytes, 8), key_hash(&seed, bytes.p ? bytes.p : data, bytes.n));
    bytes.n += 8;
    hex_encode((char *)buf_reserve(&text, 2 * bytes.n + 1), bytes.p, bytes.n);
    text.n = 2 * bytes.n;
    decode(buf_slice(&text));
    buf_fini(&bytes);
    buf_fini(&text);
    return 0;
}
