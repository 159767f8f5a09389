/* The syntax line of a command as a tree of arguments, as COMMAND DOCS shows it.
 *
 *   key value [NX|XX] [EX seconds|PX milliseconds|KEEPTTL] [CAUSEDBY n ref...]
 *
 * Capital words are tokens. [ ] is optional, ( ) groups, | separates alternatives, ... repeats. A token with one word behind it is that word's token; with
 * several they are a block. `key [key ...]` is one argument that repeats. */
#ifndef VARVE_SERVER_COMMAND_DOCS_H
#define VARVE_SERVER_COMMAND_DOCS_H

#include "base/buf.h"
#include "base/slice.h"

#define SYNTAX_ARGS_MAX 128
#define SYNTAX_DEPTH_MAX 8
#define SYNTAX_NONE (-1)

enum syntax_type { SYNTAX_STRING, SYNTAX_INTEGER, SYNTAX_DOUBLE, SYNTAX_KEY, SYNTAX_PATTERN, SYNTAX_UNIX_TIME, SYNTAX_TOKEN, SYNTAX_ONEOF, SYNTAX_BLOCK };

struct syntax_arg {
    slice name, token;     /* token: empty = none; both borrowed from the line */
    enum syntax_type type;
    bool optional, multiple;
    int child, next;       /* indices, SYNTAX_NONE */
};
struct syntax {
    struct syntax_arg args[SYNTAX_ARGS_MAX];
    int n;
    int first;             /* of the top level; SYNTAX_NONE when there are no arguments */
};

/* E_SYNTAX: unbalanced or too large. */
int syntax_parse(const char *line, struct syntax *out) MUST_CHECK;
const char *syntax_type_name(enum syntax_type t);
int syntax_length(const struct syntax *s, int first); /* of a list of siblings */

#endif
