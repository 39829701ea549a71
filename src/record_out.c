/* Lines to the record's file, see record_internal.h. */
#include "record_internal.h"

#include <string.h>

enum { LINE_ROOM = 1024 }; /* no line is longer */

void record_flush(struct record_out *o)
{
    if (o->error == 0 && o->f.len > 0)
        o->error = sys_file_append(&o->file, o->buf, o->f.len);
    o->f.len = 0;
}

void record_line(struct record_out *o, const char *word)
{
    if (o->f.len + LINE_ROOM > sizeof(o->buf))
        record_flush(o);
    fmt_str(&o->f, word);
}

/* Cut where it is too long for a line. */
void record_text(struct record_out *o, const char *text)
{
    size_t len = strlen(text);
    fmt_str(&o->f, " ");
    fmt_printable(&o->f, text, len < LINE_ROOM / 2 ? len : LINE_ROOM / 2);
}

void record_number(struct record_out *o, uint64_t n)
{
    fmt_str(&o->f, " ");
    if (n == UNLIMITED)
        fmt_str(&o->f, RECORD_NO_NUMBER);
    else
        fmt_u64(&o->f, n);
}

void record_line_end(struct record_out *o)
{
    fmt_str(&o->f, "\n");
}

void record_quote(struct record_out *o, const char *text, bool *at_start)
{
    while (*text != '\0') {
        size_t len = strcspn(text, "\n");
        if (*at_start)
            record_line(o, RECORD_QUOTE);
        if (o->f.len + len + 2 > sizeof(o->buf))
            record_flush(o);
        fmt_strn(&o->f, text, len);
        *at_start = text[len] == '\n';
        if (*at_start)
            record_line_end(o);
        text += len + *at_start;
    }
}
