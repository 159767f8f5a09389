/* Texts of instants, as points (`time:T`), VALID and VALIDAT take them, and of the words beside them: no wild read, nothing written on refusal, and an instant that was
 * taken comes back from the text that instant_format makes of it. */
#include "base/instant.h"
#include "base/num.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(e) ((e) ? (void)0 : abort())
#define UNTOUCHED INT64_C(-7777777777777)

static void check_format(int64_t ms)
{
    char text[INSTANT_TEXT_MAX];
    int64_t again = UNTOUCHED;
    instant_format(ms, text);
    MUST(memchr(text, 0, sizeof text) != NULL);
    MUST(instant_parse(slice_str(text), &again) && again == ms);
}

static void check_instant(slice text)
{
    int64_t iso = UNTOUCHED, any = UNTOUCHED, number = UNTOUCHED;
    bool is_iso = instant_parse_iso(text, &iso), is_any = instant_parse(text, &any), is_number = num_parse_i64(text, &number);
    MUST(is_any == (is_iso || is_number));
    MUST(is_iso || iso == UNTOUCHED);
    MUST(is_any || any == UNTOUCHED);
    if (is_any) check_format(any);
    if (is_number) MUST(any == number);
    else if (is_iso) MUST(any == iso);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int64_t ms;
    check_instant(slice_of(data, size));
    /* what stands behind each colon, as a point or a ref is cut */
    for (size_t i = 0; i < size && i < 64; i++)
        if (data[i] == ':') check_instant(slice_of(data + i + 1, size - i - 1));
    if (size >= sizeof ms) {
        memcpy(&ms, data, sizeof ms);
        check_format(ms);
        check_format(ms % INT64_C(400000000000000));
    }
    return 0;
}
