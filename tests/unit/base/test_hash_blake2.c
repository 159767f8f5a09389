/* The four-way code against the reference. */
#define LANES      4
#define HASH_LANES blake2b_256_x4
#include "unit/base/hash_lanes.h"

int main(void)
{
    return hash_lanes("hash_blake2_x4");
}
