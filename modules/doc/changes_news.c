/* The newest nodes, for readers that sleep: thousands of them wake for one commit, and most filters want nothing of it. What came since is read once a thread and kept
 * here, without payloads; each reader then only compares. News that are many, or whose names are long, are not kept: then each reader scans. */
#include "modules/doc/changes.h"

#define NEWS_NODES 32
#define NEWS_BYTES 4096

static _Thread_local struct {
    struct engine *e;
    uint8_t store[16];
    uint64_t from, to; /* the nodes of (from, to] are here; none while to is 0 */
    size_t n, used;
    struct node node[NEWS_NODES];
    uint8_t bytes[NEWS_BYTES];
} news;

static bool keep(const struct node *n)
{
    size_t bytes = n->key.n + (n->op == NODE_SWAP ? n->payload.n : 0);
    if (news.n == NEWS_NODES || bytes > NEWS_BYTES - news.used) return false;
    struct node *k = &news.node[news.n++];
    *k = *n;
    k->key = slice_of(news.bytes + news.used, n->key.n);
    k->payload = slice_of(news.bytes + news.used + n->key.n, bytes - n->key.n);
    if (n->key.n) memcpy(news.bytes + news.used, n->key.p, n->key.n);
    if (k->payload.n) memcpy(news.bytes + news.used + n->key.n, n->payload.p, k->payload.n);
    k->by = k->note = k->idem = (slice){0};
    k->causes = k->prev_hash = NULL;
    k->n_causes = 0;
    news.used += bytes;
    return true;
}

static bool gather(struct engine *e, uint64_t from, uint64_t to)
{
    struct change_cursor *log = NULL;
    struct change_node n;
    news.to = 0;
    news.n = news.used = 0;
    if (to - from > NEWS_NODES) return false;
    int r = engine_changes(e, from, &log);
    while (r == E_OK && (r = change_peek(log, to, &n)) == E_OK) {
        if (!keep(&n.node)) r = E_TOOBIG;
        if (r == E_OK) change_take(log);
    }
    change_cursor_close(&log);
    if (r != E_END) return false; /* the reader's own scan meets the failure, if it is one */
    news.e = e;
    memcpy(news.store, engine_store_id(e), sizeof news.store);
    news.from = from;
    news.to = to;
    return true;
}

bool feed_no_news(struct call *c, const struct feed *f)
{
    struct engine *e = doc_engine(c);
    ASSERT(f->at <= f->limit);
    bool same = news.e == e && memcmp(news.store, engine_store_id(e), sizeof news.store) == 0;
    bool there = same && news.from <= f->at && news.to == f->limit;
    if (!there && !gather(e, f->at, f->limit)) return false;
    for (size_t i = 0; i < news.n; i++) {
        bool yes = false, hide_data;
        if (news.node[i].seq <= f->at) continue;
        if (feed_wants(c, f, &news.node[i], &yes, &hide_data) != E_OK || yes) return false;
    }
    return true;
}
