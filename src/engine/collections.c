/* Collections of documents; see collections.h. */
#include "engine/collections.h"
#include "base/mem.h"
#include "engine/books.h"
#include <stdlib.h>

#define FIRST_BUCKETS 64

void collections_init(struct collections *c)
{
    ASSERT(c);
    memset(c, 0, sizeof *c);
    mutex_init(&c->mutex, "collections", RANK_LEAF);
}

void collections_fini(struct collections *c)
{
    collections_flush(c, NODE_ALL_LINEAGES);
    ASSERT(c->n == 0);
    mem_free(c->bucket);
    mutex_fini(&c->mutex);
}

static uint64_t hash_of(uint16_t lineage, slice name)
{
    struct hash_seed seed = {{lineage, 0x636f6c6c}};
    return key_hash(&seed, name.p, name.n);
}

static void grow(struct collections *c)
{
    size_t buckets = c->buckets ? 2 * c->buckets : FIRST_BUCKETS;
    struct collection **to = mem_zalloc(buckets * sizeof(struct collection *));
    for (size_t i = 0; i < c->buckets; i++)
        for (struct collection *k = c->bucket[i], *next; k; k = next) {
            next = k->next;
            k->next = to[k->hash & (buckets - 1)];
            to[k->hash & (buckets - 1)] = k;
        }
    mem_free(c->bucket);
    c->bucket = to;
    c->buckets = buckets;
}

static struct collection *lookup(struct collections *c, uint64_t hash, uint16_t lineage, slice name)
{
    struct collection *k = c->buckets ? c->bucket[hash & (c->buckets - 1)] : NULL;
    while (k && !(k->hash == hash && k->lineage == lineage && slice_eq(slice_of(k->name, k->name_bytes), name))) k = k->next;
    return k;
}

void collections_add(struct collections *c, uint16_t lineage, slice name, const struct coll_counts *d)
{
    ASSERT(c && d);
    ASSERT(name.n <= NODE_KEY_MAX);
    uint64_t hash = hash_of(lineage, name);
    mutex_lock(&c->mutex);
    struct collection *k = lookup(c, hash, lineage, name);
    if (!k) {
        if (c->n >= c->buckets) grow(c);
        k = mem_zalloc(sizeof *k + name.n);
        k->hash = hash;
        k->lineage = lineage;
        k->name_bytes = (uint16_t)name.n;
        if (name.n) memcpy(k->name, name.p, name.n);
        k->next = c->bucket[hash & (c->buckets - 1)];
        c->bucket[hash & (c->buckets - 1)] = k;
        c->n++;
    }
    k->counts.docs += d->docs;
    k->counts.versions += d->versions;
    k->counts.bytes += d->bytes;
    mutex_unlock(&c->mutex);
}

void collections_get(struct collections *c, uint16_t lineage, slice name, struct coll_counts *out)
{
    ASSERT(c && out);
    mutex_lock(&c->mutex);
    struct collection *k = lookup(c, hash_of(lineage, name), lineage, name);
    *out = k ? k->counts : (struct coll_counts){0};
    mutex_unlock(&c->mutex);
}

void collections_flush(struct collections *c, uint16_t lineage)
{
    ASSERT(c);
    mutex_lock(&c->mutex);
    for (size_t i = 0; i < c->buckets; i++)
        for (struct collection **k = &c->bucket[i]; *k;) {
            struct collection *gone = *k;
            if (lineage != NODE_ALL_LINEAGES && gone->lineage != lineage) {
                k = &gone->next;
                continue;
            }
            *k = gone->next;
            mem_free(gone);
            c->n--;
        }
    mutex_unlock(&c->mutex);
}

static int by_name(const void *a, const void *b)
{
    const struct collection *x = *(struct collection *const *)a, *y = *(struct collection *const *)b;
    if (x->lineage != y->lineage) return x->lineage < y->lineage ? -1 : 1;
    return slice_cmp(slice_of(x->name, x->name_bytes), slice_of(y->name, y->name_bytes));
}

struct collection **collections_copy(struct collections *c, uint16_t lineage, size_t *n)
{
    ASSERT(c && n);
    size_t found = 0;
    mutex_lock(&c->mutex);
    struct collection **all = mem_alloc((c->n + 1) * sizeof(struct collection *));
    for (size_t i = 0; i < c->buckets; i++)
        for (struct collection *k = c->bucket[i]; k; k = k->next)
            if (lineage == NODE_ALL_LINEAGES || k->lineage == lineage) all[found++] = mem_dup(k, sizeof *k + k->name_bytes);
    mutex_unlock(&c->mutex);
    qsort(all, found, sizeof all[0], by_name);
    *n = found;
    return all;
}

static void free_copies(struct collection **all, size_t n)
{
    for (size_t i = 0; i < n; i++) mem_free(all[i]);
    mem_free(all);
}

/* varint n; then each: u16 lineage, varint bytes of name, name, varint docs, versions, bytes. */
void collections_save(struct collections *c, struct buf *out)
{
    ASSERT(c && out);
    size_t n;
    struct collection **all = collections_copy(c, NODE_ALL_LINEAGES, &n);
    out->n += (size_t)(put_varint(buf_reserve(out, VARINT_MAX), n) - (out->p + out->n));
    for (size_t i = 0; i < n; i++) {
        uint8_t *p = buf_reserve(out, 2 + 4 * VARINT_MAX + all[i]->name_bytes), *q = p;
        put_u16(q, all[i]->lineage);
        q = put_varint(q + 2, all[i]->name_bytes);
        memcpy(q, all[i]->name, all[i]->name_bytes);
        q = put_varint(q + all[i]->name_bytes, all[i]->counts.docs);
        q = put_varint(q, all[i]->counts.versions);
        q = put_varint(q, all[i]->counts.bytes);
        out->n += (size_t)(q - p);
    }
    free_copies(all, n);
}

int collections_load(struct collections *c, const uint8_t **p, const uint8_t *end)
{
    ASSERT(c && c->n == 0);
    uint64_t n, name_bytes;
    const uint8_t *q = get_varint(*p, end, &n);
    for (uint64_t i = 0; q && i < n; i++) {
        struct coll_counts k;
        if (end - q < 2) return E_CORRUPT;
        uint16_t lineage = get_u16(q);
        q = get_varint(q + 2, end, &name_bytes);
        if (!q || name_bytes > NODE_KEY_MAX || name_bytes > (uint64_t)(end - q)) return E_CORRUPT;
        slice name = slice_of(q, name_bytes);
        q = get_varint(q + name_bytes, end, &k.docs);
        if (q) q = get_varint(q, end, &k.versions);
        if (q) q = get_varint(q, end, &k.bytes);
        if (q) collections_add(c, lineage, name, &k);
    }
    if (!q) return E_CORRUPT;
    *p = q;
    return E_OK;
}

void engine_collection(struct engine *e, uint16_t lineage, slice coll, struct coll_counts *out)
{
    ASSERT(e && out);
    ASSERT(lineage < ENGINE_DATABASES_MAX);
    collections_get(&e->fold->collections, lineage, coll, out);
}
