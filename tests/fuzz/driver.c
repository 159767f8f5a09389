/* Runs a fuzz target without libFuzzer: every file of its corpus, then inputs made by small mutations of them, for a given number of
 * runs. The seed is printed, so a failure can be repeated:  fuzz_NAME CORPUS_DIR RUNS SEED */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INPUT_MAX (1u << 16)

struct input {
    uint8_t *p;
    size_t n;
};
static struct input *corpus;
static size_t n_corpus;
static uint64_t state;

static uint64_t next_random(void)
{
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return state;
}

static void add_input(const uint8_t *p, size_t n)
{
    corpus = realloc(corpus, (n_corpus + 1) * sizeof *corpus);
    corpus[n_corpus].p = malloc(n + 1);
    memcpy(corpus[n_corpus].p, p, n);
    corpus[n_corpus++].n = n;
}

static void add_file(const char *path)
{
    static uint8_t text[INPUT_MAX];
    FILE *f = fopen(path, "rb");
    if (!f) return;
    size_t n = fread(text, 1, sizeof text, f);
    fclose(f);
    add_input(text, n);
}

static void load(const char *dir)
{
    char path[4096];
    DIR *d = opendir(dir);
    if (d) {
        for (struct dirent *e; (e = readdir(d));)
            if (e->d_name[0] != '.' && snprintf(path, sizeof path, "%s/%s", dir, e->d_name) < (int)sizeof path) add_file(path);
        closedir(d);
    }
    if (n_corpus == 0) add_input((const uint8_t *)"0", 1);
}

/* A few random edits: flip, overwrite, insert, cut, copy a piece of another input. */
static size_t mutate(uint8_t *p, size_t n)
{
    for (uint64_t edits = 1 + next_random() % 6; edits > 0; edits--) {
        size_t at = n ? next_random() % n : 0;
        switch (next_random() % 5) {
        case 0:
            if (n) p[at] ^= (uint8_t)(1u << next_random() % 8);
            break;
        case 1:
            if (n) p[at] = (uint8_t)next_random();
            break;
        case 2:
            if (n < INPUT_MAX) memmove(p + at + 1, p + at, n - at), p[at] = (uint8_t)next_random(), n++;
            break;
        case 3:
            n = at;
            break;
        default: {
            struct input *o = &corpus[next_random() % n_corpus];
            size_t from = o->n ? next_random() % o->n : 0, len = o->n - from;
            if (at + len > INPUT_MAX) len = INPUT_MAX - at;
            memcpy(p + at, o->p + from, len);
            if (at + len > n) n = at + len;
        }
        }
    }
    return n;
}

int main(int argc, char **argv)
{
    static uint8_t input[INPUT_MAX + 16];
    if (argc < 4) return fprintf(stderr, "usage: %s CORPUS_DIR RUNS SEED\n", argv[0]), 2;
    unsigned long runs = strtoul(argv[2], NULL, 10);
    state = strtoull(argv[3], NULL, 10) * 2654435761u + 88172645463325252ull;
    load(argv[1]);
    printf("%s: %zu inputs, %lu runs, seed %s\n", argv[0], n_corpus, runs, argv[3]);
    fflush(stdout);
    for (size_t i = 0; i < n_corpus; i++) (void)LLVMFuzzerTestOneInput(corpus[i].p, corpus[i].n);
    for (unsigned long i = 0; i < runs; i++) {
        struct input *o = &corpus[next_random() % n_corpus];
        memcpy(input, o->p, o->n);
        size_t n = mutate(input, o->n);
        uint8_t *exact = malloc(n ? n : 1); /* its own allocation, so that reading past the end is caught */
        memcpy(exact, input, n);
        (void)LLVMFuzzerTestOneInput(exact, n);
        free(exact);
    }
    for (size_t i = 0; i < n_corpus; i++) free(corpus[i].p);
    free(corpus);
    return 0;
}
