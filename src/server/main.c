/* The process: arguments, configuration, daemon, log, then the server. */
#include "base/logline.h"
#include "server/crash_log.h"
#include "server/server.h"
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static void usage(FILE *to)
{
    fprintf(to, "Usage: varve-server [/path/to/varve.conf] [options] [-]\n"
                "       varve-server -v or --version\n"
                "       varve-server -h or --help\n"
                "\n"
                "A file's parameters are options too: --port 7000 --dir /var/lib/varve --appendfsync always\n"
                "A lone - reads parameters from standard input. Options win over the file.\n"
                "\n"
                "Often wanted:\n"
                "  --port N             TCP port (6379); 0 for none\n"
                "  --dir PATH           where the store lives (./)\n"
                "  --appendfsync WHEN   always, everysec (default) or no\n"
                "  --store memory       keep nothing on disk\n"
                "  --threads N          event loops (half the cores)\n"
                "  --requirepass WORD   password of the default user\n"
                "  --logfile PATH       log to a file\n"
                "  --salvage yes        open a damaged store and keep what is readable\n"
                "\n"
                "All parameters: CONFIG GET *\n");
}

static void version_line(char out[256])
{
    snprintf(out, 256, "Varve server v=%s commit=%s redis=%s malloc=%s bits=%zu", VARVE_VERSION, VARVE_STAMP, REDIS_VERSION, mem_allocator(), sizeof(void *) * 8);
}

/* File, standard input, flags: in this order. */
static bool configure(struct config *c, int argc, char **argv, struct buf *error)
{
    struct buf text = {0};
    int i = 1, end = argc;
    bool ok = true, standard = false;
    if (i < argc && argv[i][0] != '-') {
        char path[PATH_MAX];
        if (!realpath(argv[i], path)) {
            buf_printf(error, "cannot read the configuration file '%s'", argv[i]);
            return false;
        }
        c->file = mem_strdup(path);
        ok = config_read_file(c, path, error);
        i++;
    }
    if (end > i && strcmp(argv[end - 1], "-") == 0) {
        standard = true;
        end--;
    }
    if (i < end && strcmp(argv[i], "-") == 0) {
        standard = true;
        i++;
    }
    if (ok && standard) ok = config_read_file(c, "-", error);
    config_flags_to_text(end - i, (const char *const *)argv + i, &text);
    ok = ok && config_read(c, buf_slice(&text), "command line", error);
    buf_fini(&text);
    return ok;
}

/* What would be taken for in force and is not: a server that was told to follow another must not begin to take writes of its own. */
static bool supported(struct config *c, struct buf *error)
{
    const char *name = NULL;
    if (!config_text_is(c, CFG_REPLICAOF, slice_str(""))) name = "replicaof";
    if (config_num(c, CFG_CLUSTER_ENABLED)) name = "cluster-enabled";
    if (config_num(c, CFG_TLS_PORT)) name = "tls-port";
    if (!config_text_is(c, CFG_ACLFILE, slice_str(""))) name = "aclfile";
    if (name) buf_printf(error, "this server cannot do what '%s' asks for, so it does not start with it", name);
    bool listens = (config_num(c, CFG_PORT) && !config_text_is(c, CFG_BIND, slice_str(""))) || !config_text_is(c, CFG_UNIXSOCKET, slice_str(""));
    if (!name && !listens) buf_add_str(error, "configured to listen nowhere: there is neither a port nor a unix socket");
    return !name && listens;
}

/* As with Redis, relative paths of logs, sockets and modules begin in `dir`. */
static bool make_dir(struct config *c, struct buf *error)
{
    struct buf dir = {0};
    char path[PATH_MAX];
    config_text(c, CFG_DIR, &dir);
    bool memory = config_num(c, CFG_STORE) == 1;
    bool ok = memory || os_mkdir(os_posix(), (const char *)dir.p) == E_OK;
    if (ok && realpath((const char *)dir.p, path)) {
        char detail[CONFIG_ERROR_MAX];
        ok = config_preset(c, CFG_DIR, slice_str(path), detail) == NULL && (chdir(path) == 0 || memory);
    }
    if (!ok) buf_printf(error, "the directory '%s' cannot be used", (const char *)dir.p);
    buf_fini(&dir);
    return ok;
}

static void become_daemon(void)
{
    if (fork() != 0) _exit(0);
    setsid();
    int fd = open("/dev/null", O_RDWR);
    if (fd < 0) return;
    dup2(fd, STDIN_FILENO);
    dup2(fd, STDOUT_FILENO);
    dup2(fd, STDERR_FILENO);
    if (fd > STDERR_FILENO) close(fd);
}

static void write_pidfile(struct config *c, struct buf *path)
{
    config_text(c, CFG_PIDFILE, path);
    if (path->n == 0 && config_num(c, CFG_DAEMONIZE)) {
        buf_add_str(path, "/var/run/varve.pid");
        buf_reserve(path, 1)[0] = 0;
    }
    if (path->n == 0) return;
    FILE *f = fopen((const char *)path->p, "w");
    if (!f) {
        log_line(LOG_VERBOSE, "The pid file '%s' cannot be written", (const char *)path->p);
        buf_clear(path);
        return;
    }
    fprintf(f, "%d\n", (int)getpid());
    fclose(f);
}

static bool open_log(struct config *c, struct buf *path, struct buf *error)
{
    config_text(c, CFG_LOGFILE, path);
    log_set_level((enum log_level)config_num(c, CFG_LOGLEVEL));
    if (log_open((const char *)path->p) == E_OK) return true;
    buf_printf(error, "the log file '%s' cannot be opened", (const char *)path->p);
    return false;
}

static int run(struct server *s)
{
    char about[256];
    struct buf log_path = {0}, pid_path = {0}, error = {0};
    int code = 1;
    version_line(about);
    if (!make_dir(&s->config, &error) || !open_log(&s->config, &log_path, &error)) {
        buf_add_byte(&error, 0);
        fprintf(stderr, "varve-server: %s\n", (const char *)error.p);
        goto done;
    }
    if (config_num(&s->config, CFG_DAEMONIZE)) become_daemon();
    if (config_num(&s->config, CFG_CRASH_LOG_ENABLED)) crash_log_install((const char *)log_path.p, about);
    signal(SIGHUP, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    log_line(LOG_NOTICE, "%s", about);
    log_line(LOG_NOTICE, "Varve is starting, PID: %d", (int)getpid());
    if (server_open(s) == E_OK) {
        write_pidfile(&s->config, &pid_path);
        log_line(LOG_NOTICE, "Server initialized, %u thread%s, appendfsync %s", s->n_loops, s->n_loops == 1 ? "" : "s",
                 (const char *[]){"no", "everysec", "always"}[config_num(&s->config, CFG_APPENDFSYNC)]);
        code = server_run(s);
    }
done:
    server_close(s);
    if (pid_path.n) unlink((const char *)pid_path.p);
    if (log_path.p && code == 0) log_line(LOG_WARNING, "Varve is now ready to exit, bye bye...");
    buf_fini(&log_path);
    buf_fini(&pid_path);
    buf_fini(&error);
    return code;
}

int main(int argc, char **argv)
{
    static struct server server; /* large; owned here */
    struct buf error = {0};
    char about[256];
    if (argc == 2 && (strcmp(argv[1], "-v") == 0 || strcmp(argv[1], "--version") == 0)) {
        version_line(about);
        puts(about);
        return 0;
    }
    if (argc == 2 && (strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "--help") == 0)) {
        usage(stdout);
        return 0;
    }
    server_init(&server);
    if (!configure(&server.config, argc, argv, &error) || !supported(&server.config, &error)) {
        buf_add_byte(&error, 0);
        fprintf(stderr, "varve-server: %s\nTry varve-server --help\n", (const char *)error.p);
        buf_fini(&error);
        return 1;
    }
    return run(&server);
}
