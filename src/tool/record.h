/* Nodes and commits of an opened store, as people read them. */
#ifndef VARVE_TOOL_RECORD_H
#define VARVE_TOOL_RECORD_H

#include "tool/past.h"
#include "tool/text.h"

#define RECORD_KEY_SHOWN 200

/* A node's key in words: a key, `from -rel-> to`, `tag NAME`, `rule PATTERN`, `index coll path`, `database N` … */
void record_subject(struct paper *p, const struct node *n);
/* One line: seq, hash, time, op, subject, version, note. pruned: only seq and hash are known. */
int record_line(struct past *s, struct paper *p, uint64_t seq) MUST_CHECK;
/* A commit's head as `git log` shows one: hash and seqs, date, user, causes, notes. */
int record_commit(struct past *s, struct paper *p, uint64_t first, uint64_t last) MUST_CHECK;
/* A line for each of its nodes; `only` says which (NULL = all). */
typedef bool (*record_wanted)(void *ctx, const struct node *n);
int record_nodes(struct past *s, struct paper *p, uint64_t first, uint64_t last, record_wanted only, void *ctx) MUST_CHECK;
/* How a key's value differs between two points: heading and unified diff; nothing when it does not. *changed tells. */
enum record_diff { RECORD_DIFF_FULL, RECORD_DIFF_NAMES, RECORD_DIFF_STATUS };
int record_diff_key(struct past *s, struct paper *p, slice key, uint64_t from, uint64_t to, enum record_diff how, bool *changed) MUST_CHECK;

#endif
