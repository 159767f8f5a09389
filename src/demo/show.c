#include "demo/show.h"
#include "base/buf.h"
#include "base/json_text.h"
#include <stdio.h>

#define TEXT_SHOWN 96    /* bytes of a long text that are shown */
#define ROWS_SHOWN 12    /* rows of a long list, each on lines of its own */
#define INLINE_SHOWN 3   /* elements of a list inside a row */
#define LINE_BYTES 116
#define INDENT 4

static void add_text(struct buf *out, const char *text, size_t n)
{
    const uint8_t *p = (const uint8_t *)text, *end = p + n, *bad;
    size_t from = out->n;
    while (p < end && out->n - from < TEXT_SHOWN) {
        unsigned bytes = *p < 0x80 ? (*p >= 32 && *p != 127) : json_utf8(p, end, &bad);
        if (bytes) buf_add(out, p, bytes);
        else buf_printf(out, "\\x%02x", *p);
        p += bytes ? bytes : 1;
    }
    if (p < end) buf_printf(out, "… (%zu bytes)", n);
}

static bool is_name(const redisReply *v)
{
    if (v->type != REDIS_REPLY_STRING || v->len == 0) return false;
    for (size_t i = 0; i < v->len; i++)
        if (v->str[i] != '_' && (v->str[i] < 'a' || v->str[i] > 'z')) return false;
    return true;
}

static bool is_map(const redisReply *v)
{
    if (v->type != REDIS_REPLY_ARRAY || v->elements == 0 || v->elements % 2) return false;
    for (size_t i = 0; i < v->elements; i += 2)
        if (!is_name(v->element[i])) return false;
    return true;
}

/* On one line. */
static void add_inline(struct buf *out, const redisReply *v, unsigned depth)
{
    switch (v->type) {
    case REDIS_REPLY_NIL: buf_add_str(out, "(nil)"); break;
    case REDIS_REPLY_INTEGER: buf_printf(out, "%lld", v->integer); break;
    case REDIS_REPLY_ERROR: buf_add_str(out, "(error) "); /* fall through */
    case REDIS_REPLY_STATUS:
    case REDIS_REPLY_STRING: add_text(out, v->str, v->len); break;
    default:
        buf_add_byte(out, '[');
        for (size_t i = 0; i < v->elements && i < INLINE_SHOWN && depth < 8; i++) {
            if (i) buf_add_str(out, ", ");
            add_inline(out, v->element[i], depth + 1);
        }
        if (v->elements > INLINE_SHOWN) buf_printf(out, ", … %zu in all", v->elements);
        buf_add_byte(out, ']');
    }
}

/* name=value, as many on a line as there is room for; the first line goes on from where the cursor is. */
static void show_map(const redisReply *v, int indent)
{
    struct buf item = {0};
    int column = indent;
    for (size_t i = 0; i < v->elements; i += 2) {
        buf_clear(&item);
        buf_add(&item, v->element[i]->str, v->element[i]->len);
        buf_add_byte(&item, '=');
        add_inline(&item, v->element[i + 1], 0);
        if (i && column + (int)item.n + 2 > LINE_BYTES) {
            printf("\n%*s", indent, "");
            column = indent;
        } else if (i) {
            printf("  ");
        }
        fwrite(item.p, 1, item.n, stdout);
        column += (int)item.n + 2;
    }
    putchar('\n');
    buf_fini(&item);
}

static void show_at(const redisReply *v, int indent)
{
    struct buf line = {0};
    if (is_map(v)) {
        show_map(v, indent);
    } else if (v->type == REDIS_REPLY_ARRAY && v->elements > 0) {
        for (size_t i = 0; i < v->elements; i++) {
            if (i) printf("%*s", indent, "");
            if (i == ROWS_SHOWN) {
                printf("… (%zu in all)\n", v->elements);
                break;
            }
            show_at(v->element[i], indent + printf("%zu) ", i + 1));
        }
    } else {
        add_inline(&line, v, 0);
        buf_add_byte(&line, '\n');
        fwrite(line.p, 1, line.n, stdout);
    }
    buf_fini(&line);
}

void show_reply(const redisReply *v)
{
    printf("%*s", INDENT, "");
    show_at(v, INDENT);
}
