/* CRC-32C: reflected polynomial 0x82f63b78, start and end inverted. By the
 * SSE 4.2 instruction where the processor has it, else eight tables (the
 * well-known slicing method: one table per byte of a 64-bit word).
 *
 * The instruction starts every cycle but takes three, so long inputs run as
 * three lanes side by side. The CRC register is linear over GF(2): what a lane's
 * register becomes behind LANE_BYTES zeros is the xor of what its bytes become,
 * four table look-ups, and that joins the lanes. */
#include "base/codec.h"
#include "base/hash.h"

#define POLY 0x82f63b78u

static uint32_t table[8][256];

static void build_tables(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int k = 0; k < 8; k++) c = c & 1 ? c >> 1 ^ POLY : c >> 1;
        table[0][i] = c;
    }
    for (uint32_t i = 0; i < 256; i++)
        for (int t = 1; t < 8; t++) table[t][i] = table[t - 1][i] >> 8 ^ table[0][table[t - 1][i] & 255];
}

static uint32_t crc_table(uint32_t crc, const uint8_t *p, size_t n)
{
    for (; n >= 8; p += 8, n -= 8) {
        uint64_t w = get_u64(p) ^ crc;
        crc = 0;
        for (int t = 0; t < 8; t++) crc ^= table[7 - t][w >> 8 * t & 255];
    }
    while (n--) crc = crc >> 8 ^ table[0][(crc ^ *p++) & 255];
    return crc;
}

static uint32_t (*crc_run)(uint32_t, const uint8_t *, size_t) = crc_table;

#ifdef __x86_64__
#define LANE_BYTES ((size_t)256)
#define STRIDE (3 * LANE_BYTES)

static uint32_t behind_zeros[4][256]; /* [byte of the register][its value] */

static void build_shift(void)
{
    static const uint8_t zeros[LANE_BYTES];
    for (int byte = 0; byte < 4; byte++) {
        for (uint32_t bit = 1; bit < 256; bit <<= 1) {
            uint32_t image = crc_table(bit << 8 * byte, zeros, LANE_BYTES);
            for (uint32_t low = 0; low < bit; low++) behind_zeros[byte][bit | low] = behind_zeros[byte][low] ^ image;
        }
    }
}

static inline uint32_t shift_lane(uint32_t c)
{
    return behind_zeros[0][c & 255] ^ behind_zeros[1][c >> 8 & 255] ^ behind_zeros[2][c >> 16 & 255] ^ behind_zeros[3][c >> 24];
}

__attribute__((target("sse4.2"))) static uint32_t crc_sse42(uint32_t crc, const uint8_t *p, size_t n)
{
    uint64_t c = crc;
    for (; n >= STRIDE; p += STRIDE, n -= STRIDE) {
        uint64_t d = 0, e = 0;
        for (size_t i = 0; i < LANE_BYTES; i += 8) {
            c = __builtin_ia32_crc32di(c, get_u64(p + i));
            d = __builtin_ia32_crc32di(d, get_u64(p + i + LANE_BYTES));
            e = __builtin_ia32_crc32di(e, get_u64(p + i + 2 * LANE_BYTES));
        }
        c = shift_lane(shift_lane((uint32_t)c) ^ (uint32_t)d) ^ (uint32_t)e;
    }
    for (; n >= 8; p += 8, n -= 8) c = __builtin_ia32_crc32di(c, get_u64(p));
    uint32_t c32 = (uint32_t)c;
    if (n & 4) c32 = __builtin_ia32_crc32si(c32, get_u32(p)), p += 4;
    if (n & 2) c32 = __builtin_ia32_crc32hi(c32, get_u16(p)), p += 2;
    if (n & 1) c32 = __builtin_ia32_crc32qi(c32, *p);
    return c32;
}
#endif

__attribute__((constructor)) static void choose(void)
{
    build_tables();
#ifdef __x86_64__
    build_shift();
    __builtin_cpu_init();
    if (__builtin_cpu_supports("sse4.2")) crc_run = crc_sse42;
#endif
}

uint32_t crc32c(uint32_t crc, const void *p, size_t n) { return ~crc_run(~crc, p, n); }
