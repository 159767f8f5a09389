/* What RESTORE gets: a body, to which the right end is added so that the checksum does not stand in the way; and the same bytes with the end that they have. */
#include "modules/key/rdb.h"

#include <stdlib.h>

#define MUST(e) ((e) ? (void)0 : abort())
#define BYTES_MAX (1u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void restore(slice payload)
{
    struct buf mem = {0}, again = {0}, more = {0};
    slice value, same;
    uint8_t type, same_type;
    int r = rdb_restore(payload, BYTES_MAX, &mem, &type, &value);
    MUST(r == E_OK || r == E_VERSION || r == E_CORRUPT);
    if (r == E_OK) {
        MUST(value.n <= BYTES_MAX && (type == TYPE_STRING || type == TYPE_DOCUMENT));
        if (type == TYPE_DOCUMENT) MUST(json_check(value, NULL, NULL) == E_OK);
        rdb_dump(type, value, &again);
        MUST(rdb_restore(buf_slice(&again), BYTES_MAX, &more, &same_type, &same) == E_OK && same_type == type && slice_eq(same, value));
    }
    buf_fini(&mem);
    buf_fini(&again);
    buf_fini(&more);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 1u << 16) return 0;
    restore(slice_of(data, size));
    uint8_t *with = malloc(size + 10);
    if (size) memcpy(with, data, size);
    put_u16(with + size, RDB_VERSION);
    put_u64(with + size + 2, rdb_crc64(0, with, size + 2));
    restore(slice_of(with, size + 10));
    free(with);
    return 0;
}
