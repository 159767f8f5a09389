/* varve verify-proof: is this proof right, and is it about what the user thinks it is? A proof proves nothing by itself: --root says which root is trusted,
 * --node whose place in the log is to be proved. */
#include "base/num.h"
#include "tool/file.h"
#include "tool/node_bytes.h"
#include "tool/proof.h"
#include "tool/tool.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define NAME "verify-proof"
#define JSON_BYTES_MOST (2048ull << 20)
#define NODE_BYTES_MOST (1100ull << 20)

struct question {
    const char *file, *node_file, *root_hex, *size_text;
    uint8_t root[DIGEST_BYTES];
    uint64_t size;
};

static int invalid(const char *why)
{
    printf("INVALID: %s\n", why);
    return EXIT_NO;
}

static bool parse_hex(const char *hex, uint8_t out[DIGEST_BYTES])
{
    size_t n = strlen(hex);
    if (n != 2 * DIGEST_BYTES || strspn(hex, "0123456789abcdefABCDEF") != n) return false;
    for (size_t i = 0; i < DIGEST_BYTES; i++) {
        char two[3] = {hex[2 * i], hex[2 * i + 1], 0};
        out[i] = (uint8_t)strtoul(two, NULL, 16);
    }
    return true;
}

static int parse_arguments(int argc, char **argv, struct question *q)
{
    for (int i = 0; i < argc; i++) {
        const char **value = strcmp(argv[i], "--root") == 0 ? &q->root_hex : strcmp(argv[i], "--node") == 0 ? &q->node_file : strcmp(argv[i], "--size") == 0 ? &q->size_text : NULL;
        if (value && i + 1 == argc) return tool_usage(NAME, "%s needs a value", argv[i]);
        if (value) *value = argv[++i];
        else if (argv[i][0] == '-' && argv[i][1]) return tool_usage(NAME, "unknown option '%s'", argv[i]);
        else if (q->file) return tool_usage(NAME, "one proof at a time");
        else q->file = argv[i];
    }
    if (q->root_hex && !parse_hex(q->root_hex, q->root)) return tool_usage(NAME, "--root takes 64 hex digits");
    if (q->size_text && !num_parse_u64(slice_str(q->size_text), &q->size)) return tool_usage(NAME, "--size takes a number");
    return EXIT_YES;
}

static int read_input(const struct question *q, struct buf *out)
{
    if (q->file && strcmp(q->file, "-") != 0) {
        int rc = file_load(NULL, q->file, JSON_BYTES_MOST, out);
        return rc ? tool_trouble(NAME, "%s cannot be read", q->file) : EXIT_YES;
    }
    ssize_t n;
    while ((n = read(STDIN_FILENO, buf_reserve(out, 65536), 65536)) > 0) {
        out->n += (size_t)n;
        if (out->n > JSON_BYTES_MOST) return tool_trouble(NAME, "the input is too long");
    }
    return n < 0 ? tool_trouble(NAME, "standard input cannot be read") : EXIT_YES;
}

/* NULL or what is wrong. The node's own seq must be the leaf's place: index + 1. */
static const char *check_node(const struct proof *p, slice node)
{
    struct node_bytes n;
    if (!proof_leaf_is(p, node)) return "the node's BLAKE2b-256 does not give the leaf";
    if (node_bytes_parse(node, &n) == NULL && n.seq != p->index + 1) return "the node's seq is not the leaf's place in the log";
    return NULL;
}

static int check_node_file(const struct question *q, const struct proof *p)
{
    struct buf node = {0};
    int rc = file_load(NULL, q->node_file, NODE_BYTES_MOST, &node);
    if (rc) return tool_trouble(NAME, "%s cannot be read", q->node_file);
    const char *why = p->kind == PROOF_INCLUSION ? NULL : "a consistency proof is about no node";
    if (!why) {
        bool newline = node.n > 0 && node.p[node.n - 1] == '\n' && !proof_leaf_is(p, buf_slice(&node));
        if (newline) node.n--; /* as shells and redis-cli add one */
        why = check_node(p, buf_slice(&node));
    }
    buf_fini(&node);
    return why ? invalid(why) : EXIT_YES;
}

static int check_trust(const struct question *q, const struct proof *p)
{
    bool inclusion = p->kind == PROOF_INCLUSION;
    const uint8_t *a = inclusion ? p->root : p->to_root, *b = inclusion ? p->root : p->from_root;
    bool at_a = !q->root_hex || memcmp(a, q->root, DIGEST_BYTES) == 0, at_b = !q->root_hex || memcmp(b, q->root, DIGEST_BYTES) == 0;
    if (!at_a && !at_b) return invalid("it is about another root than the trusted one");
    uint64_t size_a = inclusion ? p->size : p->to, size_b = inclusion ? p->size : p->from;
    if (q->size_text && !(at_a && size_a == q->size) && !(at_b && size_b == q->size)) return invalid("it is about another size than the trusted one");
    return EXIT_YES;
}

static int check_inner_node(const struct proof *p)
{
    struct buf node = {0};
    const char *why = proof_node(p, &node) ? check_node(p, buf_slice(&node)) : "the node in the proof does not give the leaf";
    buf_fini(&node);
    return why ? invalid(why) : EXIT_YES;
}

static int say_valid(const struct question *q, const struct proof *p)
{
    char hex[2 * DIGEST_BYTES + 1];
    const char *trusted = q->root_hex ? "the trusted root" : "root";
    bool inclusion = p->kind == PROOF_INCLUSION;
    digest_hex(hex, inclusion ? p->root : p->to_root);
    if (inclusion)
        printf("valid: %s seq %llu is in the log of size %llu under %s %s\n", q->node_file || p->has_node ? "this node of" : "the leaf of", (unsigned long long)p->index + 1,
               (unsigned long long)p->size, trusted, hex);
    else
        printf("valid: the log of size %llu begins with the log of size %llu; root %s\n", (unsigned long long)p->to, (unsigned long long)p->from, hex);
    return EXIT_YES;
}

int tool_verify_proof(int argc, char **argv)
{
    struct question q = {0};
    struct proof *p = NULL;
    struct buf json = {0};
    int status = parse_arguments(argc, argv, &q);
    if (status == EXIT_YES) status = read_input(&q, &json);
    if (status == EXIT_YES) {
        p = calloc(1, sizeof *p);
        const char *why = p ? proof_read(buf_slice(&json), p) : "no memory";
        if (!why) why = proof_check(p);
        if (why) status = invalid(why);
    }
    if (status == EXIT_YES) status = check_trust(&q, p);
    if (status == EXIT_YES && p->has_node) status = p->kind == PROOF_INCLUSION ? check_inner_node(p) : EXIT_YES;
    if (status == EXIT_YES && q.node_file) status = check_node_file(&q, p);
    if (status == EXIT_YES) status = say_valid(&q, p);
    free(p);
    buf_fini(&json);
    return status;
}
