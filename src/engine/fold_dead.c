/* Dead bytes: an estimate, kept while folding, of what the retention rules let go. It decides when it is worth a look (auto_compact.c); what really
 * goes is chosen by a plan, which knows exactly and sets the estimate right.
 *
 * A version that follows another frees about its own size: nothing tells how large the one before was, and over many writes of a key it comes to the
 * same. An effect dies with its base, so it counts when it comes. Under a rule that waits (AGE) superseded bytes count at once; the plan then moves
 * them to `waiting`, where they are left until they may be due. Keys that keep all never count. */
#include "base/mem.h"
#include "engine/books.h"

#define RULES_ASKED 64

static struct retain_rule rule_at(struct fold *f, unsigned versions)
{
    return (struct retain_rule){.versions = book_get(&f->policy[versions]), .age_ms = book_get(&f->policy[versions + 1])};
}

struct retain_rule fold_default_rule(struct fold *f, bool document)
{
    ASSERT(f);
    ASSERT(POLICY_KEYS_AGE == POLICY_KEYS_VERSIONS + 1 && POLICY_DOCUMENTS_AGE == POLICY_DOCUMENTS_VERSIONS + 1);
    return rule_at(f, document ? POLICY_DOCUMENTS_VERSIONS : POLICY_KEYS_VERSIONS);
}

static uint64_t mean_bytes(struct fold *f)
{
    uint64_t n = book_get(&f->plain_n);
    return n ? book_get(&f->plain_sum) / n : 0;
}

void fold_count_dead(struct fold *f, const struct node *n, size_t bytes)
{
    ASSERT(f && n);
    ASSERT(n->space == SPACE_KEY || n->space == SPACE_LINK);
    slice key = n->key, rel, to;
    bool document = n->space == SPACE_LINK || n->type == TYPE_DOCUMENT, live = node_is_live(n);
    struct retain_rule r = fold_default_rule(f, document);
    if (n->prev == 0) return;
    uint64_t rules = atomic_load_explicit(&f->named.n_rules, memory_order_relaxed);
    if (rules > RULES_ASKED) {
        r.versions = 1; /* too many to ask for every write: the plan will know */
    } else if (rules) {
        if (n->space == SPACE_LINK && link_key_parse(n->key, &key, &rel, &to)) return;
        (void)named_rule(&f->named, key, &r, NULL);
    }
    if (r.versions == 0 && r.age_ms == 0) return;
    /* A tombstone ends a value of the usual size, and may go itself unless it is a document's. */
    book_add(&f->dead, live ? bytes : mean_bytes(f) + (document ? 0 : bytes));
}

/* Before the flush is in the books. */
void fold_count_flushed(struct fold *f, uint16_t lineage)
{
    ASSERT(f);
    ASSERT(lineage < ENGINE_DATABASES_MAX);
    struct lineage_book *b = &f->lineage[lineage];
    struct retain_rule r = fold_default_rule(f, false);
    uint64_t keys = book_get(&b->keys), docs = book_get(&b->docs);
    if ((r.versions || r.age_ms) && keys > docs) book_add(&f->dead, (keys - docs) * mean_bytes(f));
}

uint64_t fold_dead(struct fold *f, uint64_t *waiting)
{
    ASSERT(f);
    ASSERT(f->e);
    if (waiting) *waiting = book_get(&f->waiting);
    return book_get(&f->dead);
}

void fold_settle_dead(struct fold *f, uint64_t counted, uint64_t dead, uint64_t waiting)
{
    ASSERT(f);
    uint64_t now = book_get(&f->dead);
    ASSERT(now >= counted); /* only settling takes away, and only one compaction runs */
    book_set(&f->dead, now - counted + dead);
    book_set(&f->waiting, waiting);
}

/* ---- the policy ---- */

void engine_set_policy(struct engine *e, const struct engine_policy *p)
{
    ASSERT(e && e->fold);
    ASSERT(p);
    const uint64_t to[POLICY_WORDS] = {
        [POLICY_KEYS_VERSIONS] = p->keys.versions,           [POLICY_KEYS_AGE] = p->keys.age_ms,
        [POLICY_DOCUMENTS_VERSIONS] = p->documents.versions, [POLICY_DOCUMENTS_AGE] = p->documents.age_ms,
        [POLICY_PERCENTAGE] = p->auto_percentage,            [POLICY_MIN_BYTES] = p->auto_min_bytes,
    };
    struct fold *f = e->fold;
    bool changed = false;
    for (unsigned i = 0; i < POLICY_WORDS; i++) {
        changed |= i < POLICY_PERCENTAGE && book_get(&f->policy[i]) != to[i];
        book_set(&f->policy[i], to[i]);
    }
    /* What was counted under other rules says little: that is worth a plan. Not when the server has only come up. */
    if (changed && atomic_exchange(&f->policy_known, true)) atomic_fetch_add(&f->named.rules_turn, 1);
    atomic_store(&f->policy_known, true);
}

void engine_get_policy(struct engine *e, struct engine_policy *out)
{
    ASSERT(e && e->fold);
    ASSERT(out);
    struct fold *f = e->fold;
    *out = (struct engine_policy){.keys = fold_default_rule(f, false),
                                  .documents = fold_default_rule(f, true),
                                  .auto_percentage = book_get(&f->policy[POLICY_PERCENTAGE]),
                                  .auto_min_bytes = book_get(&f->policy[POLICY_MIN_BYTES])};
}
