/* MODULE LIST, LOAD, UNLOAD. A loaded family becomes part of a new command table that takes the place of the old one; the old table and the code of an unloaded
 * family stay where they are until the process ends, so nobody who looks at them needs a lock. Loading is rare; what it leaves behind is small. */
#include "server/module_load.h"
#include "base/logline.h"
#include "server/reply.h"
#include "server/server.h"
#include <dlfcn.h>

typedef const struct family *(*module_door)(void);

static bool family_fits(const struct family *f) { return f && f->abi == MODULE_ABI && f->call_bytes == sizeof(struct call) && f->name && f->tables; }

static int publish(struct server *s)
{
    const char *clash;
    struct command_table *t = command_table_new(s->families, s->n_families, atomic_load(&s->commands), &clash);
    if (!t) {
        log_line(LOG_WARNING, "Module: there is already a command '%s'", clash);
        return E_EXISTS;
    }
    const char *why = command_table_rename_all(t, buf_slice(&s->config.renames), true, &clash);
    if (why) {
        log_line(LOG_WARNING, "Module: %s: '%s'", why, clash);
        command_table_free(&t);
        return E_EXISTS;
    }
    atomic_store_explicit(&s->commands, t, memory_order_release);
    return E_OK;
}

static int add_family(struct server *s, const struct family *f, void *handle, const char *path)
{
    for (size_t i = 0; i < s->n_families; i++) {
        if (strcmp(s->families[i]->name, f->name) != 0) continue;
        log_line(LOG_WARNING, "Module %s: a family '%s' is there already", path, f->name);
        return E_EXISTS;
    }
    if (s->n_families == MODULES_MAX) return E_TOOBIG;
    s->families[s->n_families++] = f;
    int rc = publish(s);
    if (rc < 0) {
        s->n_families--;
        return rc;
    }
    s->modules[s->n_modules++] = (struct module){f, mem_strdup(path), handle};
    log_line(LOG_NOTICE, "Module '%s' loaded from %s", f->name, path);
    return E_OK;
}

int module_load(struct server *s, const char *path)
{
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
        log_line(LOG_WARNING, "Module %s failed to load: %s", path, dlerror());
        return E_NOTFOUND;
    }
    module_door door;
    void *symbol = dlsym(handle, "varve_module");
    memcpy(&door, &symbol, sizeof door);
    const struct family *f = door ? door() : NULL;
    int rc = E_INVALID;
    if (!family_fits(f))
        log_line(LOG_WARNING, "Module %s is not a command family for this version (ABI %d)", path, MODULE_ABI);
    else {
        mutex_lock(&s->modules_mutex);
        rc = add_family(s, f, handle, path);
        mutex_unlock(&s->modules_mutex);
    }
    if (rc < 0) dlclose(handle);
    return rc;
}

static int remove_family(struct server *s, slice name)
{
    for (size_t i = 0; i < s->n_modules; i++) {
        const struct family *f = s->modules[i].family;
        if (!slice_eq(slice_str(f->name), name)) continue;
        size_t at = 0;
        while (s->families[at] != f) at++;
        memmove(&s->families[at], &s->families[at + 1], (s->n_families - at - 1) * sizeof *s->families);
        s->n_families--;
        mem_free(s->modules[i].path);
        memmove(&s->modules[i], &s->modules[i + 1], (s->n_modules - i - 1) * sizeof *s->modules);
        s->n_modules--;
        return publish(s);
    }
    return E_NOTFOUND;
}

int module_unload(struct server *s, slice name)
{
    mutex_lock(&s->modules_mutex);
    int rc = remove_family(s, name);
    mutex_unlock(&s->modules_mutex);
    return rc;
}

/* ---- commands ---- */

static void cmd_load(struct call *c)
{
    char *path = mem_dup(c->argv[2].p, c->argv[2].n);
    int rc = c->argc > 3 ? E_INVALID : module_load(c->client->server, path);
    if (c->argc > 3) log_line(LOG_WARNING, "Module %s: families take no arguments", path);
    mem_free(path);
    if (rc < 0)
        reply_error(c, "ERR Error loading the extension. Please check the server logs.");
    else
        reply_ok(c);
}

static void cmd_unload(struct call *c)
{
    if (module_unload(c->client->server, c->argv[2]) < 0)
        reply_error(c, "ERR Error unloading module: no such module with that name");
    else
        reply_ok(c);
}

static void cmd_list(struct call *c)
{
    struct server *s = c->client->server;
    mutex_lock(&s->modules_mutex);
    reply_array(c, s->n_modules);
    for (size_t i = 0; i < s->n_modules; i++) {
        reply_map(c, 4);
        reply_str(c, "name");
        reply_str(c, s->modules[i].family->name);
        reply_str(c, "ver");
        reply_int(c, s->modules[i].family->version);
        reply_str(c, "path");
        reply_str(c, s->modules[i].path);
        reply_str(c, "args");
        reply_array(c, 0);
    }
    mutex_unlock(&s->modules_mutex);
}

static void cmd_help(struct call *c)
{
    reply_help(c, "MODULE",
               "LIST\n    Show the loaded modules.\n"
               "LOAD <path>\n    Load a command family from a shared object.\n"
               "UNLOAD <name>\n    Take the commands of a module away.");
}

#define GUARD (CMD_ADMIN | CMD_NOSCRIPT | CMD_NO_ASYNC_LOADING)
static const struct command sub_commands[] = {
    {"list", cmd_list, 2, CMD_ADMIN | CMD_NOSCRIPT, .summary = "Shows the loaded modules", .since = "4.0.0", .group = "server", .complexity = "O(N) in modules",
     .tips = "nondeterministic_output_order"},
    {"load", cmd_load, -3, GUARD, .summary = "Loads a command family", .since = "4.0.0", .group = "server", .complexity = "O(1)", .syntax = "path [arg ...]"},
    {"unload", cmd_unload, 3, GUARD, .summary = "Takes the commands of a module away", .since = "4.0.0", .group = "server", .complexity = "O(1)", .syntax = "name"},
    {"help", cmd_help, 2, CMD_LOADING | CMD_STALE, .summary = "Shows the sub-commands", .since = "5.0.0", .group = "server", .complexity = "O(1)"},
    {NULL},
};
static const struct command commands[] = {
    {"module", NULL, -2, 0, .summary = "Loads and shows modules", .since = "4.0.0", .group = "server", .complexity = "Depends on the sub-command", .sub = sub_commands},
    {NULL},
};
FAMILY(module, commands);
