/* Table rows: feeds. */
#include "modules/doc/doc.h"
#include "modules/doc/tables.h"

/* The key of KEY k, wherever it stands. */
static int changes_keys(const slice *argv, int argc, int *positions, int max)
{
    for (int i = 3; i + 1 < argc; i++) {
        if (slice_is(argv[i], "WITHDATA")) continue;
        if (slice_is(argv[i], "KEY")) {
            if (max > 0) positions[0] = i + 1;
            return 1;
        }
        i++; /* every other option has a value */
    }
    return 0;
}

const struct command doc_changes[] = {
    {"dchanges",
     cmd_dchanges,
     -3,
     CMD_READONLY | CMD_BLOCKING | CMD_NO_MANDATORY_KEYS | CMD_MOVABLEKEYS,
     PAST,
     {{"RO ACCESS", .begin = 3, .keyword = "KEY", .step = 1}},
     "Tells what happened behind a point, commit by commit, and can wait for more",
     "1.0.0",
     "document",
     "O(N) with N the nodes looked at; with KEY O(log N + M) with M the versions told",
     "FROM point [TO point] [COLL coll|PREFIX prefix|KEY key] [COUNT count] [BLOCK milliseconds] [WITHDATA]",
     NULL,
     changes_keys},
    {0},
};
