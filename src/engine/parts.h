/* The engine's inside, shared by the files of src/engine that implement engine.h. Nobody else includes this. */
#ifndef VARVE_ENGINE_PARTS_H
#define VARVE_ENGINE_PARTS_H

#include "engine/engine.h"
#include "engine/index.h"
#include "engine/ring.h"
#include "engine/seglog.h"
#include "engine/tree.h"

struct fold;
struct engine_own; /* marks, threads, manifest, compaction: engine.c and its neighbours */

struct engine {
    struct os *os;
    struct ring *ring;
    struct seglog *log;
    struct index *index;
    struct tree *tree;
    struct fold *fold;
    struct hash_seed seed;
    struct engine_own *own;
};

#endif
