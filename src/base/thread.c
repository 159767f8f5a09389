/* Debug builds keep, per thread, the list of mutexes it holds, and check each
 * new one against it: a cycle between two threads needs one of them to go down
 * in rank, so the check finds a possible deadlock on the first run that takes
 * the locks in that order, without needing the deadlock itself. */
#include "base/thread.h"
#include "base/mem.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#ifdef VARVE_DEBUG
#include "base/logline.h"
#include <stdlib.h>

#define HELD_MAX 4096 /* a command over everything takes every stripe */
static _Thread_local const struct mutex *held[HELD_MAX];
static _Thread_local size_t held_n;

static bool may_follow(const struct mutex *m, const struct mutex *h)
{
    if (m->rank != h->rank) return m->rank > h->rank;
    return m->rank < RANK_LEAF && m > h;
}

static void check_order(const struct mutex *m)
{
    for (size_t i = 0; i < held_n; i++) {
        if (may_follow(m, held[i])) continue;
        log_line(LOG_WARNING, "lock order: taking %s (rank %d) while holding %s (rank %d)", m->name, m->rank, held[i]->name,
                 held[i]->rank);
        fprintf(stderr, "lock order: taking %s (rank %d) while holding %s (rank %d)\n", m->name, m->rank, held[i]->name,
                held[i]->rank);
        abort();
    }
}

static void note_held(const struct mutex *m)
{
    ASSERT(held_n < HELD_MAX);
    held[held_n++] = m;
}

static void note_released(const struct mutex *m)
{
    size_t i = held_n;
    while (i > 0 && held[i - 1] != m) i--;
    ASSERT(i > 0); /* released by a thread that does not hold it */
    memmove(held + i - 1, held + i, (held_n - i) * sizeof held[0]);
    held_n--;
}
#else
static inline void check_order(const struct mutex *m) { (void)m; }
static inline void note_held(const struct mutex *m) { (void)m; }
static inline void note_released(const struct mutex *m) { (void)m; }
#endif

void mutex_init(struct mutex *m, const char *name, int rank)
{
    ASSERT(name != NULL && rank >= 0);
    int rc = pthread_mutex_init(&m->m, NULL);
    ASSERT(rc == 0);
    m->name = name;
    m->rank = rank;
}

void mutex_fini(struct mutex *m)
{
    int rc = pthread_mutex_destroy(&m->m);
    ASSERT(rc == 0); /* EBUSY: somebody still holds it */
}

void mutex_lock(struct mutex *m)
{
    check_order(m);
    int rc = pthread_mutex_lock(&m->m);
    ASSERT(rc == 0);
    note_held(m);
}

bool mutex_trylock(struct mutex *m)
{
    /* No order check: who does not wait cannot deadlock. */
    int rc = pthread_mutex_trylock(&m->m);
    ASSERT(rc == 0 || rc == EBUSY);
    if (rc == 0) note_held(m);
    return rc == 0;
}

void mutex_unlock(struct mutex *m)
{
    note_released(m);
    int rc = pthread_mutex_unlock(&m->m);
    ASSERT(rc == 0);
}

void cond_init(struct cond *c)
{
    pthread_condattr_t a;
    pthread_condattr_init(&a);
    /* Time limits must not jump when somebody sets the clock. */
    pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
    int rc = pthread_cond_init(&c->c, &a);
    pthread_condattr_destroy(&a);
    ASSERT(rc == 0);
}

void cond_fini(struct cond *c) { pthread_cond_destroy(&c->c); }

void cond_wait(struct cond *c, struct mutex *m)
{
    note_released(m);
    int rc = pthread_cond_wait(&c->c, &m->m);
    ASSERT(rc == 0);
    check_order(m);
    note_held(m);
}

bool cond_wait_us(struct cond *c, struct mutex *m, uint64_t us)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    if (us > (uint64_t)1000000 * 86400 * 365) us = (uint64_t)1000000 * 86400 * 365; /* keeps tv_sec in range */
    t.tv_sec += (time_t)(us / 1000000);
    t.tv_nsec += (long)(us % 1000000) * 1000;
    if (t.tv_nsec >= 1000000000) t.tv_nsec -= 1000000000, t.tv_sec++;
    note_released(m);
    int rc = pthread_cond_timedwait(&c->c, &m->m, &t);
    ASSERT(rc == 0 || rc == ETIMEDOUT);
    check_order(m);
    note_held(m);
    return rc == 0;
}

void cond_signal(struct cond *c) { pthread_cond_signal(&c->c); }
void cond_broadcast(struct cond *c) { pthread_cond_broadcast(&c->c); }

struct start {
    void (*fn)(void *);
    void *arg;
    char name[16];
};

static void *run(void *p)
{
    struct start s = *(struct start *)p;
    mem_free(p);
    pthread_setname_np(pthread_self(), s.name);
    s.fn(s.arg);
    return NULL;
}

int thread_start(pthread_t *out, const char *name, void (*fn)(void *), void *arg)
{
    ASSERT(fn != NULL && name != NULL);
    struct start *s = mem_zalloc(sizeof *s);
    s->fn = fn;
    s->arg = arg;
    snprintf(s->name, sizeof s->name, "%s", name);
    /* Signals that ask for something go to the main thread. Those that report a
     * fault of the running instruction stay open: a blocked one would kill the
     * process before its handler could turn it into an error. */
    sigset_t most, old;
    sigfillset(&most);
    static const int faults[] = {SIGBUS, SIGSEGV, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS};
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) sigdelset(&most, faults[i]);
    pthread_sigmask(SIG_BLOCK, &most, &old);
    pthread_t t;
    int rc = pthread_create(&t, NULL, run, s);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (rc != 0) {
        mem_free(s);
        errno = rc;
        return err_note(E_IO, "thread %s", name);
    }
    *out = t;
    return E_OK;
}

void thread_join(pthread_t t)
{
    int rc = pthread_join(t, NULL);
    ASSERT(rc == 0);
}
