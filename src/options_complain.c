/* The complaints about a bad value or an unknown name, and the name that was probably meant. */
#include "fmt.h"
#include "options_internal.h"

#include <string.h>

enum {
    NAME_MAX_LEN = 40,  /* longer names are never near one of ours */
    SHOWN_MAX = 64,     /* bytes of a name or value that a complaint repeats */
    LINE_MAX_LEN = 512, /* a whole complaint */
    NEAR_ENOUGH = 3,    /* edits that still count as a slip */
};

/* The user's text inside a complaint: cut short, and kept to one line. */
static void fmt_shown(struct fmt *f, const char *s, size_t len)
{
    size_t shown = len > SHOWN_MAX ? SHOWN_MAX : len;
    fmt_printable(f, s, shown);
    fmt_str(f, shown < len ? "..." : "");
}

static void fmt_quoted(struct fmt *f, const char *s)
{
    fmt_str(f, "\"");
    fmt_shown(f, s, strlen(s));
    fmt_str(f, "\"");
}

static char upper(char c)
{
    return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

/* How many characters to insert, drop or change to make b of a, upper case or not; lengths up to
 * NAME_MAX_LEN. */
static unsigned edit_distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
    unsigned row[NAME_MAX_LEN + 1];
    for (unsigned j = 0; j <= b_len; j++)
        row[j] = j;
    for (size_t i = 0; i < a_len; i++) {
        unsigned diagonal = row[0];
        row[0] = (unsigned)i + 1;
        for (size_t j = 0; j < b_len; j++) {
            unsigned change = diagonal + (upper(a[i]) != b[j]);
            unsigned other = (row[j] < row[j + 1] ? row[j] : row[j + 1]) + 1;
            diagonal = row[j + 1];
            row[j + 1] = change < other ? change : other;
        }
    }
    return row[b_len];
}

/* The variable that was probably meant, with at most half of its own part wrong; NULL: none. */
static const char *nearest_name(const char *name, size_t len)
{
    const char *nearest = NULL;
    size_t best = NEAR_ENOUGH + 1;
    if (len > NAME_MAX_LEN)
        return NULL;
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const char *known = option_table[i].name;
        size_t known_len = strlen(known);
        size_t own_part = u64_less(known_len, sizeof(OPTIONS_PREFIX)); /* behind "PLIMSOLL_" */
        size_t distance = edit_distance(name, len, known, known_len);
        if (distance < best && distance <= own_part / 2) {
            best = distance;
            nearest = known;
        }
    }
    return nearest;
}

PLIM_COLD void options_bad_value(enum option_id id, const char *value,
                                 options_complain_fn *complain, void *arg)
{
    char line[LINE_MAX_LEN];
    struct fmt f = FMT_INIT(line);
    const struct option_info *info = &option_table[id];
    fmt_str(&f, info->name);
    fmt_str(&f, ": bad value ");
    fmt_quoted(&f, value);
    fmt_str(&f, ", expected ");
    fmt_str(&f, info->accepts);
    fmt_str(&f, "; using ");
    fmt_str(&f, info->fallback);
    complain(arg, line);
}

PLIM_COLD void options_bad_name(const char *name, size_t len, const char *value,
                                options_complain_fn *complain, void *arg)
{
    char line[LINE_MAX_LEN];
    struct fmt f = FMT_INIT(line);
    const char *nearest = nearest_name(name, len);
    fmt_shown(&f, name, len);
    fmt_str(&f, ": unknown variable (value ");
    fmt_quoted(&f, value);
    fmt_str(&f, "), expected ");
    fmt_str(&f, nearest != NULL ? nearest : "a name that \"plimsoll options\" lists");
    fmt_str(&f, nearest != NULL ? " perhaps; ignored" : "; ignored");
    complain(arg, line);
}
