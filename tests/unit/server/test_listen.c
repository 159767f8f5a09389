/* Real sockets: taking in, refusing, moving to another port, the unix socket. */
#include "serverbed.h"
#include "server/listen.h"
#include <arpa/inet.h>
#include <sys/stat.h>
#include <sys/un.h>

static int free_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, n), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
    close(fd);
    return ntohs(a.sin_port);
}

static int dial(int port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&a, sizeof a) == 0) return fd;
    close(fd);
    return -1;
}

static void ports_and_limits(void **state)
{
    char port[16], other[16], line[64];
    snprintf(port, sizeof port, "%d", free_port());
    const char *options[] = {"port", port, "bind", "127.0.0.1 -::1", "maxclients", "2", NULL};
    struct bed *b = bed_new(options);
    listen_start(b->server.listeners);
    for (int i = 0; i < 3; i++) {
        b->fd[i] = dial((int)strtol(port, NULL, 10));
        assert_true(b->fd[i] >= 0);
        bed_turn(b);
    }
    bed_ask(b, 0, "PING\r\n", "+PONG\r\n");
    bed_wait(b, 2, "-ERR max number of clients reached\r\n");
    assert_non_null(strstr(bed_read(b, 0, "CLIENT INFO\r\n"), "addr=127.0.0.1:"));
    snprintf(other, sizeof other, "%d", free_port());
    snprintf(line, sizeof line, "CONFIG SET port %s\r\n", other);
    bed_ask(b, 0, line, "+OK\r\n");
    for (int i = 0; i < 5; i++) bed_turn(b);
    assert_int_equal(dial((int)strtol(port, NULL, 10)), -1);
    bed_ask(b, 1, "QUIT\r\n", "+OK\r\n<closed>");
    b->fd[3] = dial((int)strtol(other, NULL, 10));
    bed_ask(b, 3, "PING\r\n", "+PONG\r\n");
    bed_free(&b);
}

/* Sockets give their port to those that take their place; when these cannot be had, the old ones go on. */
static void other_addresses_of_one_port(void **state)
{
    char port[16], other[16], line[96];
    snprintf(port, sizeof port, "%d", free_port());
    snprintf(other, sizeof other, "%d", free_port());
    const char *options[] = {"port", port, "bind", "127.0.0.1", NULL};
    struct bed *b = bed_new(options);
    listen_start(b->server.listeners);
    b->fd[0] = dial((int)strtol(port, NULL, 10));
    bed_turn(b);
    static const struct {
        const char *set, *want;
    } steps[] = {{"bind *", "+OK\r\n"},
                 {"bind 203.0.113.1", "-ERR CONFIG SET failed (possibly related to argument 'bind') - Failed to bind to specified addresses.\r\n"},
                 {"bind 127.0.0.1 hz 20", "+OK\r\n"},
                 {"bind * hz x", "-ERR CONFIG SET failed (possibly related to argument 'hz') - argument couldn't be parsed into an integer\r\n"}};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        snprintf(line, sizeof line, "CONFIG SET %s\r\n", steps[i].set);
        bed_ask(b, 0, line, steps[i].want);
        for (int k = 0; k < 5; k++) bed_turn(b);
        b->fd[1] = dial((int)strtol(port, NULL, 10));
        assert_true(b->fd[1] >= 0);
        bed_ask(b, 1, "PING\r\nQUIT\r\n", "+PONG\r\n+OK\r\n<closed>");
    }
    /* Two parameters of one command, and a second command before the loop has come to the first. */
    snprintf(line, sizeof line, "CONFIG SET port %s bind *\r\nCONFIG SET bind 127.0.0.1\r\n", other);
    bed_ask(b, 0, line, "+OK\r\n+OK\r\n");
    for (int k = 0; k < 5; k++) bed_turn(b);
    b->fd[1] = dial((int)strtol(other, NULL, 10));
    assert_true(b->fd[1] >= 0);
    bed_ask(b, 1, "PING\r\n", "+PONG\r\n");
    assert_int_equal(dial((int)strtol(port, NULL, 10)), -1);
    bed_free(&b);
}

static void unix_socket(void **state)
{
    char dir[] = "/tmp/varve-unix-XXXXXX", path[64];
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/s", dir);
    const char *options[] = {"unixsocket", path, "unixsocketperm", "700", NULL};
    struct bed *b = bed_new(options);
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    struct stat st;
    listen_start(b->server.listeners);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
    b->fd[0] = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(connect(b->fd[0], (struct sockaddr *)&a, sizeof a), 0);
    bed_ask(b, 0, "PING\r\n", "+PONG\r\n");
    assert_non_null(strstr(bed_read(b, 0, "CLIENT INFO\r\n"), "flags=U "));
    bed_free(&b);
    assert_int_not_equal(stat(path, &st), 0);
    rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(ports_and_limits), cmocka_unit_test(other_addresses_of_one_port), cmocka_unit_test(unix_socket)};
    return cmocka_run_group_tests_name("listen", tests, NULL, NULL);
}
