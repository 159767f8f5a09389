/* Verified tiles: the only way by which a query reads the store.
 *
 * A whole tile of level q is right when the root computed from it is the hash that level q+1 has for it, and that one is taken from a verified
 * tile again; the tile at the right edge of a level is right when the roots of its whole subtrees are the peaks in memory. So the chain always ends
 * in memory, after at most eight tiles, and a flipped byte anywhere in a file is found by whoever is about to use it.
 *
 * Tiles are immutable and counted; the cache (direct-mapped) and views hold references. Only whole tiles are cached: an edge tile changes
 * with every append. */
#include "base/mem.h"
#include "engine/tree_part.h"

static void tile_release(struct tree_tile *tile)
{
    if (tile && atomic_fetch_sub(&tile->refs, 1) == 1) mem_free(tile);
}

static size_t cache_slot(unsigned level, uint64_t index) { return (size_t)((index * TREE_LEVELS + level) * 0x9e3779b97f4a7c15u >> 58) % TREE_CACHE_TILES; }

static struct tree_tile *cache_get(struct tree *t, unsigned level, uint64_t index)
{
    mutex_lock(&t->meta);
    struct tree_tile *tile = t->cache[cache_slot(level, index)];
    bool hit = tile && tile->level == level && tile->index == index;
    if (hit) atomic_fetch_add(&tile->refs, 1);
    mutex_unlock(&t->meta);
    return hit ? tile : NULL;
}

static void cache_put(struct tree *t, struct tree_tile *tile)
{
    ASSERT(tile->n == TREE_TILE);
    struct tree_tile **slot = &t->cache[cache_slot(tile->level, tile->index)];
    atomic_fetch_add(&tile->refs, 1);
    mutex_lock(&t->meta);
    struct tree_tile *old = *slot;
    *slot = tile;
    mutex_unlock(&t->meta);
    tile_release(old);
}

void tree_cache_drop(struct tree *t)
{
    for (size_t i = 0; i < TREE_CACHE_TILES; i++) {
        mutex_lock(&t->meta);
        struct tree_tile *old = t->cache[i];
        t->cache[i] = NULL;
        mutex_unlock(&t->meta);
        tile_release(old);
    }
}

void tree_view_fini(struct tree_view *v)
{
    for (unsigned i = 0; i < TREE_LEVELS; i++) {
        tile_release(v->held[i]);
        v->held[i] = NULL;
    }
}

static void tile_grow_nodes(struct tree_tile *tile)
{
    if (tile->level == 0) sha256_leaves(tile->node, (const uint8_t(*)[HASH_BYTES])tile->entry, tile->n);
    else memcpy(tile->node, tile->entry, tile->n * (size_t)HASH_BYTES);
    for (unsigned row = 1; row <= TREE_TILE_BITS; row++) {
        uint8_t(*below)[HASH_BYTES] = tile->node + tree_row(row - 1), (*here)[HASH_BYTES] = tile->node + tree_row(row);
        sha256_row(here, (const uint8_t(*)[HASH_BYTES])below, tile->n >> row);
    }
}

/* The last whole subtree of each height in an edge tile is a peak. */
static bool edge_is_right(const struct tree_tile *tile, const uint8_t peak[TREE_TILE_BITS][HASH_BYTES])
{
    ASSERT(tile->n > 0 && tile->n < TREE_TILE);
    for (unsigned row = 0; row < TREE_TILE_BITS; row++)
        if (tile->n >> row & 1 && memcmp(tile->node[tree_row(row) + (tile->n >> row) - 1], peak[row], HASH_BYTES) != 0) return false;
    return true;
}

static int tile_verify(struct tree_view *v, const struct tree_tile *tile, const uint8_t peak[TREE_TILE_BITS][HASH_BYTES])
{
    bool right;
    if (tile->n < TREE_TILE) {
        right = edge_is_right(tile, peak);
    } else {
        const struct tree_tile *parent;
        unsigned place = tile->index % TREE_TILE;
        ASSERT(tile->level + 1 < TREE_LEVELS);
        /* A parent held as an edge tile may be older than this tile's being whole. */
        struct tree_tile **held = &v->held[tile->level + 1];
        if (*held && (*held)->index == tile->index / TREE_TILE && (*held)->n <= place) tile_release(*held), *held = NULL;
        int r = tree_view_tile(v, tile->level + 1, tile->index / TREE_TILE, &parent);
        if (r) return r;
        ASSERT(place < parent->n);
        right = memcmp(tile->node[tree_row(TREE_TILE_BITS)], parent->entry[place], HASH_BYTES) == 0;
    }
    if (right) return E_OK;
    return err_note(E_CORRUPT, "tree %s: tile %llu of level %u is not what the tree has there", v->t->dir, (unsigned long long)tile->index, tile->level);
}

static int tile_load(struct tree_view *v, unsigned level, uint64_t index, struct tree_tile **out)
{
    struct tree *t = v->t;
    uint8_t peak[TREE_TILE_BITS][HASH_BYTES];
    mutex_lock(&t->meta);
    uint64_t size = tree_size(t);
    memcpy(peak, t->peak[level * TREE_TILE_BITS], sizeof peak);
    mutex_unlock(&t->meta);
    uint64_t count = (size >> (level * TREE_TILE_BITS)) - index * TREE_TILE;
    ASSERT(size >> (level * TREE_TILE_BITS) > index * TREE_TILE);

    struct tree_tile *tile = mem_alloc(sizeof *tile);
    atomic_init(&tile->refs, 1);
    tile->level = level;
    tile->index = index;
    tile->n = count < TREE_TILE ? (unsigned)count : TREE_TILE;
    int r = tree_read(t, level, index * TREE_TILE, tile->n, tile->entry);
    if (r == E_OK) {
        tile_grow_nodes(tile);
        r = tile_verify(v, tile, (const uint8_t(*)[HASH_BYTES])peak);
    }
    if (r == E_OK) *out = tile;
    else tile_release(tile);
    return r;
}

int tree_view_tile(struct tree_view *v, unsigned level, uint64_t index, const struct tree_tile **out)
{
    ASSERT(level < TREE_LEVELS && out);
    struct tree_tile *tile = v->held[level];
    if (!tile || tile->index != index) {
        tile = v->fresh ? NULL : cache_get(v->t, level, index);
        if (!tile) {
            int r = tile_load(v, level, index, &tile);
            if (r) return r;
            if (tile->n == TREE_TILE && !v->fresh) cache_put(v->t, tile);
        }
        tile_release(v->held[level]);
        v->held[level] = tile;
    }
    *out = tile;
    return E_OK;
}

int tree_view_node(struct tree_view *v, unsigned height, uint64_t index, uint8_t out[HASH_BYTES])
{
    unsigned level = height / TREE_TILE_BITS, row = height % TREE_TILE_BITS;
    const struct tree_tile *tile;
    uint64_t first = index << row; /* of the level's hashes */
    ASSERT(height < 64);
    int r = tree_view_tile(v, level, first / TREE_TILE, &tile);
    if (r) return r;
    uint64_t place = (first % TREE_TILE) >> row;
    ASSERT(place < tile->n >> row);
    memcpy(out, tile->node[tree_row(row) + place], HASH_BYTES);
    return E_OK;
}

int tree_view_root(struct tree_view *v, uint64_t first, uint64_t n, uint8_t out[HASH_BYTES])
{
    ASSERT(n > 0);
    /* Whole subtrees from left to right, largest first, as the bits of n name them; then joined from the right. */
    uint8_t part[64][HASH_BYTES];
    unsigned parts = 0;
    for (int height = 63; height >= 0; height--) {
        if (!(n >> height & 1)) continue;
        ASSERT((first & ((1ull << height) - 1)) == 0);
        int r = tree_view_node(v, (unsigned)height, first >> height, part[parts++]);
        if (r) return r;
        first += 1ull << height;
    }
    while (parts > 1) parts--, sha256_inner(part[parts - 1], part[parts - 1], part[parts]);
    memcpy(out, part[0], HASH_BYTES);
    return E_OK;
}
