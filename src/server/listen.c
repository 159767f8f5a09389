/* Sockets. A bind address that begins with '-' may be missing on this machine; "*" is every IPv4 address, "::*" every IPv6 one. */
#include "server/listen.h"
#include "base/logline.h"
#include "server/config_check.h"
#include "server/server.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define SOCKETS_MAX (BIND_ADDRESSES_MAX + 1)
#define ACCEPTS_A_TURN 1000

struct listener {
    struct ev_io io;
    int fd;
    bool is_unix;
};
struct listeners {
    struct server *server;
    struct listener of[SOCKETS_MAX];
    int n;
    bool started;
    struct listeners *next; /* to take this one's place as soon as loop 0 comes to it; has no next itself */
    bool any_address; /* a protected server tells strangers why they are refused */
    char unix_path[108];
    unsigned next_loop;
};

static int add(struct listeners *l, int fd, bool is_unix)
{
    l->of[l->n] = (struct listener){.fd = fd, .is_unix = is_unix};
    l->of[l->n++].io.data = l;
    return E_OK;
}

static int open_address(struct listeners *l, const char *host, const char *port, int family, bool optional)
{
    struct addrinfo hints = {.ai_family = family, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV}, *found = NULL;
    int rc = getaddrinfo(host, port, &hints, &found), one = 1, fd = -1, why = 0;
    if (rc != 0) {
        log_line(LOG_WARNING, "Warning: Could not resolve the bind address %s: %s", host ? host : "*", gai_strerror(rc));
        return optional ? E_OK : E_IO;
    }
    for (struct addrinfo *a = found; a && fd < 0; a = a->ai_next) {
        fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd < 0) {
            why = errno;
            continue;
        }
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
        if (a->ai_family == AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
        if (bind(fd, a->ai_addr, a->ai_addrlen) == 0 && listen(fd, (int)config_num(&l->server->config, CFG_TCP_BACKLOG)) == 0) break;
        why = errno;
        close(fd);
        fd = -1;
    }
    freeaddrinfo(found);
    if (fd >= 0) return add(l, fd, false);
    log_line(LOG_WARNING, "Warning: Could not create server TCP listening socket %s:%s: %s", host ? host : "*", port, strerror(why));
    bool absent = why == EADDRNOTAVAIL || why == EAFNOSUPPORT || why == EPROTONOSUPPORT;
    return optional && absent ? E_OK : E_IO;
}

static int open_tcp(struct listeners *l)
{
    char port[16];
    struct buf bind_to = {0};
    slice words[BIND_ADDRESSES_MAX];
    int rc = E_OK;
    int64_t number = config_num(&l->server->config, CFG_PORT);
    if (number == 0) return E_OK;
    snprintf(port, sizeof port, "%d", (int)number);
    config_text(&l->server->config, CFG_BIND, &bind_to);
    size_t n = config_words(buf_slice(&bind_to), words, BIND_ADDRESSES_MAX);
    for (size_t i = 0; i < n && rc == E_OK; i++) {
        bool optional = words[i].p[0] == '-';
        slice w = optional ? slice_of(words[i].p + 1, words[i].n - 1) : words[i];
        char *host = mem_dup(w.p, w.n);
        bool all4 = strcmp(host, "*") == 0, all6 = strcmp(host, "::*") == 0;
        l->any_address |= all4 || all6;
        rc = open_address(l, all4 || all6 ? NULL : host, port, all4 ? AF_INET : all6 ? AF_INET6 : AF_UNSPEC, optional);
        mem_free(host);
    }
    buf_fini(&bind_to);
    return rc;
}

static int open_unix(struct listeners *l)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    struct buf path = {0}, perm = {0};
    config_text(&l->server->config, CFG_UNIXSOCKET, &path);
    if (path.n == 0 || path.n >= sizeof a.sun_path) {
        bool too_long = path.n > 0;
        buf_fini(&path);
        if (too_long) log_line(LOG_WARNING, "The path of the unix socket is too long");
        return too_long ? E_IO : E_OK;
    }
    memcpy(a.sun_path, path.p, path.n + 1);
    buf_fini(&path);
    unlink(a.sun_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (const struct sockaddr *)&a, sizeof a) != 0 || listen(fd, (int)config_num(&l->server->config, CFG_TCP_BACKLOG)) != 0) {
        log_line(LOG_WARNING, "Failed opening Unix socket: bind: %s", strerror(errno));
        if (fd >= 0) close(fd);
        return E_IO;
    }
    config_text(&l->server->config, CFG_UNIXSOCKETPERM, &perm);
    long mode = strtol((const char *)perm.p, NULL, 8);
    buf_fini(&perm);
    if (mode > 0) chmod(a.sun_path, (mode_t)mode);
    memcpy(l->unix_path, a.sun_path, sizeof l->unix_path);
    return add(l, fd, true);
}

int listen_open(struct server *s, struct listeners **out)
{
    struct listeners *l = mem_zalloc(sizeof *l);
    l->server = s;
    int rc = open_tcp(l);
    if (rc == E_OK) rc = open_unix(l);
    if (rc < 0) {
        listen_close(&l);
        return rc;
    }
    *out = l;
    return E_OK;
}

void listen_close(struct listeners **lp)
{
    struct listeners *l = *lp;
    if (!l) return;
    listen_close(&l->next);
    for (int i = 0; i < l->n; i++) {
        if (l->started) ev_io_stop(l->server->loops[0]->ev, &l->of[i].io);
        close(l->of[i].fd);
    }
    if (l->unix_path[0]) unlink(l->unix_path);
    mem_free(l);
    *lp = NULL;
}

/* ---- taking in ---- */

struct arrival {
    int fd;
    bool is_unix;
    char peer[CLIENT_ADDRESS_MAX], local[CLIENT_ADDRESS_MAX];
};

static void say_and_close(int fd, const char *text)
{
    ssize_t ignored = send(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)ignored;
    close(fd);
}

static void name_of(const struct sockaddr_storage *a, char out[CLIENT_ADDRESS_MAX])
{
    char host[INET6_ADDRSTRLEN] = "?";
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)a;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)a;
    if (a->ss_family == AF_INET) {
        inet_ntop(AF_INET, &v4->sin_addr, host, sizeof host);
        snprintf(out, CLIENT_ADDRESS_MAX, "%s:%d", host, ntohs(v4->sin_port));
    } else {
        inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof host);
        snprintf(out, CLIENT_ADDRESS_MAX, "[%s]:%d", host, ntohs(v6->sin6_port));
    }
}

static void set_tcp_options(struct server *s, int fd)
{
    int one = 1, seconds = (int)config_num(&s->config, CFG_TCP_KEEPALIVE), between = seconds / 3 ? seconds / 3 : 1, probes = 3;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (seconds == 0) return;
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &seconds, sizeof seconds);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &between, sizeof between);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
}

static void arrive(struct loop *l, void *arg)
{
    struct arrival *a = arg;
    if (l->stopping) {
        close(a->fd);
        atomic_fetch_sub(&l->server->n_clients, 1);
    } else {
        client_new(l, a->fd, a->peer, a->local, a->is_unix);
    }
    mem_free(a);
}

static bool refuse_stranger(struct listeners *l, const struct arrival *a)
{
    struct server *s = l->server;
    bool near = a->is_unix || strncmp(a->peer, "127.", 4) == 0 || strncmp(a->peer, "[::1]", 5) == 0;
    if (near || !config_num(&s->config, CFG_PROTECTED_MODE) || !atomic_load(&s->no_auth)) return false;
    say_and_close(a->fd, "-DENIED Varve runs in protected mode: no password is set for the default user and this connection is not from the same machine. "
                         "Connect from the machine itself, or set requirepass, or switch protected-mode off if the network is trusted.\r\n");
    s->loops[0]->rejected_connections++;
    return true;
}

static void take_in(struct listeners *l, struct arrival *a)
{
    struct server *s = l->server;
    if (refuse_stranger(l, a)) {
        mem_free(a);
        return;
    }
    if (atomic_fetch_add(&s->n_clients, 1) >= (uint64_t)config_num(&s->config, CFG_MAXCLIENTS)) {
        atomic_fetch_sub(&s->n_clients, 1);
        say_and_close(a->fd, "-ERR max number of clients reached\r\n");
        s->loops[0]->rejected_connections++;
        mem_free(a);
        return;
    }
    if (!a->is_unix) set_tcp_options(s, a->fd);
    struct loop *to = s->loops[l->next_loop++ % s->n_loops];
    if (to == s->loops[0])
        arrive(to, a);
    else
        loop_post(to, arrive, a);
}

static void on_arrival(struct ev_loop *ev, struct ev_io *w, int events)
{
    struct listeners *l = w->data;
    struct listener *from = (struct listener *)(void *)w;
    for (int i = 0; i < ACCEPTS_A_TURN; i++) {
        struct sockaddr_storage peer, local;
        socklen_t n = sizeof peer, n_local = sizeof local;
        int fd = accept4(from->fd, (struct sockaddr *)&peer, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            /* EINVAL: one that is about to be replaced. */
            if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED && errno != EINVAL) log_line(LOG_WARNING, "Accepting client connection: %s", strerror(errno));
            return;
        }
        struct arrival *a = mem_zalloc(sizeof *a);
        a->fd = fd;
        a->is_unix = from->is_unix;
        if (from->is_unix) {
            snprintf(a->peer, sizeof a->peer, "%s:0", l->unix_path);
            snprintf(a->local, sizeof a->local, "%s:0", l->unix_path);
        } else {
            name_of(&peer, a->peer);
            if (getsockname(fd, (struct sockaddr *)&local, &n_local) == 0) name_of(&local, a->local);
        }
        take_in(l, a);
    }
}

void listen_start(struct listeners *l)
{
    for (int i = 0; i < l->n; i++) {
        void *data = l->of[i].io.data;
        ev_io_init(&l->of[i].io, on_arrival, l->of[i].fd, EV_READ);
        l->of[i].io.data = data;
        ev_io_start(l->server->loops[0]->ev, &l->of[i].io);
    }
    l->started = true;
}

/* The unix socket did not change its path: its file is the newer socket's. */
static void close_old(struct listeners **l)
{
    if (*l) (*l)->unix_path[0] = 0;
    listen_close(l);
}

static void replace(struct loop *l, void *arg)
{
    struct server *s = l->server;
    mutex_lock(&s->config.setting);
    struct listeners *fresh = s->listeners->next;
    if (fresh) {
        s->listeners->next = NULL;
        close_old(&s->listeners);
        s->listeners = fresh;
        listen_start(fresh);
    }
    mutex_unlock(&s->config.setting);
}

/* A socket that listens keeps others from its port, also those that are to take its place. */
static void pause_listening(struct listeners *l, bool pause)
{
    for (int i = 0; l && i < l->n; i++) {
        if (l->of[i].is_unix) continue;
        int rc = pause ? shutdown(l->of[i].fd, SHUT_RDWR) : listen(l->of[i].fd, (int)config_num(&l->server->config, CFG_TCP_BACKLOG));
        if (rc != 0) log_line(LOG_WARNING, "A listening socket cannot be %s: %s", pause ? "paused" : "used again", strerror(errno));
    }
}

int listen_again(struct server *s)
{
    struct listeners *fresh = NULL, *now = s->listeners;
    ASSERT(now);
    pause_listening(now, true);
    pause_listening(now->next, true);
    int rc = listen_open(s, &fresh);
    if (rc < 0) {
        pause_listening(now, false);
        pause_listening(now->next, false);
        return rc;
    }
    close_old(&now->next);
    now->next = fresh;
    loop_post(s->loops[0], replace, NULL);
    return E_OK;
}
