/* varve: what can be known about a store, or a proof, without a server. */
#include "tool/tool.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#ifndef VARVE_STAMP
#define VARVE_STAMP "unknown"
#endif

struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *brief, *help;
};

static const struct command commands[] = {
    {"verify", tool_verify, "check a stopped store, every byte of it",
     "usage: varve verify DIR\n\n"
     "Checks the store in DIR by code of its own, which shares nothing with the server: every record's checksum, every node's structure and\n"
     "hash, seqs and commits, the links of documents to their versions before, the Merkle tree up to the manifest's root, and the files of the index.\n"
     "Each fault is a line with file, offset, seq and reason. A tail that a crash tore, behind all that was ever on disk, is a note and no fault.\n\n"
     "Exit status: 0 the store is whole, 1 it is not, 2 it could not be checked (a server has it open, it is no store).\n"},
    {"verify-proof", tool_verify_proof, "check a proof that DPROVE gave",
     "usage: varve verify-proof [--root HEX] [--size N] [--node FILE] [FILE|-]\n\n"
     "Reads a proof as JSON, from FILE or standard input, and checks it by RFC 9162:\n\n"
     "    redis-cli -3 --json DPROVE INCLUSION key:user:7 | varve verify-proof --root HEX\n\n"
     "    --root HEX   the root that you trust; without it the proof is checked against the root that it brings along\n"
     "    --size N     the size of the log that goes with that root (a path alone does not fix the size)\n"
     "    --node FILE  the bytes of the node, as DNODE ref RAW gives them: their hash must be the leaf\n\n"
     "Prints `valid: …` or `INVALID: …`. Exit status: 0 valid, 1 invalid, 2 it could not be read.\n"},
    {"inspect", tool_inspect, "show what a stopped store consists of",
     "usage: varve inspect DIR\n"
     "       varve inspect DIR --segment FILE|N\n"
     "       varve inspect DIR --node SEQ [--raw]\n"
     "       varve inspect DIR --run FILE|ID\n\n"
     "Without an option: identity, manifest, segments, runs of the index, tree, databases. --segment lists the records of a segment (N counts from\n"
     "1), --run the entries of a run, --node the fields of one node. --raw writes exactly its hashed bytes:\n\n"
     "    varve inspect DIR --node 42 --raw | b2sum -l 256\n"},
    {"repair", tool_repair, "keep what is readable of a damaged store",
     "usage: varve repair DIR [--dry-run]\n\n"
     "Keeps every node that can be read, rebuilds what follows from them (tree, index, sidecars, manifest), and says which seqs are lost. The damaged files are\n"
     "copied to DIR/damaged-TIME/ first. A commit of which a part is lost is not brought back. A store without damage is left alone.\n"
     "--dry-run says what would be done.\n\n"
     "Exit status: 0 repaired (or nothing to repair), 1 damage remains, 2 it could not be tried.\n"},
    {"log", tool_log, "the commits of a stopped store, newest first",
     "usage: varve log DIR [options] [KEY...]\n\n"
     "Lists commits with their time, user, causes, note and what they wrote. With keys: the commits that wrote them, or links of theirs.\n\n"
     "    -n N, -N           at most N commits\n"
     "    --oneline          a line for each node\n"
     "    --reverse          oldest first\n"
     "    --since POINT      after this point; --until POINT: up to it\n"
     "    --prefix P         keys that begin so\n"
     "    --by USER          written by this user\n"
     "    --grep TEXT        with this text in the note\n"
     "    --db N             the database that the keys are of (0)\n"
     "    --no-pager         no pager, although standard output is a terminal\n\n"
     "A point is a seq, seq:N, time:T (Unix ms or ISO 8601), hash:H (8 digits or more), tag:NAME or head.\n"},
    {"show", tool_show, "one commit of a stopped store, or a key's value at a point",
     "usage: varve show DIR [--db N] [--no-pager] [POINT]\n"
     "       varve show DIR [--db N] [--pretty] POINT KEY\n\n"
     "Without a key: the commit that the point lies in (the newest one if there is no point) and how it changed each key. With a key: the bytes of its\n"
     "value as of the point, exactly; --pretty writes a document with a member a line.\n\n"
     "Exit status: 0 shown, 1 the key was not there, 2 it could not be read.\n"},
    {"diff", tool_diff, "what differs between two points of a stopped store",
     "usage: varve diff DIR [options] POINT [POINT [KEY...]]\n"
     "       varve diff DIR [options] POINT [POINT] -- KEY...\n\n"
     "Shows how each key changed from the first point to the second (head): documents with a member a line, strings by their lines.\n\n"
     "    --name-only        the keys; --name-status: with A (new), M (changed), D (gone) before them\n"
     "    --prefix P         keys that begin so\n"
     "    --db N             the database (0)\n"
     "    --quiet            print nothing; exit status 1 tells that something differs\n"
     "    --no-pager         no pager, although standard output is a terminal\n"},
};
#define COMMANDS (sizeof commands / sizeof *commands)

static const struct command *find(const char *name)
{
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(commands[i].name, name) == 0) return &commands[i];
    return NULL;
}

static void overview(FILE *f)
{
    fprintf(f, "usage: varve COMMAND [arguments]\n\n");
    for (size_t i = 0; i < COMMANDS; i++) fprintf(f, "    %-14s %s\n", commands[i].name, commands[i].brief);
    fprintf(f, "    %-14s %s\n    %-14s %s\n\n", "help COMMAND", "more about one of them", "--version", "which build this is");
}

static void complain(const char *command, const char *format, va_list ap)
{
    fflush(stdout);
    fprintf(stderr, "varve%s%s: ", command ? " " : "", command ? command : "");
    vfprintf(stderr, format, ap);
    fputc('\n', stderr);
}

int tool_usage(const char *command, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    complain(command, format, ap);
    va_end(ap);
    fprintf(stderr, "See 'varve help%s%s'.\n", command ? " " : "", command ? command : "");
    return EXIT_TROUBLE;
}

int tool_trouble(const char *command, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    complain(command, format, ap);
    va_end(ap);
    return EXIT_TROUBLE;
}

static int help(int argc, char **argv)
{
    const struct command *c = argc > 0 ? find(argv[0]) : NULL;
    if (argc > 0 && !c) return tool_usage(NULL, "no help for '%s'", argv[0]);
    if (c) fputs(c->help, stdout);
    else overview(stdout);
    return EXIT_YES;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        overview(stderr);
        return EXIT_TROUBLE;
    }
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "version") == 0) {
        printf("varve %s\n", VARVE_STAMP);
        return EXIT_YES;
    }
    if (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) return help(argc - 2, argv + 2);
    const struct command *c = find(argv[1]);
    if (!c) return tool_usage(NULL, "'%s' is not a command", argv[1]);
    if (argc > 2 && (strcmp(argv[2], "--help") == 0 || strcmp(argv[2], "-h") == 0)) return help(1, argv + 1);
    int status = c->run(argc - 2, argv + 2);
    if (fflush(stdout) != 0) return tool_trouble(c->name, "standard output cannot be written");
    return status;
}
