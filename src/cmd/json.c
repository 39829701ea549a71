/* JSON output, see json.h. */
#include "json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

json_t *json_number(uint64_t v)
{
    return json_integer(v > INT64_MAX ? INT64_MAX : (json_int_t)v);
}

json_t *json_seconds(uint64_t ns)
{
    return json_real((double)ns / (double)NS_PER_S);
}

json_t *json_known(uint64_t v)
{
    return v == UNLIMITED ? json_null() : json_number(v);
}

json_t *json_limit(uint64_t bytes)
{
    return bytes == UNLIMITED ? json_string("unlimited") : json_number(bytes);
}

json_t *json_millis(uint64_t millis)
{
    if (millis == UNLIMITED)
        return json_string("unlimited");
    return millis % 1000 == 0 ? json_number(millis / 1000) : json_real((double)millis / 1000);
}

json_t *json_text(const char *s)
{
    json_t *text = json_string(s);
    if (text != NULL)
        return text;
    /* A path may hold any bytes. */
    char *ascii = strdup(s);
    for (char *p = ascii; p != NULL && *p != '\0'; p++)
        if ((*p & 0x80) != 0)
            *p = '?';
    text = json_string(ascii != NULL ? ascii : "?");
    free(ascii);
    return text;
}

void json_write(json_t *json, FILE *to)
{
    (void)json_dumpf(json, to, JSON_INDENT(2) | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(9));
    (void)fputc('\n', to);
    json_decref(json);
}

void json_print(json_t *json)
{
    json_write(json, stdout);
}
