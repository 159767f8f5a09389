#include "base/slice.h"

static uint8_t lower(uint8_t c) { return (uint8_t)(c >= 'A' && c <= 'Z' ? c + 32 : c); }

/* Only ASCII letters fold: command words are ASCII, and a locale must not change what matches. */
bool slice_is(slice s, const char *word)
{
    for (size_t i = 0; i < s.n; i++)
        if (word[i] == 0 || lower(s.p[i]) != lower((uint8_t)word[i])) return false;
    return word[s.n] == 0;
}
