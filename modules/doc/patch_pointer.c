/* JSON Pointer (RFC 6901): where a text like /a/0/b~1c leads in a tree of pieces. */
#include "modules/doc/patch.h"

const char *const patch_too_much = "the patch is too much work";

/* Takes the next token off *rest, which begins with '/'. */
static const char *next_token(struct patch_tree *t, slice *rest, slice *token)
{
    const uint8_t *from = rest->p + 1, *end = rest->p + rest->n;
    const uint8_t *slash = from < end ? memchr(from, '/', (size_t)(end - from)) : NULL;
    if (!slash) slash = end;
    *rest = slice_of(slash, (size_t)(end - slash));
    *token = slice_of(from, (size_t)(slash - from));
    if (token->n == 0 || !memchr(from, '~', token->n)) return NULL;
    struct buf plain = {0};
    const char *why = NULL;
    for (const uint8_t *p = from; p < slash && !why; p++) {
        if (*p != '~')
            buf_add_byte(&plain, *p);
        else if (++p == slash || (*p != '0' && *p != '1'))
            why = "a pointer has ~ only in ~0 and ~1";
        else
            buf_add_byte(&plain, *p == '0' ? '~' : '/');
    }
    if (!why) *token = patch_keep(t, buf_slice(&plain));
    buf_fini(&plain);
    return why;
}

static const char *parse_index(slice token, const struct patch_piece *array, bool add, size_t *index)
{
    uint64_t v;
    if (slice_eq(token, slice_str("-"))) {
        *index = array->n;
        return add ? NULL : "no such element";
    }
    if (!num_parse_u64(token, &v)) return "an array index is a number without leading zeros";
    if (v > array->n || (v == array->n && !add)) return "no such element";
    *index = (size_t)v;
    return NULL;
}

/* One step down from `at`. last: may be a place to add to. */
static const char *step(struct patch_tree *t, struct patch_piece *at, slice token, bool add, struct patch_place *out)
{
    if (!patch_open(t, at)) return "the pointer leads into a value that is no container";
    out->parent = at;
    out->name = token;
    out->value = NULL;
    if (at->kind == PATCH_ARRAY) {
        const char *why = parse_index(token, at, add, &out->index);
        if (!why && out->index < at->n) out->value = &patch_child_at(at, out->index)->value;
        return why;
    }
    struct patch_child *c = patch_member(t, at, token);
    if (c) out->value = &c->value;
    return c || add ? NULL : "no such member";
}

const char *patch_locate(struct patch_tree *t, slice pointer, bool add, struct patch_place *out)
{
    slice rest = pointer, token;
    *out = (struct patch_place){.value = &t->root};
    if (rest.n > 0 && rest.p[0] != '/') return "a pointer is empty or begins with /";
    for (size_t depth = 0; rest.n > 0; depth++) {
        if (depth == JSON_DEPTH_MAX) return "nested too deep";
        const char *why = next_token(t, &rest, &token);
        if (!why) why = step(t, *out->value, token, add && rest.n == 0, out);
        if (why) return why;
        if (!patch_spend(t, 0)) return patch_too_much;
    }
    return NULL;
}

void patch_pointer_add(struct buf *pointer, slice name)
{
    buf_add_byte(pointer, '/');
    for (size_t i = 0; i < name.n; i++) {
        if (name.p[i] == '~')
            buf_add_str(pointer, "~0");
        else if (name.p[i] == '/')
            buf_add_str(pointer, "~1");
        else
            buf_add_byte(pointer, name.p[i]);
    }
}
