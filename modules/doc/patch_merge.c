/* JSON Merge Patch (RFC 7396): the members of the patch go into the document, null takes a member away. Recursion is bounded by JSON_DEPTH_MAX, the nesting of a
 * checked patch. */
#include "modules/doc/patch.h"

/* Takes the members that are null out of a text of the patch, at every level of objects. */
static void strip_nulls(struct patch_tree *t, struct patch_piece *p)
{
    static const char null[] = "null";
    if (json_type_of(p->raw) != JSON_OBJECT || memmem(p->raw.p, p->raw.n, null, 4) == NULL) return;
    (void)patch_open(t, p);
    for (size_t i = 0; i < p->n && patch_spend(t, 0); i++) {
        struct patch_piece *value = p->child[i].value;
        if (json_type_of(value->raw) == JSON_NULL)
            p->child[i].value = NULL;
        else
            strip_nulls(t, value);
    }
}

static struct patch_piece *from_patch(struct patch_tree *t, slice value)
{
    struct patch_piece *p = patch_raw(t, value);
    t->bytes_added += value.n;
    strip_nulls(t, p);
    return p;
}

static bool is_object(const struct patch_piece *p)
{
    return p->kind == PATCH_OBJECT || (p->kind == PATCH_RAW && json_type_of(p->raw) == JSON_OBJECT);
}

static void merge(struct patch_tree *t, struct patch_piece **target, slice patch)
{
    slice name, value;
    size_t at = 0;
    if (json_type_of(patch) != JSON_OBJECT || !is_object(*target)) {
        *target = from_patch(t, patch);
        return;
    }
    struct patch_piece *object = *target;
    (void)patch_open(t, object);
    while (patch_spend(t, 1) && json_next(patch, &at, &name, &value) == E_OK) {
        name = patch_text(t, name);
        struct patch_child *c = patch_member(t, object, name);
        bool null = json_type_of(value) == JSON_NULL;
        if (c && null)
            c->value = NULL;
        else if (c)
            merge(t, &c->value, value);
        else if (!null)
            patch_add_member(t, object, name, from_patch(t, value));
    }
}

const char *patch_merge(struct patch_tree *t, slice patch, size_t bytes_max)
{
    merge(t, &t->root, patch);
    if (!patch_spend(t, 0)) return patch_too_much;
    return t->bytes_added > bytes_max ? "the document grows too large" : NULL;
}
