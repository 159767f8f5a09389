/* Bytes as a manifest: decoding never reads outside them, and what it accepts encodes to the same bytes. */
#include "base/codec.h"
#include "engine/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void try(slice bytes)
{
    struct manifest m;
    struct buf again = {0};
    if (manifest_decode(bytes, &m) < 0) return;
    manifest_encode(&m, &again);
    /* Bytes 10 and 11 are reserved: written as zero, not judged. */
    ASSERT(again.n == bytes.n);
    ASSERT(memcmp(again.p + 16, bytes.p + 16, bytes.n - 20) == 0);
    manifest_fini(&m);
    buf_fini(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    try(slice_of(data, n));
    if (n < 156) return 0;
    /* The sum put right, so that the fuzzer gets behind it. */
    struct buf fixed = {0};
    buf_add(&fixed, data, n);
    memcpy(fixed.p, "VARVEMAN", 8);
    put_u32(fixed.p + 12, (uint32_t)n);
    put_u32(fixed.p + n - 4, crc32c(0, fixed.p, n - 4));
    try(buf_slice(&fixed));
    buf_fini(&fixed);
    return 0;
}
