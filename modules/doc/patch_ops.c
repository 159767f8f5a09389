/* JSON Patch (RFC 6902): operations on a tree of pieces, one after the other. What fails leaves the document alone, because nothing is written then.
 *
 * What is copied or moved is flattened first, so that opened containers never lie deeper than a pointer is long. */
#include "modules/doc/patch.h"

struct operation {
    slice op, path, from, value;
    bool has_path, has_from, has_value;
};

static const char *take_string(struct patch_tree *t, slice value, slice *out)
{
    if (json_type_of(value) != JSON_STRING) return "op, path and from are strings";
    *out = patch_text(t, slice_of(value.p + 1, value.n - 2));
    return NULL;
}

/* Members that the RFC does not name are ignored, as it asks. */
static const char *parse_operation(struct patch_tree *t, slice text, struct operation *o)
{
    slice name, value;
    size_t at = 0;
    const char *why = NULL;
    *o = (struct operation){0};
    if (json_type_of(text) != JSON_OBJECT) return "an operation is an object";
    while (!why && json_next(text, &at, &name, &value) == E_OK) {
        name = patch_text(t, name);
        if (slice_eq(name, slice_str("op"))) {
            why = take_string(t, value, &o->op);
        } else if (slice_eq(name, slice_str("path"))) {
            why = take_string(t, value, &o->path);
            o->has_path = true;
        } else if (slice_eq(name, slice_str("from"))) {
            why = take_string(t, value, &o->from);
            o->has_from = true;
        } else if (slice_eq(name, slice_str("value"))) {
            o->value = value;
            o->has_value = true;
        }
    }
    if (!why && !o->op.p) why = "op is missing";
    if (!why && !o->has_path) why = "path is missing";
    return why;
}

static const char *put(struct patch_tree *t, slice path, struct patch_piece *value)
{
    struct patch_place p;
    const char *why = patch_locate(t, path, true, &p);
    if (why) return why;
    if (p.parent && p.parent->kind == PATCH_ARRAY)
        patch_insert(t, p.parent, p.index, value);
    else if (p.value)
        *p.value = value;
    else
        patch_add_member(t, p.parent, p.name, value);
    return NULL;
}

static const char *take_out(struct patch_tree *t, slice path)
{
    struct patch_place p;
    const char *why = patch_locate(t, path, false, &p);
    if (why) return why;
    if (!p.parent) return "the whole document cannot be removed, use DDEL";
    if (p.parent->kind == PATCH_ARRAY)
        patch_remove_at(t, p.parent, p.index);
    else
        *p.value = NULL;
    return NULL;
}

static const char *do_add(struct patch_tree *t, const struct operation *o)
{
    t->bytes_added += o->value.n;
    return put(t, o->path, patch_raw(t, o->value));
}

static const char *do_remove(struct patch_tree *t, const struct operation *o)
{
    return take_out(t, o->path);
}

static const char *do_replace(struct patch_tree *t, const struct operation *o)
{
    struct patch_place p;
    const char *why = patch_locate(t, o->path, false, &p);
    if (why) return why;
    t->bytes_added += o->value.n;
    *p.value = patch_raw(t, o->value);
    return NULL;
}

static const char *do_test(struct patch_tree *t, const struct operation *o)
{
    struct patch_place p;
    const char *why = patch_locate(t, o->path, false, &p);
    if (why) return why;
    slice found = patch_flatten(t, *p.value);
    t->work += found.n + o->value.n;
    return json_compare(found, o->value) == 0 ? NULL : "the test failed";
}

static const char *do_copy(struct patch_tree *t, const struct operation *o)
{
    struct patch_place p;
    const char *why = patch_locate(t, o->from, false, &p);
    if (why) return why;
    slice text = patch_flatten(t, *p.value);
    t->bytes_added += text.n;
    return put(t, o->path, patch_raw(t, text));
}

static const char *do_move(struct patch_tree *t, const struct operation *o)
{
    struct patch_place p;
    const char *why = patch_locate(t, o->from, false, &p);
    if (why) return why;
    if (slice_eq(o->from, o->path)) return NULL;
    if (slice_starts(o->path, o->from) && o->path.p[o->from.n] == '/') return "a value cannot move into itself";
    slice text = patch_flatten(t, *p.value);
    why = take_out(t, o->from);
    return why ? why : put(t, o->path, patch_raw(t, text));
}

static const struct {
    const char *name;
    const char *(*apply)(struct patch_tree *t, const struct operation *o);
    bool needs_value, needs_from;
} kinds[] = {
    {"add", do_add, true, false},   {"remove", do_remove, false, false}, {"replace", do_replace, true, false},
    {"test", do_test, true, false}, {"move", do_move, false, true},      {"copy", do_copy, false, true},
};

static const char *apply(struct patch_tree *t, slice text)
{
    struct operation o;
    const char *why = parse_operation(t, text, &o);
    if (why) return why;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (!slice_eq(o.op, slice_str(kinds[i].name))) continue;
        if (kinds[i].needs_value && !o.has_value) return "value is missing";
        if (kinds[i].needs_from && !o.has_from) return "from is missing";
        return kinds[i].apply(t, &o);
    }
    return "op is one of add, remove, replace, move, copy and test";
}

const char *patch_ops(struct patch_tree *t, slice ops, size_t bytes_max, size_t *op)
{
    slice name, value;
    size_t at = 0;
    *op = 0;
    if (json_type_of(ops) != JSON_ARRAY) return "a patch is an array of operations";
    while (json_next(ops, &at, &name, &value) == E_OK) {
        const char *why = apply(t, value);
        if (!why && t->bytes_added > bytes_max) why = "the document grows too large";
        if (!why && !patch_spend(t, 1)) why = patch_too_much;
        if (why) return why;
        ++*op;
    }
    return NULL;
}
