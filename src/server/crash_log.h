/* A last message that a person can read when the process dies of a bug. */
#ifndef VARVE_SERVER_CRASH_LOG_H
#define VARVE_SERVER_CRASH_LOG_H

/* Takes SIGSEGV, SIGBUS, SIGFPE, SIGILL and SIGABRT over: a report goes to the log file (NULL or "" = standard output), then the signal takes its course. `about` is one
 * line about the build. */
void crash_log_install(const char *log_path, const char *about);

#endif
