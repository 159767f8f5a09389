/* Table rows: history: versions and the past. */
#include "modules/doc/doc.h"
#include "modules/doc/tables.h"

const struct command doc_history[] = {
    {"dasof", cmd_dasof, -3, CMD_READONLY, PAST, KEYS_ONE("RO ACCESS"), "Reads a key as it was at a point", "1.0.0", "document",
     "O(log N) with N the versions of the key", "key point [path [path ...]] [VALIDAT time] [WITHMETA]", NULL, NULL},
    {"dhistory", cmd_dhistory, -2, CMD_READONLY, PAST, KEYS_ONE("RO ACCESS"), "Lists the versions of a key", "1.0.0", "document",
     "O(log N + M) with N the versions of the key and M those returned",
     "key [FROM point] [TO point] [REV] [COUNT count] [WITHDATA]", NULL, NULL},
    {"dnode",
     cmd_dnode,
     -2,
     CMD_READONLY,
     PAST,
     {{0}},
     "Shows one version record, or its exact hashed bytes",
     "1.0.0",
     "document",
     "O(1)",
     "ref [RAW]",
     NULL,
     NULL},
    {"drun", cmd_drun, -3, CMD_READONLY | CMD_MOVABLEKEYS | CMD_NO_MANDATORY_KEYS | CMD_WRAPS, PAST, {{"RO ACCESS INCOMPLETE", .begin = 2}}, "Runs a read-only command as of a point", "1.0.0", "document",
     "That of the command in the past", "point command [arg [arg ...]]", NULL, NULL},
    {"dview", cmd_dview, 2, CMD_READONLY | CMD_NO_MULTI | CMD_NOSCRIPT, PAST, {{0}}, "Lets the connection read as of a point, and write nothing, until DVIEW OFF",
     "1.0.0", "document", "O(1)", "point|OFF", NULL, NULL},
    {0},
};
