/* The list of families. Those in modules/ are weak references: a program that links without one (a layer's tests) has no such commands, and nothing else changes. */
#include "server/families.h"

#define SERVER_FAMILY(name) extern const struct family name##_family
#define MODULE_FAMILY(name) extern const struct family name##_family __attribute__((weak))

SERVER_FAMILY(connection);
SERVER_FAMILY(client);
SERVER_FAMILY(command);
SERVER_FAMILY(transaction);
SERVER_FAMILY(admin);
SERVER_FAMILY(debug);
SERVER_FAMILY(module);
MODULE_FAMILY(key);
MODULE_FAMILY(string);
MODULE_FAMILY(doc);
MODULE_FAMILY(hash);
MODULE_FAMILY(list);
MODULE_FAMILY(set);
MODULE_FAMILY(zset);
MODULE_FAMILY(stream);

size_t families_built_in(const struct family **out, size_t max)
{
    const struct family *all[] = {&connection_family, &client_family, &command_family, &transaction_family, &admin_family,
                                  &debug_family,      &module_family, &key_family,     &string_family,      &doc_family,
                                  &hash_family,       &list_family,   &set_family,     &zset_family,        &stream_family};
    size_t n = 0;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (!all[i]) continue;
        ASSERT(n < max);
        ASSERT(all[i]->abi == MODULE_ABI && all[i]->call_bytes == sizeof(struct call));
        out[n++] = all[i];
    }
    return n;
}
