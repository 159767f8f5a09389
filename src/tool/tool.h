/* The commands of `varve`. Each takes what stands behind its name and returns the exit status: 0 as wished, 1 the answer is no (damage, an invalid proof),
 * 2 the question could not be asked (usage, a missing file, a running server). */
#ifndef VARVE_TOOL_TOOL_H
#define VARVE_TOOL_TOOL_H

enum { EXIT_YES = 0, EXIT_NO = 1, EXIT_TROUBLE = 2 };

int tool_verify(int argc, char **argv);
int tool_verify_proof(int argc, char **argv);
int tool_inspect(int argc, char **argv);
int tool_repair(int argc, char **argv);
int tool_log(int argc, char **argv);
int tool_show(int argc, char **argv);
int tool_diff(int argc, char **argv);

/* "varve: COMMAND: …" to standard error, and where help is; returns EXIT_TROUBLE. */
int tool_usage(const char *command, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same without the hint. */
int tool_trouble(const char *command, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
