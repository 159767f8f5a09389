/* Sorting references by key without touching the records more than needed.
 *
 * Keys are cached as 8-byte windows. A window that differs decides; many keys share their first bytes, so constant bytes of the window cost
 * nothing (their radix pass is skipped), and a large group of equal windows is sorted again by the 8 bytes behind the bytes that the whole group
 * shares. What is small is merge-sorted by whole keys. Every step is stable: input comes newest first, and so equal keys stay.
 *
 * The idea of cached windows is that of caching multikey sorts (Bentley and Sedgewick 1997; Ng and Kakehi 2007). */
#include "engine/index_chunk.h"

#include "base/mem.h"

enum { INSERTION_MAX = 16, RADIX_MIN = 512, DEPTH_MAX = 64 };

static void insertion_sort(struct ref *a, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        struct ref x = a[i];
        size_t j = i;
        for (; j > 0 && ref_cmp(&x, &a[j - 1]) < 0; j--) a[j] = a[j - 1];
        a[j] = x;
    }
}

static bool is_sorted(const struct ref *a, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        if (i + 8 < n) __builtin_prefetch(a[i + 8].record);
        if (ref_cmp(&a[i - 1], &a[i]) > 0) return false;
    }
    return true;
}

static void merge_sort(struct ref *a, struct ref *tmp, size_t n)
{
    if (n <= INSERTION_MAX) {
        insertion_sort(a, n);
        return;
    }
    size_t h = n / 2;
    merge_sort(a, tmp, h);
    merge_sort(a + h, tmp + h, n - h);
    if (ref_cmp(&a[h - 1], &a[h]) <= 0) return;
    memcpy(tmp, a, h * sizeof *a);
    size_t i = 0, j = h, o = 0;
    while (i < h && j < n) a[o++] = ref_cmp(&a[j], &tmp[i]) < 0 ? a[j++] : tmp[i++];
    while (i < h) a[o++] = tmp[i++];
    ASSERT(o == j);
}

/* Least significant byte first over the bytes of the window that vary. */
static void radix_sort(struct ref *a, struct ref *tmp, size_t n, uint64_t varying)
{
    ASSERT(n <= UINT32_MAX);
    struct ref *from = a, *to = tmp;
    for (unsigned shift = 0; shift < 64; shift += 8) {
        if ((varying >> shift & 255) == 0) continue;
        uint32_t count[256] = {0}, at = 0;
        for (size_t i = 0; i < n; i++) count[from[i].prefix >> shift & 255]++;
        for (unsigned c = 0; c < 256; c++) {
            uint32_t k = count[c];
            count[c] = at;
            at += k;
        }
        for (size_t i = 0; i < n; i++) to[count[from[i].prefix >> shift & 255]++] = from[i];
        struct ref *x = from;
        from = to;
        to = x;
    }
    if (from != a) memcpy(a, from, n * sizeof *a);
}

/* How many leading bytes all keys of the group share; 0 also when a key ends inside its next window's reach, which only whole
 * comparisons order rightly. */
static size_t shared_bytes(const struct ref *a, size_t n)
{
    slice first = record_key(a[0].record);
    size_t shared = first.n, shortest = first.n;
    for (size_t i = 1; i < n; i++) {
        if (i + 8 < n) __builtin_prefetch(a[i + 8].record);
        slice k = record_key(a[i].record);
        if (k.n < shortest) shortest = k.n;
        if (shared > k.n) shared = k.n;
        size_t m = 0;
        while (m + 8 <= shared && get_u64(first.p + m) == get_u64(k.p + m)) m += 8;
        while (m < shared && first.p[m] == k.p[m]) m++;
        shared = m;
    }
    return shortest > shared ? shared : 0;
}

static void sort_window(struct ref *a, struct ref *tmp, size_t n, unsigned depth);

/* A group of equal windows: the rest of the keys decides. */
static void sort_group(struct ref *a, struct ref *tmp, size_t n, unsigned depth)
{
    uint64_t window = a[0].prefix;
    ASSERT(n > 1 && a[n - 1].prefix == window);
    if (is_sorted(a, n)) return; /* versions of one key come newest first, which is their order */
    size_t shared = n >= RADIX_MIN && depth < DEPTH_MAX ? shared_bytes(a, n) : 0;
    if (shared == 0) {
        merge_sort(a, tmp, n);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        slice k = record_key(a[i].record);
        a[i].prefix = key_prefix(slice_of(k.p + shared, k.n - shared));
    }
    sort_window(a, tmp, n, depth + 1);
    for (size_t i = 0; i < n; i++) a[i].prefix = window;
}

static void sort_window(struct ref *a, struct ref *tmp, size_t n, unsigned depth)
{
    ASSERT(depth <= DEPTH_MAX);
    uint64_t all = UINT64_MAX, any = 0;
    for (size_t i = 0; i < n; i++) {
        all &= a[i].prefix;
        any |= a[i].prefix;
    }
    radix_sort(a, tmp, n, all ^ any);
    for (size_t i = 0, j; i < n; i = j) {
        for (j = i + 1; j < n && a[j].prefix == a[i].prefix; j++) {}
        if (j - i > 1) sort_group(a + i, tmp, j - i, depth);
    }
}

void index_sort_refs(struct ref *a, struct ref *tmp, size_t n)
{
    ASSERT(a && (tmp || n <= INSERTION_MAX));
    if (n <= INSERTION_MAX)
        insertion_sort(a, n);
    else if (n < RADIX_MIN)
        merge_sort(a, tmp, n);
    else
        sort_window(a, tmp, n, 0);
    DEBUG_ASSERT(is_sorted(a, n));
}
