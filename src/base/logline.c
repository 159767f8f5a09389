/* A line is put together on the stack and leaves by one write under a mutex,
 * so that lines of different threads never mix and log_open can swap the file
 * while others write. A file that was moved away, as logrotate does, is opened
 * anew under its name before the next line. Nothing here allocates: the line about running out of
 * memory comes through here as well. */
#include "base/logline.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES 4096 /* longer lines are cut */

static _Atomic int threshold = LOG_NOTICE;
static pthread_mutex_t file_lock = PTHREAD_MUTEX_INITIALIZER;
static int file_fd = STDOUT_FILENO; /* under file_lock */
static char file_path[PATH_MAX];    /* of file_fd, under file_lock; "" = not a file with a name */

static size_t put_head(char *line, size_t max, enum log_level level)
{
    static const char month[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    struct timespec now;
    struct tm t;
    clock_gettime(CLOCK_REALTIME, &now);
    localtime_r(&now.tv_sec, &t);
    int n = snprintf(line, max, "%d:M %02d %s %04d %02d:%02d:%02d.%03d %c ", (int)getpid(), t.tm_mday, month[t.tm_mon % 12],
                     t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec, (int)(now.tv_nsec / 1000000), ".-*#"[level]);
    return n > 0 && (size_t)n < max ? (size_t)n : 0;
}

static void write_all(const char *p, size_t n)
{
    while (n > 0) {
        ssize_t did = write(file_fd, p, n);
        if (did < 0 && errno == EINTR) continue;
        if (did <= 0) return; /* a log that cannot be written has nobody to tell */
        p += did;
        n -= (size_t)did;
    }
}

static int open_file(const char *path) { return open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644); }

static void follow_name(void)
{
    struct stat named, open_one;
    if (!file_path[0]) return;
    if (stat(file_path, &named) == 0 && fstat(file_fd, &open_one) == 0 && named.st_ino == open_one.st_ino && named.st_dev == open_one.st_dev) return;
    int fd = open_file(file_path);
    if (fd < 0) return; /* better in the old file than nowhere */
    close(file_fd);
    file_fd = fd;
}

void log_line(enum log_level level, const char *fmt, ...)
{
    if (level < LOG_DEBUG || level >= LOG_NOTHING) return;
    if ((int)level < atomic_load_explicit(&threshold, memory_order_relaxed)) return;
    int saved = errno;
    char line[LINE_MAX_BYTES];
    size_t n = put_head(line, sizeof line - 1, level), room = sizeof line - 1 - n;
    va_list ap;
    va_start(ap, fmt);
    int did = vsnprintf(line + n, room, fmt, ap);
    va_end(ap);
    size_t end = n + (did < 0 ? 0 : (size_t)did < room ? (size_t)did : room - 1);
    /* Text may quote what a client sent: it must not be able to forge a line of its own. */
    for (size_t i = n; i < end; i++)
        if ((unsigned char)line[i] < ' ' && line[i] != '\t') line[i] = ' ';
    line[end++] = '\n';
    pthread_mutex_lock(&file_lock);
    follow_name();
    write_all(line, end);
    pthread_mutex_unlock(&file_lock);
    errno = saved;
}

void log_set_level(enum log_level level) { atomic_store(&threshold, (int)level); }
enum log_level log_get_level(void) { return (enum log_level)atomic_load(&threshold); }

int log_open(const char *path)
{
    int fd = STDOUT_FILENO;
    if (path[0] != 0) {
        fd = open_file(path);
        if (fd < 0) return err_note(E_IO, "log file %s", path);
    }
    pthread_mutex_lock(&file_lock);
    int old = file_fd;
    file_fd = fd;
    file_path[0] = 0;
    if (strlen(path) < sizeof file_path) memcpy(file_path, path, strlen(path) + 1);
    pthread_mutex_unlock(&file_lock);
    if (old != STDOUT_FILENO) close(old);
    return E_OK;
}
