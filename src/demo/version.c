/* Debian Policy 5.6.12: a version is [epoch:]upstream[-revision]. A part is compared piece by piece, by turns as text and as a number; in text a tilde sorts
 * before the end, the end before letters, and letters before everything else. */
#include "demo/version.h"
#include "base/slice.h"

struct version_parts {
    slice epoch, upstream, revision;
};

static struct version_parts split(const char *text)
{
    struct version_parts v = {{0}, slice_str(text), {0}};
    const char *colon = strchr(text, ':'), *dash = strrchr(text, '-');
    if (colon) {
        v.epoch = slice_of(text, (size_t)(colon - text));
        v.upstream = slice_str(colon + 1);
    }
    if (dash && dash > (colon ? colon : text)) {
        v.upstream.n -= strlen(dash);
        v.revision = slice_str(dash + 1);
    }
    return v;
}

static bool digit_at(slice s, size_t i) { return i < s.n && s.p[i] >= '0' && s.p[i] <= '9'; }

/* Of what stands at i, as text: 0 at the end and where a number begins. */
static int weight(slice s, size_t i)
{
    if (i >= s.n || digit_at(s, i)) return 0;
    uint8_t c = s.p[i] | 32;
    if (s.p[i] == '~') return -1;
    return c >= 'a' && c <= 'z' ? s.p[i] : 256 + s.p[i];
}

/* The number from *i on without its leading zeros; *i is then behind it. */
static slice number(slice s, size_t *i)
{
    while (*i < s.n && s.p[*i] == '0') ++*i;
    size_t from = *i;
    while (digit_at(s, *i)) ++*i;
    return slice_of(s.p + from, *i - from);
}

static int compare_part(slice a, slice b)
{
    size_t i = 0, j = 0;
    while (i < a.n || j < b.n) {
        while (weight(a, i) == weight(b, j) && weight(a, i) != 0) i++, j++;
        if (weight(a, i) != weight(b, j)) return weight(a, i) < weight(b, j) ? -1 : 1;
        slice x = number(a, &i), y = number(b, &j);
        if (x.n != y.n) return x.n < y.n ? -1 : 1;
        int order = slice_cmp(x, y);
        if (order) return order;
    }
    return 0;
}

int version_compare(const char *a, const char *b)
{
    struct version_parts x = split(a), y = split(b);
    int order = compare_part(x.epoch, y.epoch);
    if (order == 0) order = compare_part(x.upstream, y.upstream);
    return order ? order : compare_part(x.revision, y.revision);
}
