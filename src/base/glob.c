/* Every element of a pattern but `*` matches exactly one byte. So when a match
 * fails, only the last `*` needs to be stretched: an earlier one could not
 * reach any text that the last one does not. That keeps the work within
 * pattern times text without recursion. */
#include "base/glob.h"

static uint8_t fold(uint8_t c, bool ignore_case) { return (uint8_t)(ignore_case && c >= 'A' && c <= 'Z' ? c + 32 : c); }

/* A class whose `[` is at p[i]. Moves *at behind it; one that is not closed ends with the pattern. */
static bool match_class(slice p, size_t *at, uint8_t c, bool ignore_case)
{
    size_t i = *at + 1;
    bool hit = false, inverted = i < p.n && p.p[i] == '^';
    i += inverted;
    while (i < p.n && p.p[i] != ']') {
        uint8_t lo = p.p[i], hi = lo;
        if (lo == '\\' && i + 1 < p.n) {
            hit = hit || c == p.p[i + 1]; /* in Redis a quoted byte keeps its case in either mode */
            i += 2;
            continue;
        }
        if (i + 2 < p.n && p.p[i + 1] == '-') {
            hi = p.p[i + 2];
            i += 3;
        } else {
            i++;
        }
        if (lo > hi) {
            uint8_t t = lo;
            lo = hi;
            hi = t;
        }
        uint8_t folded = fold(c, ignore_case);
        hit = hit || (folded >= fold(lo, ignore_case) && folded <= fold(hi, ignore_case));
    }
    *at = i < p.n ? i + 1 : p.n;
    return hit != inverted;
}

/* Matches the element at *at (not a `*`) against one byte and moves *at behind it. */
static bool match_one(slice p, size_t *at, uint8_t c, bool ignore_case)
{
    if (p.p[*at] == '?') {
        ++*at;
        return true;
    }
    if (p.p[*at] == '[') return match_class(p, at, c, ignore_case);
    if (p.p[*at] == '\\' && *at + 1 < p.n) ++*at;
    return fold(p.p[(*at)++], ignore_case) == fold(c, ignore_case);
}

bool glob_match(slice pattern, slice text, bool ignore_case)
{
    size_t p = 0, t = 0, star_p = 0, star_t = 0;
    bool star = false;
    if (text.n == 0) return pattern.n == 0 || (pattern.n == 1 && pattern.p[0] == '*');
    while (t < text.n) {
        if (p < pattern.n && pattern.p[p] == '*') {
            star = true;
            star_p = ++p;
            star_t = t;
            if (p == pattern.n) return true;
            continue;
        }
        size_t next = p;
        if (p < pattern.n && match_one(pattern, &next, text.p[t], ignore_case)) {
            p = next;
            t++;
        } else if (star) {
            p = star_p;
            t = ++star_t;
        } else {
            return false;
        }
    }
    while (p < pattern.n && pattern.p[p] == '*') p++;
    return p == pattern.n;
}
