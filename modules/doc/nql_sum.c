/* A sum of JSON numbers. See the header. */
#include "modules/doc/nql_sum.h"

#include <math.h>
#include <stdlib.h>

#define LIMB_BITS   64
#define UNIT_POWER  1074 /* the wide number counts 2^-1074 */
#define DOUBLE_BITS 53

void nql_sum_fini(struct nql_sum *s)
{
    mem_free(s->wide);
    *s = (struct nql_sum){0};
}

/* Adds (or takes away) v × 2^position. */
static void wide_add(uint64_t *wide, uint64_t v, unsigned position, bool negative)
{
    unsigned i = position / LIMB_BITS;
    unsigned __int128 part = (unsigned __int128)v << position % LIMB_BITS;
    ASSERT(i + 1 < NQL_SUM_LIMBS);
    bool carry = false;
    for (; i < NQL_SUM_LIMBS && (part || carry); i++) {
        uint64_t low = (uint64_t)part, old = wide[i];
        part >>= LIMB_BITS;
        if (negative) {
            wide[i] = old - low - carry;
            carry = old < low || (old == low && carry);
        } else {
            wide[i] = old + low + carry;
            carry = wide[i] < old || (carry && wide[i] == old);
        }
    }
}

static void add_whole(struct nql_sum *s, __int128 v)
{
    s->whole += v; /* 2^63 numbers of 64 bits fit */
    s->n++;
}

static void add_double(struct nql_sum *s, double v)
{
    int exponent;
    s->n++;
    if (!isfinite(v)) {
        s->beyond = true;
        return;
    }
    if (!s->wide) s->wide = mem_zalloc(NQL_SUM_LIMBS * sizeof *s->wide);
    double m = ldexp(frexp(fabs(v), &exponent), DOUBLE_BITS);
    exponent -= DOUBLE_BITS;
    uint64_t bits = (uint64_t)m;
    for (; exponent < -UNIT_POWER; exponent++) bits >>= 1; /* below the normal doubles these bits are 0 */
    wide_add(s->wide, bits, (unsigned)(exponent + UNIT_POWER), v < 0);
}

void nql_sum_add_u64(struct nql_sum *s, uint64_t v) { add_whole(s, v); }

/* Too large is infinite, too small is 0. */
static double to_double(slice number)
{
    char text[64], *copy = number.n < sizeof text ? text : mem_alloc(number.n + 1);
    memcpy(copy, number.p, number.n);
    copy[number.n] = 0;
    double d = strtod(copy, NULL);
    if (copy != text) mem_free(copy);
    return d;
}

void nql_sum_add(struct nql_sum *s, slice number)
{
    int64_t i;
    uint64_t u;
    if (json_number_i64(number, &i))
        add_whole(s, i);
    else if (num_parse_u64(number, &u))
        add_whole(s, u);
    else
        add_double(s, to_double(number));
}

/* ---- what came of it ---- */

static bool wide_bit(const uint64_t *w, int i) { return i >= 0 && (w[i / LIMB_BITS] >> i % LIMB_BITS & 1); }

/* The nearest double to a number that is not negative, ties to even. */
static double wide_round(const uint64_t *w)
{
    int top = NQL_SUM_LIMBS * LIMB_BITS - 1;
    while (top >= 0 && !wide_bit(w, top)) top--;
    int lowest = top - DOUBLE_BITS + 1 > 0 ? top - DOUBLE_BITS + 1 : 0;
    uint64_t m = 0;
    for (int i = top; i >= lowest; i--) m = m << 1 | wide_bit(w, i);
    bool below = false;
    for (int i = 0; i < lowest - 1 && !below; i++) below = wide_bit(w, i);
    if (wide_bit(w, lowest - 1) && (below || (m & 1))) m++;
    return ldexp((double)m, lowest - UNIT_POWER);
}

/* Everything together as a double. */
static double nearest(const struct nql_sum *s)
{
    uint64_t w[NQL_SUM_LIMBS];
    bool negative = s->whole < 0;
    unsigned __int128 size = negative ? -(unsigned __int128)s->whole : (unsigned __int128)s->whole;
    if (s->wide)
        memcpy(w, s->wide, sizeof w);
    else
        memset(w, 0, sizeof w);
    wide_add(w, (uint64_t)size, UNIT_POWER, negative);
    wide_add(w, (uint64_t)(size >> LIMB_BITS), UNIT_POWER + LIMB_BITS, negative);
    negative = w[NQL_SUM_LIMBS - 1] >> (LIMB_BITS - 1);
    bool carry = true;
    for (unsigned i = 0; negative && i < NQL_SUM_LIMBS; i++) {
        w[i] = ~w[i] + carry;
        carry = carry && w[i] == 0;
    }
    double d = wide_round(w);
    return negative ? -d : d;
}

static void print_double(double v, struct buf *out)
{
    char text[40];
    if (!isfinite(v))
        buf_add_str(out, "null");
    else
        buf_add(out, text, num_format_double(text, v == 0 ? 0 : v)); /* never -0 */
}

static void print_whole(__int128 v, struct buf *out)
{
    char text[40], *p = text + sizeof text;
    unsigned __int128 size = v < 0 ? -(unsigned __int128)v : (unsigned __int128)v;
    do {
        *--p = (char)('0' + (int)(size % 10));
        size /= 10;
    } while (size);
    if (v < 0) buf_add_byte(out, '-');
    buf_add(out, p, (size_t)(text + sizeof text - p));
}

void nql_sum_print(const struct nql_sum *s, struct buf *out)
{
    if (!s->wide && !s->beyond)
        print_whole(s->whole, out);
    else
        print_double(s->beyond ? INFINITY : nearest(s), out);
}

void nql_sum_print_mean(const struct nql_sum *s, struct buf *out)
{
    double mean = INFINITY;
    if (s->n && !s->beyond) mean = s->wide ? nearest(s) / (double)s->n : (double)((long double)s->whole / (long double)s->n);
    print_double(mean, out);
}
