/* The fault-simulating OS, for crash tests.
 *
 * Files live in memory twice: what a running process sees, and what a disk
 * would hold after a power cut. Every mutating call (write, truncate, extend,
 * sync, sync_dir, rename, remove, create) is one numbered *event*. A crash at
 * event n makes that call and every later one fail with E_IO; os_sim_reboot()
 * then turns the file system into one of the states that a disk could hold at
 * that moment: synced bytes stay, each unsynced write is kept, dropped or torn
 * at a 512-byte border, unsynced directory operations are kept as a prefix or
 * dropped, chosen by `seed`. A dropped write may still leave the file longer,
 * with zeros. os_sync keeps a file's bytes and size, not its name: a name is
 * safe after os_sync_dir of its directory.
 *
 * Events count on over os_sim_set and reboots: "the k-th call from here" is
 * os_sim_events() + k. The clock starts at a fixed time and moves by one
 * microsecond a reading and by os_sim_advance. Injected failures are not
 * logged. Thread-safe by one mutex; a run is repeatable when its calls come in
 * one order. */
#ifndef VARVE_BASE_OS_SIM_H
#define VARVE_BASE_OS_SIM_H

#include "base/os.h"

struct os_sim_faults {
    uint64_t crash_at;      /* event number (from 1) at which the power goes; 0 = never */
    uint64_t fail_write_at; /* that event fails once with E_IO and writes nothing or a part; 0 = never */
    uint64_t fail_sync_at;  /* that event, if a sync, fails with E_IO and its bytes may be lost; 0 = never */
    uint64_t fail_read_at;  /* the n-th read call from os_sim_set on fails once with E_IO; 0 = never */
    uint64_t capacity_bytes;/* E_NOSPACE once the files together would exceed it (a write fills what
                               is left first, as disks do); 0 = unlimited */
    uint64_t seed;          /* decides tearing and reordering */
    bool process_only;      /* the crash is a kill -9: everything written stays */
};

API struct os *os_sim_new(uint64_t seed);
API void os_sim_set(struct os *, const struct os_sim_faults *);
API uint64_t os_sim_events(struct os *);       /* mutating calls so far */
API bool os_sim_crashed(struct os *);
API void os_sim_reboot(struct os *);           /* closes every handle, applies the crash (a power cut now if
                                                    none has happened), clears the faults; a handle that is still
                                                    around answers E_IO and may be closed */
API void os_sim_advance(struct os *, uint64_t us); /* moves its clock (starts at a fixed time) */
/* Flips bit `bit` of byte `off` of a file, as decay would. E_NOTFOUND, E_INVALID. */
API int os_sim_flip(struct os *, const char *path, uint64_t off, unsigned bit) MUST_CHECK;

#endif
