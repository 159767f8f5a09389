/* The commands that this server has: rows of the families, found by name.
 *
 * A table never changes once it is in use: loading a module makes a new one that replaces it, and the old one stays until the server ends, so a look-up
 * needs no lock and an entry stays valid. Entries are numbered for the counters; numbers stay the same from table to table. */
#ifndef VARVE_SERVER_COMMAND_TABLE_H
#define VARVE_SERVER_COMMAND_TABLE_H

#include "module.h"

#define COMMANDS_MAX 768             /* with sub-commands */
#define COMMAND_NAME_MAX 64
#define COMMAND_KEYS_MAX 16384       /* keys of one command that are locked one by one; with more it runs exclusively */

struct command_entry {
    const struct command *row;
    const struct command_entry *parent;  /* of a sub-command */
    const struct family *family;
    const struct command_table *table;   /* that it is in */
    char name[COMMAND_NAME_MAX];         /* "config|get" */
    uint32_t flags;                      /* row's; a container shares its own with no sub-command */
    uint64_t categories;                 /* bits, see command_category_name */
    uint16_t id;
    uint16_t name_bytes;                 /* of row->name */
    uint16_t called_bytes;               /* of called */
    uint16_t first_key;                  /* position of the only key when it is one fixed position, else 0 */
    bool has_keys;
    struct command_entry *subs;
    size_t n_subs;
    uint64_t word0, word1;               /* folded `called`, for the look-up */
    const char *called;                  /* by what name it is found: row->name, unless it was renamed */
};
struct command_table;

/* NULL when two families name the same command (then *clash is its name) or there are too many. `before` gives known commands their numbers. */
struct command_table *command_table_new(const struct family *const *families, size_t n, const struct command_table *before, const char **clash);
void command_table_free(struct command_table **t);
/* Lets a command be found by another name, which must outlive the table, or by none ("") while the table is not yet in use. NULL, or why not. Everything else of it
 * (counters, COMMAND INFO, the names in error texts) keeps the name of its row. */
const char *command_table_rename(struct command_table *t, const char *from, const char *to);
/* The same for a list of pairs, each name ended by a NUL, in their order. may_lack: a command that is not there is passed over. *which: the pair that fails. */
const char *command_table_rename_all(struct command_table *t, slice pairs, bool may_lack, const char **which);
/* By the name that it is called by, in any case; NULL. Reads only the slice. */
const struct command_entry *command_find(const struct command_table *t, slice name);
const struct command_entry *command_find_sub(const struct command_entry *container, slice name);
/* "get" or "config|get". */
const struct command_entry *command_find_full(const struct command_table *t, slice name);
size_t command_count(const struct command_table *t);                       /* without sub-commands */
const struct command_entry *command_at(const struct command_table *t, size_t i);
/* Every entry that has counters, sub-commands too, by number; NULL for unused numbers. */
const struct command_entry *command_by_id(const struct command_table *t, size_t id);

static inline bool key_spec_used(const struct key_spec *k) { return k->flags && k->flags[0]; }
static inline bool command_arity_fits(const struct command_entry *e, int argc)
{
    return e->row->arity >= 0 ? argc == e->row->arity : argc >= -e->row->arity;
}

/* Positions of the keys in argv, at most max of them in out; returns how many there are, or -1 when the arguments do not fit the key specs.
 * flags (may be NULL) gets the flag text of each: what these arguments do to it. */
int command_keys(const struct command_entry *e, const slice *argv, int argc, int *out, const char **flags, int max);
/* As COMMAND shows it: first, last, step of the range that the specs form. */
void command_key_range(const struct command_entry *e, int *first, int *last, int *step);

#define COMMAND_CATEGORIES 23
const char *command_category_name(unsigned bit); /* without '@' */
int command_category_find(slice name);           /* -1 */

#endif
