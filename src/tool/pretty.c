#include "base/json.h"
#include "tool/text.h"

static void indent(struct buf *out, size_t depth)
{
    for (size_t i = 0; i < depth; i++) buf_add(out, "  ", 2);
}

static bool has_members(slice json)
{
    size_t at = 0;
    slice name, value;
    return json_next(json, &at, &name, &value) == E_OK;
}

/* Recursion is bounded by JSON_DEPTH_MAX. */
static void pretty(slice json, size_t depth, struct buf *out)
{
    enum json_type t = json_type_of(json);
    if ((t != JSON_ARRAY && t != JSON_OBJECT) || depth > JSON_DEPTH_MAX || !has_members(json)) {
        if (t == JSON_ARRAY || t == JSON_OBJECT)
            buf_add_str(out, t == JSON_ARRAY ? "[]" : "{}");
        else
            buf_add_slice(out, json);
        return;
    }
    size_t at = 0, n = 0;
    slice name, value;
    buf_add_byte(out, t == JSON_ARRAY ? '[' : '{');
    while (json_next(json, &at, &name, &value) == E_OK) {
        buf_add_str(out, n++ ? ",\n" : "\n");
        indent(out, depth + 1);
        if (t == JSON_OBJECT) {
            buf_add_byte(out, '"');
            buf_add_slice(out, name);
            buf_add_str(out, "\": ");
        }
        pretty(value, depth + 1, out);
    }
    buf_add_byte(out, '\n');
    indent(out, depth);
    buf_add_byte(out, t == JSON_ARRAY ? ']' : '}');
}

void text_pretty(slice json, struct buf *out)
{
    pretty(json, 0, out);
    buf_add_byte(out, '\n');
}
