#include "base/hash.h"

void blake2b_256_x4(uint8_t out[4][HASH_BYTES], const slice in[4])
{
    for (int i = 0; i < 4; i++) blake2b_256(out[i], in[i].p, in[i].n);
}
