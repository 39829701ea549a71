/* Text that others wrote, see clean.h. */
#include "clean.h"

#include "../base.h"

/* Bytes of the character that begins here, 0 if none does. Well-formed UTF-8 by table 3-7 of the
 * Unicode standard: the second byte's range excludes overlong forms, surrogates and values that are
 * too large. */
static size_t character_size(const unsigned char *s)
{
    static const struct {
        unsigned char first, last, second_min, second_max, size;
    } forms[] = {
        {0x20, 0x7e, 0, 0xff, 1},    {0xc2, 0xc2, 0xa0, 0xbf, 2}, /* U+0080 to U+009F are C1 */
        {0xc3, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3}, {0xe1, 0xec, 0x80, 0xbf, 3},
        {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3}, {0xf0, 0xf0, 0x90, 0xbf, 4},
        {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
    };
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        if (s[0] < forms[i].first || s[0] > forms[i].last)
            continue;
        if (s[1] < forms[i].second_min || s[1] > forms[i].second_max)
            return 0;
        for (size_t n = 2; n < forms[i].size; n++)
            if ((s[n] & 0xc0) != 0x80) /* stops at the end of the text too */
                return 0;
        return forms[i].size;
    }
    return 0;
}

void clean_text(char *text)
{
    while (*text != '\0') {
        size_t size = character_size((const unsigned char *)text);
        if (size == 0)
            *text = '?';
        text += size > 0 ? size : 1;
    }
}
