/* Checks of the parameters whose value is more than one number or word. Each takes the value as given, however it is spaced or abbreviated, and
 * writes the form that CONFIG GET shows and CONFIG SET takes back. */
#include "server/config_check.h"
#include "base/num.h"

size_t config_words(slice value, slice *words, size_t max)
{
    size_t n = 0, i = 0;
    while (n < max) {
        while (i < value.n && (value.p[i] == ' ' || value.p[i] == '\t')) i++;
        if (i == value.n) break;
        size_t from = i;
        while (i < value.n && value.p[i] != ' ' && value.p[i] != '\t') i++;
        words[n++] = slice_of(value.p + from, i - from);
    }
    return n;
}

static void join(struct buf *out, slice word)
{
    if (out->n) buf_add_byte(out, ' ');
    buf_add_slice(out, word);
}

const char *check_octal(slice value, slice was, struct buf *out)
{
    int mode = 0;
    if (value.n == 0 || value.n > 4) return "argument couldn't be parsed as an octal number";
    for (size_t i = 0; i < value.n; i++) {
        if (value.p[i] < '0' || value.p[i] > '7') return "argument couldn't be parsed as an octal number";
        mode = mode * 8 + value.p[i] - '0';
    }
    if (mode > 0777) return "argument must be between 0 and 777 inclusive";
    buf_add_slice(out, value);
    return NULL;
}

/* Groups of "class hard soft seconds"; classes that are not named keep what they have. */
const char *check_output_limits(slice value, slice was, struct buf *out)
{
    static const char *const classes[][2] = {{"normal", "normal"}, {"slave", "replica"}, {"pubsub", "pubsub"}};
    slice words[CONFIG_WORDS_MAX], old[CONFIG_WORDS_MAX];
    slice now[12];
    size_t n = config_words(value, words, CONFIG_WORDS_MAX), n_old = config_words(was, old, CONFIG_WORDS_MAX);
    if (n % 4) return "Wrong number of arguments in buffer limit configuration.";
    for (size_t i = 0; i < 12; i++) now[i] = i < n_old ? old[i] : slice_str(i % 4 ? "0" : classes[i / 4][0]);
    for (size_t i = 0; i < n; i += 4) {
        size_t k = 0;
        while (k < 3 && !slice_is(words[i], classes[k][0]) && !slice_is(words[i], classes[k][1])) k++;
        if (k == 3) return "Invalid client class specified in buffer limit configuration.";
        uint64_t bytes, soft;
        int64_t seconds;
        if (!num_parse_memory(words[i + 1], &bytes) || !num_parse_memory(words[i + 2], &soft) ||
            !num_parse_i64(words[i + 3], &seconds) || seconds < 0)
            return "Error in hard, soft or soft_seconds setting in buffer limit configuration.";
        memcpy(&now[k * 4 + 1], &words[i + 1], 3 * sizeof *now);
    }
    for (size_t i = 0; i < 12; i++) {
        uint64_t v;
        if (i % 4 == 0 || !num_parse_memory(now[i], &v)) {
            join(out, now[i]);
            continue;
        }
        char digits[24];
        join(out, slice_of(digits, num_format_u64(digits, v)));
    }
    return NULL;
}

/* Pairs of seconds and changes; "" = never. */
const char *check_save(slice value, slice was, struct buf *out)
{
    slice words[CONFIG_WORDS_MAX];
    size_t n = config_words(value, words, CONFIG_WORDS_MAX);
    if (n % 2) return "Invalid save parameters";
    for (size_t i = 0; i < n; i++) {
        int64_t v;
        if (!num_parse_i64(words[i], &v) || v < (i % 2 ? 0 : 1)) return "Invalid save parameters";
        join(out, words[i]);
    }
    return NULL;
}

const char *check_percentiles(slice value, slice was, struct buf *out)
{
    slice words[CONFIG_WORDS_MAX];
    size_t n = config_words(value, words, CONFIG_WORDS_MAX);
    for (size_t i = 0; i < n; i++) {
        double v;
        if (!num_parse_double(words[i], &v)) return "Invalid latency-tracking-info-percentiles parameters";
        if (v < 0 || v > 100) return "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]";
        char digits[40];
        join(out, slice_of(digits, num_format_double(digits, v)));
    }
    return NULL;
}

/* Event classes: shown in one fixed order, with A for all that it stands for. */
const char *check_events(slice value, slice was, struct buf *out)
{
    static const char known[] = "g$lshzxetd", rest[] = "KEmn";
    bool on[128] = {false};
    for (size_t i = 0; i < value.n; i++) {
        uint8_t c = value.p[i];
        if (c == 'A')
            for (const char *k = known; *k; k++) on[(int)*k] = true;
        else if (c && c < 128 && (strchr(known, c) || strchr(rest, c)))
            on[c] = true;
        else
            return "Invalid event class character. Use 'Ag$lshzxeKEtmdn'.";
    }
    bool all = true;
    for (const char *k = known; *k; k++) all = all && on[(int)*k];
    if (all) buf_add_byte(out, 'A');
    for (const char *k = "g$lshzxetdn"; *k && !all; k++)
        if (on[(int)*k]) buf_add_byte(out, (uint8_t)*k);
    for (const char *k = "KEm"; *k; k++)
        if (on[(int)*k]) buf_add_byte(out, (uint8_t)*k);
    return NULL;
}

const char *check_memory_percent(slice value, slice was, struct buf *out)
{
    uint64_t v;
    char digits[24];
    if (value.n > 1 && value.p[value.n - 1] == '%') {
        if (!num_parse_u64(slice_of(value.p, value.n - 1), &v)) return "argument must be a memory or percent value";
        if (v > 100) return "percentage argument must be less or equal to 100";
        buf_add(out, digits, num_format_u64(digits, v));
        if (v > 0) buf_add_byte(out, '%');
        return NULL;
    }
    if (!num_parse_memory(value, &v)) return "argument must be a memory or percent value";
    buf_add(out, digits, num_format_u64(digits, v));
    return NULL;
}

const char *check_three_integers(slice value, slice was, struct buf *out)
{
    slice words[CONFIG_WORDS_MAX];
    int64_t v, before = -2000;
    if (config_words(value, words, CONFIG_WORDS_MAX) != 3) return "wrong number of arguments";
    for (size_t i = 0; i < 3; i++) {
        if (!num_parse_i64(words[i], &v) || v < -2000 || v > 2000) return "Invalid oom-score-adj-values, elements must be between -2000 and 2000.";
        if (v < before) return "The oom-score-adj-values should be in ascending order.";
        before = v;
        join(out, words[i]);
    }
    return NULL;
}

/* Words in any order, shown in one; `default` is none of the others. */
const char *check_shutdown(slice value, slice was, struct buf *out)
{
    static const char *const known[] = {"default", "save", "nosave", "now", "force"};
    slice words[CONFIG_WORDS_MAX];
    bool on[5] = {false};
    size_t n = config_words(value, words, CONFIG_WORDS_MAX);
    for (size_t i = 0; i < n || i == 0; i++) {
        size_t k = 0;
        while (k < 5 && (n == 0 || !slice_is(words[i], known[k]))) k++;
        if (k == 5) return "argument(s) must be one of the following: default, save, nosave, now, force";
        on[k] = true;
    }
    if (on[1] && on[2]) return "shutdown options SAVE and NOSAVE can't be used simultaneously";
    for (size_t k = 1; k < 5; k++)
        if (on[k]) join(out, slice_str(known[k]));
    if (out->n == 0) join(out, slice_str(known[0]));
    return NULL;
}

const char *check_replicaof(slice value, slice was, struct buf *out)
{
    slice words[3];
    int64_t port;
    size_t n = config_words(value, words, 3);
    if (n != 0 && n != 2) return "wrong number of arguments";
    bool none = n == 2 && slice_is(words[0], "no") && slice_is(words[1], "one");
    if (n == 2 && !none && (!num_parse_i64(words[1], &port) || port < 0 || port > 65535)) return "Invalid master port";
    for (size_t i = 0; i < n && !none; i++) join(out, words[i]);
    return NULL;
}

const char *check_bind(slice value, slice was, struct buf *out)
{
    slice words[BIND_ADDRESSES_MAX + 1];
    size_t n = config_words(value, words, BIND_ADDRESSES_MAX + 1);
    if (n > BIND_ADDRESSES_MAX) return "Too many bind addresses specified.";
    for (size_t i = 0; i < n; i++) join(out, words[i]);
    return NULL;
}
