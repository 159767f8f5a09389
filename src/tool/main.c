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
