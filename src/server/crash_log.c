/* Only functions that are safe in a signal handler run here: open, write, backtrace_symbols_fd (after a first backtrace() at the start has loaded its library). The report
 * says what happened, where (function addresses as addr2line reads them), and what to do. */
#include "server/crash_log.h"
#include "server/server.h"
#include <execinfo.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FRAMES_MAX 64

static struct {
    char path[512];
    char about[256];
} crash;

static void say(int fd, const char *text)
{
    ssize_t n = write(fd, text, strlen(text));
    (void)n;
}

static void say_hex(int fd, uintptr_t v)
{
    char out[20] = "0x";
    size_t n = 2;
    for (int shift = 60; shift >= 0; shift -= 4) {
        unsigned digit = (unsigned)(v >> shift) & 15;
        if (digit || n > 2 || shift == 0) out[n++] = "0123456789abcdef"[digit];
    }
    out[n] = 0;
    say(fd, out);
}

static const char *signal_text(int signum)
{
    switch (signum) {
    case SIGSEGV: return "SIGSEGV (bad memory access)";
    case SIGBUS: return "SIGBUS (memory that cannot be reached, or a failing disk page)";
    case SIGFPE: return "SIGFPE (arithmetic)";
    case SIGILL: return "SIGILL (illegal instruction)";
    default: return "SIGABRT (a failed check; the line above says which)";
    }
}

static void on_crash(int signum, siginfo_t *info, void *context)
{
    void *frames[FRAMES_MAX];
    int fd = crash.path[0] ? open(crash.path, O_WRONLY | O_APPEND | O_CREAT, 0644) : STDOUT_FILENO;
    if (fd < 0) fd = STDERR_FILENO;
    say(fd, "\n=== VARVE BUG REPORT: the server stops here ===\nSignal:  ");
    say(fd, signal_text(signum));
    if (signum == SIGSEGV || signum == SIGBUS) {
        say(fd, "\nAddress: ");
        say_hex(fd, (uintptr_t)info->si_addr);
    }
    say(fd, "\nBuild:   ");
    say(fd, crash.about);
    say(fd, "\nWhere:\n");
    int n = backtrace(frames, FRAMES_MAX);
    backtrace_symbols_fd(frames, n, fd);
    say(fd, "What is acknowledged is in the log: the next start folds it. Please report this text.\n=== END OF REPORT ===\n");
    /* SA_RESETHAND put the default action back: it ends the process and leaves a core where one is wanted. */
    raise(signum);
}

void crash_log_install(const char *log_path, const char *about)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    void *frame[1];
    (void)backtrace(frame, 1);
    snprintf(crash.path, sizeof crash.path, "%s", log_path ? log_path : "");
    snprintf(crash.about, sizeof crash.about, "%s", about);
    struct sigaction action = {.sa_sigaction = on_crash, .sa_flags = SA_SIGINFO | SA_RESETHAND | SA_NODEFER};
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) sigaction(signals[i], &action, NULL);
}
