/* Random JSON text for tests: valid documents, and damage to them. Deterministic by seed. */
#ifndef VARVE_TESTS_JSON_GEN_H
#define VARVE_TESTS_JSON_GEN_H

#include "base/buf.h"

struct rng {
    uint64_t s;
};

static inline uint64_t rng_next(struct rng *r)
{
    uint64_t z = r->s += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static inline unsigned rng_below(struct rng *r, unsigned n) { return (unsigned)(rng_next(r) % n); }

static inline void gen_space(struct rng *r, struct buf *b)
{
    while (rng_below(r, 8) == 0) buf_add_byte(b, (uint8_t)" \n\t\r"[rng_below(r, 4)]);
}

/* The inside of a string; `tag` makes names within one object differ. */
static inline void gen_inside(struct rng *r, struct buf *b, int tag)
{
    static const char *const piece[] = {"a",      "bc",     "name",         "\\n",      "\\\"",     "\\\\",        "\\/",          "\\u0041",
                                        "\\u00e9", "\\u20ac", "\\ud83d\\ude00", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "{", "]",
                                        ",",      ":",      " ",            "0123456789abcdefghij", "\\b", "\xed\x9f\xbf", "\xef\xbf\xbd", "\x7f"};
    for (unsigned n = rng_below(r, 5); n > 0; n--) buf_add_str(b, piece[rng_below(r, sizeof piece / sizeof *piece)]);
    if (tag >= 0) buf_printf(b, "#%d", tag);
}

static inline void gen_value(struct rng *r, struct buf *b, unsigned depth)
{
    static const char *const scalar[] = {"null", "true", "false", "0", "-0", "1", "-1.5", "1e3", "2E-7", "1.25e+10", "123456789012345678", "0.001"};
    unsigned kind = rng_below(r, depth > 0 ? 6 : 3);
    gen_space(r, b);
    if (kind < 2) {
        buf_add_str(b, scalar[rng_below(r, sizeof scalar / sizeof *scalar)]);
    } else if (kind == 2) {
        buf_add_byte(b, '"');
        gen_inside(r, b, -1);
        buf_add_byte(b, '"');
    } else {
        bool object = kind > 3;
        buf_add_byte(b, object ? '{' : '[');
        unsigned n = rng_below(r, 40) == 0 ? 30 : rng_below(r, 6);
        for (unsigned i = 0; i < n; i++) {
            if (i) buf_add_byte(b, ',');
            gen_space(r, b);
            if (object) {
                buf_add_byte(b, '"');
                gen_inside(r, b, (int)i);
                buf_add_byte(b, '"');
                gen_space(r, b);
                buf_add_byte(b, ':');
            }
            gen_value(r, b, depth - 1);
        }
        gen_space(r, b);
        buf_add_byte(b, object ? '}' : ']');
    }
    gen_space(r, b);
}

/* One to three bytes changed, dropped, doubled or put in. */
static inline void gen_damage(struct rng *r, struct buf *b)
{
    static const char likely[] = "{}[]\",:\\0123456789-+.eE tfnu/\x01\x80\xc3\xe2\xf0\xff\x1f\x00";
    for (unsigned n = 1 + rng_below(r, 3); n > 0 && b->n > 0; n--) {
        size_t at = rng_next(r) % b->n;
        uint8_t c = rng_below(r, 4) ? (uint8_t)likely[rng_below(r, sizeof likely - 1)] : (uint8_t)rng_next(r);
        switch (rng_below(r, 4)) {
        case 0: b->p[at] = c; break;
        case 1: memmove(b->p + at, b->p + at + 1, b->n - at - 1), b->n--; break;
        case 2:
            buf_reserve(b, 1);
            memmove(b->p + at + 1, b->p + at, b->n - at), b->n++;
            b->p[at] = c;
            break;
        default: b->p[at] = b->p[rng_next(r) % b->n]; break;
        }
    }
}

#endif
