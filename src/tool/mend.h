/* What a repair can set right before the engine's salvage, because two things that say the same are compared: nodes and the tree's entries. */
#ifndef VARVE_TOOL_MEND_H
#define VARVE_TOOL_MEND_H

#include "tool/store.h"

/* The tree's entries do not give the manifest's root: puts the hashes of the nodes that are there in their places. If that gives the root, the file is
 * written anew (E_OK); if not, nothing is changed (E_CORRUPT: what dropped nodes left in the tree is damaged too). A filler may stand for a lost node, whose
 * leaf the entry then is: both are tried. */
int mend_tree(const struct store *s) MUST_CHECK;
/* The tree's entries give the manifest's root: a record whose node has another hash was altered, however right its checksum. Spoils the checksum of
 * each, so that salvage takes it for what it is; *spoiled counts them. Not of fillers: an earlier repair put them where nodes were lost. */
int mend_altered(const struct store *s, unsigned *spoiled) MUST_CHECK;

#endif
