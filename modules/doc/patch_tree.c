/* The tree of pieces.
 *
 * Invariants: children of an array are all there; a removed member of an object stays as a gap (value NULL), so that places in `slot` hold;
 * the gap of an object is behind its last member, that of an array where it was changed last; slot, when there is one, finds every member and is at most half full; opened containers are at most PATCH_DEPTH_MAX deep, because opening
 * follows a pointer or another checked text, and what is put in is raw. */
#include "modules/doc/patch_tree.h"

#define BLOCK_BYTES   (64u << 10)
#define SMALL_MEMBERS 8 /* up to here names are compared one by one */
#define SLOTS_MIN     32

struct patch_block {
    struct patch_block *next;
};

static void *take(struct patch_tree *t, size_t n)
{
    n = (n + 7) & ~(size_t)7;
    if ((size_t)(t->end - t->at) < n) {
        size_t bytes = sizeof(struct patch_block) + (n > BLOCK_BYTES ? n : BLOCK_BYTES);
        struct patch_block *b = mem_alloc(bytes);
        b->next = t->blocks;
        t->blocks = b;
        t->at = (uint8_t *)(b + 1);
        t->end = (uint8_t *)b + bytes;
    }
    void *p = t->at;
    t->at += n;
    return p;
}

void patch_tree_init(struct patch_tree *t, slice json)
{
    ASSERT(json.n > 0);
    t->work = 0;
    t->work_max = PATCH_WORK_MAX + 8 * (uint64_t)json.n;
    t->bytes_added = 0;
    t->blocks = NULL;
    t->at = (uint8_t *)(((uintptr_t)t->first + 7) & ~(uintptr_t)7);
    t->end = t->first + sizeof t->first;
    t->root = patch_raw(t, json);
}

void patch_tree_fini(struct patch_tree *t)
{
    while (t->blocks) {
        struct patch_block *b = t->blocks;
        t->blocks = b->next;
        mem_free(b);
    }
    t->root = NULL;
}

bool patch_spend(struct patch_tree *t, uint64_t work)
{
    t->work += work;
    return t->work <= t->work_max;
}

struct patch_piece *patch_raw(struct patch_tree *t, slice json)
{
    struct patch_piece *p = take(t, sizeof *p);
    *p = (struct patch_piece){.kind = PATCH_RAW, .raw = json};
    return p;
}

slice patch_keep(struct patch_tree *t, slice bytes)
{
    if (bytes.n == 0) return (slice){(const uint8_t *)"", 0};
    uint8_t *p = take(t, bytes.n);
    memcpy(p, bytes.p, bytes.n);
    return slice_of(p, bytes.n);
}

slice patch_text(struct patch_tree *t, slice inside)
{
    if (inside.n == 0 || memchr(inside.p, '\\', inside.n) == NULL) return inside;
    struct buf plain = {0};
    json_unescape(inside, &plain);
    slice kept = patch_keep(t, buf_slice(&plain));
    buf_fini(&plain);
    return kept;
}

/* ---- names by hash ---- */

/* Seeded by where the tree lies, so that nobody can prepare names that meet; what they would cost is counted anyway. */
static size_t hash_of(const struct patch_tree *t, slice name)
{
    uint64_t h = (uint64_t)(uintptr_t)t * 0x9e3779b97f4a7c15u ^ name.n;
    for (size_t i = 0; i < name.n; i++) h = (h ^ name.p[i]) * 0x100000001b3u;
    return (size_t)(h ^ h >> 29);
}

static void slot_put(struct patch_tree *t, struct patch_piece *p, size_t place)
{
    size_t i = hash_of(t, p->child[place].name) & (p->n_slots - 1);
    while (p->slot[i]) i = (i + 1) & (p->n_slots - 1);
    p->slot[i] = (uint32_t)place + 1;
}

static void slots_make(struct patch_tree *t, struct patch_piece *p)
{
    p->n_slots = SLOTS_MIN;
    while (p->n_slots < p->n * 4) p->n_slots *= 2;
    p->slot = take(t, p->n_slots * sizeof *p->slot);
    memset(p->slot, 0, p->n_slots * sizeof *p->slot);
    for (size_t i = 0; i < p->n; i++)
        if (p->child[i].value) slot_put(t, p, i);
    (void)patch_spend(t, p->n_slots);
}

struct patch_child *patch_member(struct patch_tree *t, struct patch_piece *p, slice name)
{
    ASSERT(p->kind == PATCH_OBJECT);
    if (p->n <= SMALL_MEMBERS) {
        for (size_t i = 0; i < p->n; i++)
            if (p->child[i].value && slice_eq(p->child[i].name, name)) return &p->child[i];
        return NULL;
    }
    if (!p->slot) slots_make(t, p);
    for (size_t i = hash_of(t, name) & (p->n_slots - 1); p->slot[i]; i = (i + 1) & (p->n_slots - 1)) {
        struct patch_child *c = &p->child[p->slot[i] - 1];
        t->work++;
        if (c->value && slice_eq(c->name, name)) return c;
    }
    return NULL;
}

/* ---- containers ---- */

static void grow(struct patch_tree *t, struct patch_piece *p)
{
    size_t cap = p->cap ? p->cap * 2 : 8, behind = p->n - p->gap;
    struct patch_child *more = take(t, cap * sizeof *more);
    ASSERT(p->n == p->cap);
    if (p->gap) memcpy(more, p->child, p->gap * sizeof *more);
    if (behind) memcpy(more + cap - behind, p->child + p->gap, behind * sizeof *more);
    p->child = more;
    p->cap = cap;
    t->work += p->n;
}

static void move_gap(struct patch_tree *t, struct patch_piece *p, size_t to)
{
    size_t room = p->cap - p->n;
    struct patch_child *c = p->child;
    ASSERT(to <= p->n && p->gap <= p->n);
    if (to < p->gap) {
        memmove(c + to + room, c + to, (p->gap - to) * sizeof *c);
        t->work += p->gap - to;
    } else if (to > p->gap) {
        memmove(c + p->gap, c + p->gap + room, (to - p->gap) * sizeof *c);
        t->work += to - p->gap;
    }
    p->gap = to;
}

/* Room for one more child at `at`: the caller fills it. */
static struct patch_child *room(struct patch_tree *t, struct patch_piece *p, size_t at)
{
    if (p->n == p->cap) grow(t, p);
    if (at != p->gap) move_gap(t, p, at);
    p->n++;
    return &p->child[p->gap++];
}

bool patch_open(struct patch_tree *t, struct patch_piece *p)
{
    if (p->kind != PATCH_RAW) return true;
    slice raw = p->raw, name, value;
    if (raw.n < 2 || (raw.p[0] != '{' && raw.p[0] != '[')) return false;
    const uint8_t *behind = raw.p + 1;
    size_t at = 0;
    p->kind = raw.p[0] == '{' ? PATCH_OBJECT : PATCH_ARRAY;
    while (patch_spend(t, PATCH_CHILD_WORK) && json_next(raw, &at, &name, &value) == E_OK) {
        struct patch_child *c = room(t, p, p->n);
        c->lead = slice_of(behind, (size_t)(value.p - behind));
        c->name = patch_text(t, name);
        c->value = patch_raw(t, value);
        behind = value.p + value.n;
    }
    p->tail = slice_of(behind, (size_t)(raw.p + raw.n - behind));
    t->work += raw.n;
    return true;
}

/* What a member's name takes in the text, at most, with its colon and comma. */
static size_t name_bytes(slice name)
{
    size_t n = name.n + 4;
    for (size_t i = 0; i < name.n; i++) n += name.p[i] < 0x20 ? 5 : name.p[i] == '"' || name.p[i] == '\\';
    return n;
}

void patch_add_member(struct patch_tree *t, struct patch_piece *p, slice name, struct patch_piece *value)
{
    ASSERT(p->kind == PATCH_OBJECT && value);
    *room(t, p, p->n) = (struct patch_child){.name = name, .value = value};
    t->bytes_added += name_bytes(name);
    if (!p->slot) return;
    if (p->n * 2 > p->n_slots)
        slots_make(t, p);
    else
        slot_put(t, p, p->n - 1);
}

void patch_insert(struct patch_tree *t, struct patch_piece *p, size_t at, struct patch_piece *value)
{
    ASSERT(p->kind == PATCH_ARRAY && at <= p->n && value);
    *room(t, p, at) = (struct patch_child){.value = value};
    t->bytes_added++;
}

void patch_remove_at(struct patch_tree *t, struct patch_piece *p, size_t at)
{
    ASSERT(p->kind == PATCH_ARRAY && at < p->n);
    move_gap(t, p, at);
    p->n--;
}

/* ---- writing out ---- */

/* What stands before a child. Its own bytes have a comma unless it was the first of its container; now it may be another. */
static void write_lead(const struct patch_child *c, bool object, bool first, struct buf *out)
{
    if (c->lead.p == NULL) {
        if (!first) buf_add_byte(out, ',');
        if (!object) return;
        json_quote(c->name, out);
        buf_add_byte(out, ':');
        return;
    }
    size_t i = 0;
    while (i < c->lead.n && c->lead.p[i] != ',' && c->lead.p[i] != '"') i++;
    bool comma = i < c->lead.n && c->lead.p[i] == ',';
    slice lead = c->lead;
    if (first && comma) lead = slice_of(lead.p + i + 1, lead.n - i - 1);
    if (!first && !comma) buf_add_byte(out, ',');
    buf_add_slice(out, lead);
}

struct level {
    const struct patch_piece *p;
    size_t i;
    bool any;
};

void patch_write(const struct patch_piece *p, struct buf *out)
{
    struct level stack[PATCH_DEPTH_MAX];
    size_t depth = 0;
    for (;;) {
        if (p->kind == PATCH_RAW) {
            buf_add_slice(out, p->raw);
        } else {
            ASSERT(depth < PATCH_DEPTH_MAX);
            buf_add_byte(out, p->kind == PATCH_OBJECT ? '{' : '[');
            stack[depth++] = (struct level){p, 0, false};
        }
        p = NULL;
        while (depth > 0 && !p) {
            struct level *l = &stack[depth - 1];
            while (l->i < l->p->n && !patch_child_at(l->p, l->i)->value) l->i++;
            if (l->i == l->p->n) {
                buf_add_slice(out, l->p->tail);
                depth--;
                continue;
            }
            const struct patch_child *c = patch_child_at(l->p, l->i++);
            write_lead(c, l->p->kind == PATCH_OBJECT, !l->any, out);
            l->any = true;
            p = c->value;
        }
        if (!p) return;
    }
}

slice patch_flatten(struct patch_tree *t, const struct patch_piece *p)
{
    if (p->kind == PATCH_RAW) return p->raw;
    struct buf text = {0};
    patch_write(p, &text);
    slice kept = patch_keep(t, buf_slice(&text));
    t->work += kept.n;
    buf_fini(&text);
    return kept;
}
