/* The links of a key, one after the other, over directions and relations: what DLINKS pages through and DTRAVERSE follows. */
#ifndef VARVE_MODULES_DOC_LINK_WALK_H
#define VARVE_MODULES_DOC_LINK_WALK_H

#include "modules/doc/node_map.h"

/* What is asked for. */
struct link_choice {
    bool out, in;
    bool directed; /* which of them has been said */
    int first_rel, n_rels; /* argv positions; 0 = every relation */
    struct doc_place at;
    struct db_view db; /* at that point */
};
/* Takes OUT, IN, BOTH and REL n rel… at argv[*i], which is left at its last word. 1: taken, 0: another word, -1: replied. */
int link_choice_parse(struct call *c, int *i, struct link_choice *l);

/* Where a walk is. Zero-initialise but for direction: 0 out, 1 in (link_walk_start). */
struct link_walk {
    int direction, rel;
    struct buf after; /* position behind the last link of this direction and relation */
    struct link_cursor *cur;
    uint64_t oldest; /* after E_PRUNED */
};
void link_walk_start(struct link_walk *w, const struct link_choice *l);
/* The next link. A link of a key to itself is seen once. E_END; E_AGAIN: many were looked at in vain; E_PRUNED: see oldest; E_INVALID: `after` is no position. */
int link_walk_next(struct call *c, struct link_walk *w, const struct link_choice *l, slice key, struct link *out) MUST_CHECK;
void link_walk_fini(struct link_walk *w);

#endif
