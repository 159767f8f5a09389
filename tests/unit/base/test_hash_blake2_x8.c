/* The eight-way code against the reference. */
#define LANES      8
#define HASH_LANES blake2b_256_x8
#include "unit/base/hash_lanes.h"

int main(void)
{
    return hash_lanes("hash_blake2_x8");
}
