/* The commit ring (src/engine/ring.c) with small numbers, for spin.
 *
 * WRITERS processes make COMMITS commits each, of a kind that spin chooses: one record, a commit of two, an oversize
 * one (two seqs, one slot), each filled or abandoned, each acknowledged (drain to its end; never with NO_ACK) or not. A drainer drains
 * whatever is published and may retire at any time, so that parked writers must help themselves. With FAIL the sink may fail once.
 *
 * Checked: absolute values rebuilt from the cursor are right; a range is free and zero when its writer fills it; the sink gets whole
 * commits, filled, dense, in seq order, once; nothing after an error; an acknowledged commit was handed over; in the end nothing is left
 * and nobody sleeps (spin's own check of end states: no deadlock, no lost wake-up).
 *
 * A unit is a record. The packed word holds both counters cut to UMOD and SMOD; ghost_* are what they stand for.
 *
 * Mutants, each of which must be found:
 *   BUG_PUBLISH   the first record's word is stored first
 *   BUG_CURSOR    the cursor moves before the drained words are zeroed
 *   BUG_UNLOCK    who lets go of the drain lock tells nobody
 *   BUG_SLEEP     epoch is read before the waiter announces itself and looks again
 *   BUG_COUNTERS  bytes and seqs are taken in two steps
 *   BUG_ABANDON   a reservation that cannot be filled is left as it is
 *   BUG_STICKY    the drainer does not look at the failure before it goes on */

#ifndef WRITERS
#define WRITERS 2
#endif
#ifndef COMMITS
#define COMMITS 2
#endif
#ifndef RING
#define RING 3
#endif
#define UMOD 16
#define SMOD 32

#define LAST 1
#define MORE 2
#define OVER 3

#define OK 0
#define AGAIN 1
#define STICKY 2

byte tail_u, tail_s;   /* the one word */
byte ghost_u, ghost_s; /* its absolute value */
byte cur_u, cur_s;
byte word[RING], data[RING];
bool lock, failed, sink_failed;
byte waiters, epoch, writers_done;
bit asleep[WRITERS + 2];
byte handed;           /* next seq the sink expects */

#ifdef FAIL
#define MAY_FAIL true
#else
#define MAY_FAIL false
#endif
#ifdef NO_ACK
#define MAY_ACK false
#else
#define MAY_ACK true
#endif
#ifndef KIND_ONE
#define KIND_ONE true
#endif
#ifndef KIND_TWO
#define KIND_TWO true
#endif
#ifndef KIND_OVER
#define KIND_OVER true
#endif
#ifdef BUG_STICKY
#define FAILED false
#else
#define FAILED failed
#endif

inline wake_all()
{
    atomic {
        w = 0;
        do
        :: w < WRITERS + 2 -> asleep[w] = 0; w++
        :: else -> break
        od;
        w = 0
    }
}

/* Nobody can have read an epoch that is raised while nobody waits: leaving it alone then, and starting it again from zero with the
 * last waiter, gives the same behaviours in far fewer states. */
inline raise_epoch() { atomic { if :: waiters > 0 -> epoch++ :: else fi } }

/* COARSE (three writers) takes as one step what the run with two writers takes apart: zeroing and moving the cursor, and raising epoch with
 * looking at waiters. */

inline announce()
{
#ifdef COARSE
    atomic {
#endif
    raise_epoch();
    if
    :: waiters > 0 -> wake_all()
    :: else
    fi
#ifdef COARSE
    }
#endif
}

/* Walks published records from the cursor: n units, k seqs, whole commits only. Checks what the sink gets. */
inline walk()
{
    d_step {
        n = 0; k = 0; w = 0;
        if
        :: word[cur_u % RING] == OVER ->
            assert(data[cur_u % RING] == cur_s);
            n = 1; k = 2
        :: else ->
            do
            :: n + w >= RING -> assert(w == 0); break
            :: n + w < RING && (word[(cur_u + n + w) % RING] == 0 || word[(cur_u + n + w) % RING] == OVER) ->
                assert(w == 0); /* a commit is seen as a whole */
                break
            :: n + w < RING && word[(cur_u + n + w) % RING] == MORE ->
                assert(data[(cur_u + n + w) % RING] == cur_s + n + w);
                w++
            :: n + w < RING && word[(cur_u + n + w) % RING] == LAST ->
                assert(data[(cur_u + n + w) % RING] == cur_s + n + w);
                n = n + w + 1; w = 0
            od;
            k = n
        fi;
        w = 0
    }
}

inline advance()
{
#ifdef BUG_CURSOR
    cur_s = cur_s + k;
    cur_u = cur_u + n;
    d_step { w = 0; do :: w < n -> word[(cur_u - n + w) % RING] = 0; data[(cur_u - n + w) % RING] = 0; w++ :: else -> break od; w = 0 };
    d_step { n = 0; k = 0 };
#else
#ifdef COARSE
    atomic {
#endif
    d_step { w = 0; do :: w < n -> word[(cur_u + w) % RING] = 0; data[(cur_u + w) % RING] = 0; w++ :: else -> break od; w = 0; cur_s = cur_s + k };
    d_step { cur_u = cur_u + n; n = 0; k = 0 };
#ifdef COARSE
    };
#endif
#endif
    announce()
}

inline drain_to(end, wait)
{
    do
    :: rc != AGAIN -> break
    :: rc == AGAIN && FAILED -> rc = STICKY
    :: rc == AGAIN && !FAILED && cur_u >= end -> rc = OK
    :: rc == AGAIN && !FAILED && cur_u < end ->
        if
        :: word[cur_u % RING] == 0 && !wait -> rc = OK
        :: word[cur_u % RING] == 0 && wait -> (word[cur_u % RING] != 0 || failed)
        :: word[cur_u % RING] != 0 ->
            if
            :: atomic { true -> walk(); assert(!sink_failed); assert(handed == cur_s && k > 0); handed = handed + k };
                advance()
            :: atomic { MAY_FAIL && !sink_failed -> sink_failed = true; failed = true; n = 0; k = 0 };
                announce()
            fi
        fi
    od
}

inline attempt(end, wait)
{
    if
    :: failed -> rc = STICKY
    :: !failed && cur_u >= end -> rc = OK
    :: !failed && cur_u < end -> /* two steps, as in C: what was true a step ago may have changed */
        if
        :: atomic { !lock -> lock = true; rc = AGAIN };
            drain_to(end, wait);
            lock = false
#ifndef BUG_UNLOCK
            ; announce()
#endif
        :: lock -> rc = AGAIN
        fi
    fi
}

inline reach(end, wait)
{
    attempt(end, wait);
    do
    :: rc != AGAIN -> break
    :: else ->
#ifdef BUG_SLEEP
        attempt(end, wait);
        waiters++;
        e = epoch;
#else
        waiters++;
        e = epoch;
        attempt(end, wait);
#endif
        if
        :: rc == AGAIN ->
            atomic { if :: epoch == e -> asleep[me] = 1 :: else fi };
            asleep[me] == 0
        :: else
        fi;
        atomic { waiters--; e = 0; if :: waiters == 0 -> epoch = 0 :: else fi }
    od
}

proctype writer(byte me)
{
    byte left = COMMITS, units, seqs, low_u, low_s, u, s, end, rc, n, k, w, e;
    bool parks;

    do
    :: left == 0 || failed -> break
    :: left > 0 && !failed ->
        /* reserve */
        atomic {
            left--;
            if
            :: KIND_ONE -> units = 1; seqs = 1
            :: KIND_TWO -> units = 2; seqs = 2
            :: KIND_OVER -> units = 1; seqs = 2
            fi;
            low_u = tail_u; tail_u = (tail_u + units) % UMOD; u = ghost_u; ghost_u = ghost_u + units;
#ifdef BUG_COUNTERS
        };
        atomic {
#endif
            low_s = tail_s; tail_s = (tail_s + seqs) % SMOD; s = ghost_s; ghost_s = ghost_s + seqs
        };
        /* absolute values, from the cursor as it is now; park when the range is not free */
        atomic {
            assert(u == cur_u + ((low_u + 8 * UMOD - cur_u) % UMOD)); low_u = 0;
            assert(s == cur_s + ((low_s + 4 * SMOD - cur_s) % SMOD)); low_s = 0;
            end = u + units;
            parks = end > cur_u + RING;
            rc = OK
        };
        if
        :: parks -> parks = false; reach(end - RING, true)
        :: else
        fi;
        if
        :: rc != OK -> break
        :: else
        fi;
        /* fill: the range must be free and zero */
        atomic {
            assert(word[u % RING] == 0 && word[(end - 1) % RING] == 0 && end <= cur_u + RING);
            if
            :: data[u % RING] = s; if :: units == 2 -> data[(u + 1) % RING] = s + 1 :: else fi
#ifdef BUG_ABANDON
            :: goto next
#endif
            fi
        };
        /* publish; an abandoned reservation is a filler for each seq, without a chain */
        if
        :: units == 1 && seqs == 2 -> word[u % RING] = OVER
        :: units == 1 && seqs == 1 -> word[u % RING] = LAST
        :: units == 2 ->
#ifdef BUG_PUBLISH
            word[u % RING] = MORE;
            word[(u + 1) % RING] = LAST
#else
            word[(u + 1) % RING] = LAST;
            if
            :: word[u % RING] = MORE
            :: word[u % RING] = LAST
            fi
#endif
        fi;
        /* acknowledge, or leave it to others */
        if
        :: MAY_ACK -> reach(end, true);
            assert(rc == STICKY || (rc == OK && cur_u >= end && handed >= s + seqs))
        :: skip
        fi;
#ifdef BUG_ABANDON
next:
#endif
        atomic { u = 0; s = 0; end = 0; rc = OK; units = 0; seqs = 0 }
    od;
    atomic { units = 0; seqs = 0; u = 0; s = 0; end = 0; rc = OK; left = 0; writers_done++ }
}

proctype drainer(byte me)
{
    byte rc, n, k, w, to;

    do
    :: atomic { word[cur_u % RING] != 0 && !failed && !lock -> to = ghost_u };
        attempt(to, false);
        atomic { to = 0; rc = OK }
    :: writers_done == WRITERS -> break
    :: break
    od
}

init
{
    byte me = WRITERS + 1, rc, n, k, w, e;

    atomic {
        do
        :: w < WRITERS -> run writer(w); w++
        :: else -> break
        od;
        w = 0;
        run drainer(WRITERS)
    };
    _nr_pr == 1;
    if
    :: failed
    :: else ->
        reach(ghost_u, true);
        assert(failed || (cur_u == ghost_u && cur_s == ghost_s && handed == ghost_s))
    fi;
    assert(waiters == 0)
}
