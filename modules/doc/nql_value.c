/* Values of a query: literals, and parameters that stand for them. */
#include "modules/doc/nql_parser.h"

static struct nql_value text_value(struct nql_arena *a, slice text)
{
    struct buf quoted = {0};
    json_quote(text, &quoted);
    struct nql_value v = {.type = JSON_STRING, .json = nql_arena_copy(a, buf_slice(&quoted)), .text = text};
    buf_fini(&quoted);
    return v;
}

/* json: checked, trimmed, in the arena. */
struct nql_value nql_value_of_json(struct nql_arena *a, slice json)
{
    struct nql_value v = {.type = json_type_of(json), .json = json};
    if (v.type == JSON_STRING) {
        struct buf plain = {0};
        json_unescape(json, &plain);
        v = text_value(a, nql_arena_copy(a, buf_slice(&plain)));
        buf_fini(&plain);
    } else if (v.type == JSON_NUMBER) {
        v.whole = json_number_i64(json, &v.i64);
    }
    return v;
}

static bool param_fault(struct nql_parser *p, const char *why, slice name)
{
    return nql_lex_fail(&p->l, p->l.end, why, (int)(name.n > 32 ? 32 : name.n), (const char *)name.p);
}

static bool is_param_name(slice name)
{
    for (size_t i = 0; i < name.n; i++) {
        uint8_t c = name.p[i];
        if (!((uint8_t)((c | 0x20) - 'a') < 26 || (uint8_t)(c - '0') < 10 || c == '_')) return false;
    }
    return name.n > 0;
}

/* A plain string has to be UTF-8: then quoting changes no byte of its meaning. */
static bool is_faithful(const struct nql_value *v)
{
    struct buf plain = {0};
    json_unescape(v->json, &plain);
    bool same = slice_eq(buf_slice(&plain), v->text);
    buf_fini(&plain);
    return same;
}

bool nql_value_bind(struct nql_parser *p, const struct nql_param *params, size_t n)
{
    size_t bytes = 0;
    if (n > NQL_PARAMS_MAX) return nql_lex_fail(&p->l, p->l.end, "more than %d parameters", NQL_PARAMS_MAX);
    for (size_t i = 0; i < n; i++) {
        struct nql_bound_param *b = &p->param[i];
        slice trimmed, text;
        if (!is_param_name(params[i].name)) return nql_lex_fail(&p->l, p->l.end, "a parameter's name is made of letters, digits and _");
        for (size_t j = 0; j < i; j++)
            if (slice_eq(p->param[j].name, params[i].name)) return param_fault(p, "parameter '%.*s' is given twice", params[i].name);
        bytes += params[i].value.n;
        if (bytes > NQL_PARAM_BYTES_MAX) return nql_lex_fail(&p->l, p->l.end, "parameters of more than %u bytes", NQL_PARAM_BYTES_MAX);
        bool json = json_check(params[i].value, &trimmed, NULL) == E_OK;
        text = nql_arena_copy(p->l.arena, json ? trimmed : params[i].value);
        *b = (struct nql_bound_param){.name = params[i].name};
        b->value = json ? nql_value_of_json(p->l.arena, text) : text_value(p->l.arena, text);
        if (!json && !is_faithful(&b->value)) return param_fault(p, "parameter '%.*s' is neither JSON nor UTF-8", b->name);
    }
    p->n_params = n;
    return true;
}

bool nql_value_all_used(struct nql_parser *p)
{
    for (size_t i = 0; i < p->n_params; i++)
        if (!p->param[i].used) return param_fault(p, "parameter '%.*s' is not used", p->param[i].name);
    return true;
}

bool nql_value_at_param(struct nql_parser *p) { return nql_lex_here(&p->l) < p->l.end && *p->l.p == '$'; }

bool nql_value_take_param(struct nql_parser *p, struct nql_value *out)
{
    const uint8_t *at = nql_lex_here(&p->l);
    slice name;
    if (!nql_lex_param(&p->l, &name)) return false;
    for (size_t i = 0; i < p->n_params; i++) {
        if (!slice_eq(p->param[i].name, name)) continue;
        p->param[i].used = true;
        *out = p->param[i].value;
        return true;
    }
    return nql_lex_fail(&p->l, at, "no value is given for $%.*s", (int)(name.n > 32 ? 32 : name.n), (const char *)name.p);
}

static bool at_quote(struct nql_parser *p) { return nql_lex_here(&p->l) < p->l.end && (*p->l.p == '"' || *p->l.p == '\''); }

bool nql_value_parse(struct nql_parser *p, struct nql_value *out)
{
    slice s;
    if (nql_value_at_param(p)) return nql_value_take_param(p, out);
    if (at_quote(p)) {
        if (!nql_lex_string(&p->l, &s)) return false;
        *out = text_value(p->l.arena, s);
        return true;
    }
    if (!nql_lex_json(&p->l, &s)) return false;
    *out = nql_value_of_json(p->l.arena, s);
    return true;
}

/* A string's bytes: quoted, or a parameter that is a string. */
bool nql_value_parse_text(struct nql_parser *p, const char *who, struct nql_value *out)
{
    const uint8_t *at = nql_lex_here(&p->l);
    if (!nql_value_at_param(p) && !at_quote(p)) return nql_lex_expected(&p->l, "a string in quotes");
    if (!nql_value_parse(p, out)) return false;
    return out->type == JSON_STRING || nql_lex_fail(&p->l, at, "%s takes a string", who);
}

bool nql_value_parse_count(struct nql_parser *p, const char *who, int64_t lo, int64_t hi, uint64_t *out)
{
    const uint8_t *at = nql_lex_here(&p->l);
    struct nql_value v = {0};
    if (!nql_value_at_param(p) && (at == p->l.end || (*at != '-' && (uint8_t)(*at - '0') > 9))) return nql_lex_expected(&p->l, "a number");
    if (!nql_value_parse(p, &v)) return false;
    if (!v.whole || v.i64 < lo || v.i64 > hi)
        return nql_lex_fail(&p->l, at, "%s takes a whole number from %lld to %lld", who, (long long)lo, (long long)hi);
    *out = (uint64_t)v.i64;
    return true;
}
