/* Table rows: changing documents by parts and together, and undoing it. */
#include "modules/doc/doc.h"
#include "modules/doc/tables.h"

/* DREVERT ALL and PREFIX name no key: cmd_drevert tells them from one in the same way. */
static int revert_keys(const slice *argv, int argc, int *positions, int max)
{
    if (slice_is(argv[1], "ALL") || (slice_is(argv[1], "PREFIX") && argc > 3)) return 0;
    if (max > 0) positions[0] = 1;
    return 1;
}

const struct command doc_edit[] = {
    {"dpatch", cmd_dpatch, -4, CMD_WRITE | CMD_DENYOOM, DOC, KEYS_ONE("RW ACCESS UPDATE"), "Changes parts of a document", "1.0.0",
     "document", "O(N) with N the bytes of the document and the patch", "key MERGE|OPS json " WRITE_OPTIONS, NULL, NULL},
    {"dmput",
     cmd_dmput,
     -5,
     CMD_WRITE | CMD_DENYOOM | CMD_MANY | CMD_MOVABLEKEYS,
     DOC,
     {{"RW UPDATE", .begin = 1, .keynum = 1, .keynum_first = 1, .keynum_step = 3}},
     "Writes versions of several documents as one commit, all or none",
     "1.0.0",
     "document",
     "O(N) with N the bytes of the documents",
     "numdocs key json expect [key json expect ...] " META_OPTIONS,
     NULL,
     NULL},
    {"dincrby", cmd_dincrby, -4, CMD_WRITE | CMD_DENYOOM, DOC, KEYS_ONE("RW ACCESS UPDATE"), "Adds to a number in a document",
     "1.0.0", "document", "O(N) with N the bytes of the document", "key path number " WRITE_OPTIONS, NULL, NULL},
    {"ddiff", cmd_ddiff, -4, CMD_READONLY, PAST, KEYS_ONE("RO ACCESS"),
     "What changed in a document between two points, as a patch", "1.0.0", "document",
     "O(N) with N the bytes of both versions; O(N*M) in arrays of few elements", "key point point [OPS|MERGE]", NULL, NULL},
    {"drevert", cmd_drevert, -3, CMD_WRITE | CMD_DENYOOM | CMD_MOVABLEKEYS | CMD_NO_MANDATORY_KEYS, PAST, KEYS_ONE("RW ACCESS UPDATE"),
     "Gives a key, or all of them, the value that it had at a point", "1.0.0", "document",
     "O(N) with N the bytes of the value; of many keys O(N) with N the versions since the point",
     "key point " WRITE_OPTIONS " | PREFIX prefix point [DRYRUN] [NOTE text] | ALL point [DRYRUN] [NOTE text]", NULL, revert_keys},
    {"dtimeline", cmd_dtimeline, -2, CMD_READONLY, PAST, KEYS_ONE("RO ACCESS"),
     "Which version of a document holds at which instant of valid time", "1.0.0", "document",
     "O(N) with N the versions of the key", "key [ASOF point] [FROM time] [TO time]", NULL, NULL},
    {0},
};
