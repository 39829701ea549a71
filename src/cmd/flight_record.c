/* The text of a flight record, see record_format.h. */
#include "flight.h"

#include "clean.h"

#include "../fmt.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_MAX_LEN = 1024, WORDS_MAX = 32 };

/* A line taken apart in place: words, and what follows each of them. */
struct line {
    char text[LINE_MAX_LEN];
    unsigned count;
    char *words[WORDS_MAX];
};

/* Without the carriage return that editors and mail leave at its end. */
static size_t line_len(const char *at, size_t len)
{
    return len > 0 && at[len - 1] == '\r' ? len - 1 : len;
}

bool flight_record_format(const char *data, size_t len, uint64_t *ret)
{
    static const char first[] = RECORD_FIRST_LINE;
    const size_t skip = sizeof(first) - 2; /* its number is one digit */
    char digits[24];
    const char *end, *stop = memchr(data, '\n', len);
    size_t n = line_len(data, stop != NULL ? (size_t)(stop - data) : len);
    if (n <= skip || n - skip >= sizeof(digits) || memcmp(data, first, skip) != 0)
        return false;
    memcpy(digits, data + skip, n - skip);
    digits[n - skip] = '\0';
    return fmt_parse_u64(digits, &end, ret) == 0 && *end == '\0';
}

static bool number(const char *word, uint64_t *ret)
{
    const char *end;
    if (strcmp(word, RECORD_NO_NUMBER) == 0) {
        *ret = UNLIMITED;
        return true;
    }
    return fmt_parse_u64(word, &end, ret) == 0 && *end == '\0';
}

static bool numbers(char *const *words, unsigned count, uint64_t *ret)
{
    for (unsigned i = 0; i < count; i++)
        if (!number(words[i], &ret[i]))
            return false;
    return true;
}

/* The rest of the line from the n-th word on, with control characters taken out. */
static void rest(const char *text, unsigned n, char *to, size_t size)
{
    for (; n > 0; n--) {
        text += strcspn(text, " ");
        text += *text == ' ';
    }
    size_t len = strnlen(text, size - 1);
    memcpy(to, text, len);
    to[len] = '\0';
    clean_text(to);
}

/* Lines of one word and a text or number. false: it is no such line. */
static bool take_head(const char *key, const char *text, struct flight *f, bool *ret_good)
{
    const struct {
        const char *key;
        char *to;
        size_t size;
    } texts[] = {
        {"reason", f->reason, sizeof(f->reason)},
        {"comm", f->comm, sizeof(f->comm)},
        {"version", f->version, sizeof(f->version)},
        {"on_limit", f->on_limit, sizeof(f->on_limit)},
        {"cgroup_path", f->cgroup_path, sizeof(f->cgroup_path)},
        {"limit_path", f->limit_path, sizeof(f->limit_path)},
        {"profile", f->profile, sizeof(f->profile)},
    };
    const struct {
        const char *key;
        uint64_t *to;
    } figures[] = {
        {"pid", &f->pid},
        {"start_time", &f->start_time},
        {"uid", &f->uid},
        {"created_ns", &f->created_ns},
        {"created_at", &f->created_at},
        {"taken_ns", &f->taken_ns},
        {"taken_at", &f->taken_at},
    };
    char word[32];
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        if (strcmp(texts[i].key, key) != 0)
            continue;
        rest(text, 1, texts[i].to, texts[i].size);
        return true;
    }
    for (size_t i = 0; i < ARRAY_LEN(figures); i++) {
        if (strcmp(figures[i].key, key) != 0)
            continue;
        rest(text, 1, word, sizeof(word));
        *ret_good = number(word, figures[i].to);
        return true;
    }
    return false;
}

static bool take_value(const struct line *line, struct flight *f)
{
    for (unsigned i = 0; line->count >= 3 && i < PAGE_FIELD_COUNT; i++) {
        if (strcmp(page_fields[i].name, line->words[1]) != 0)
            continue;
        f->have[i] = number(line->words[2], &f->values[i]);
        return f->have[i];
    }
    return line->count >= 3; /* a later version's line */
}

static bool take_sample(const struct line *line, struct flight *f, int *ret_error)
{
    struct record_sample sample;
    uint64_t fields[sizeof(sample) / sizeof(uint64_t)];
    if (line->count < 1 + ARRAY_LEN(fields) || !numbers(line->words + 1, ARRAY_LEN(fields), fields))
        return false;
    memcpy(&sample, fields, sizeof(sample));
    *ret_error = flight_add_sample(f, &sample);
    return true;
}

static bool take_reclaimer(const struct line *line, const char *text, struct flight *f)
{
    uint64_t n[3];
    f->reclaimers_known = true;
    if (line->count < 4 || f->reclaimer_count == FLIGHT_RECLAIMERS_MAX ||
        !numbers(line->words + 1, ARRAY_LEN(n), n))
        return false;
    struct flight_reclaimer *r = &f->reclaimers[f->reclaimer_count++];
    *r = (struct flight_reclaimer){.calls = n[0], .asked = n[1], .freed = n[2]};
    rest(text, 4, r->name, sizeof(r->name));
    return true;
}

static bool take_resident(const struct line *line, struct flight *f)
{
    uint64_t n[sizeof(f->resident) / sizeof(uint64_t)];
    if (line->count < 1 + ARRAY_LEN(n) || !numbers(line->words + 1, ARRAY_LEN(n), n))
        return false;
    f->resident_known = true;
    memcpy(&f->resident, n, sizeof(n));
    return true;
}

static bool take_map(const struct line *line, struct flight *f)
{
    uint64_t n[4];
    if (line->count < 6 || !numbers(line->words + 2, ARRAY_LEN(n), n))
        return false;
    f->maps_known = true;
    for (unsigned i = 0; i < RECORD_MAP_COUNT; i++)
        if (strcmp(record_maps[i].name, line->words[1]) == 0)
            f->maps[i] = (struct record_map_sum){n[0], n[1], n[2], n[3]};
    return true;
}

/* false: the line is one that we know and makes no sense. text: the whole line. */
static bool take_line(const struct line *line, const char *text, struct flight *f, int *ret_error)
{
    bool good = true;
    const char *key = line->count > 0 ? line->words[0] : "";
    if (strcmp(key, "value") == 0)
        return take_value(line, f);
    if (strcmp(key, "sample") == 0)
        return take_sample(line, f, ret_error);
    if (strcmp(key, "reclaimer") == 0)
        return take_reclaimer(line, text, f);
    if (strcmp(key, "resident") == 0)
        return take_resident(line, f);
    if (strcmp(key, "map") == 0)
        return take_map(line, f);
    if (strcmp(key, "maps_cut") == 0)
        f->maps_cut = true;
    else if (strcmp(key, "reclaimers") == 0)
        f->reclaimers_known = true;
    else if (strcmp(key, RECORD_LAST_LINE) == 0)
        f->complete = true;
    else if (key[0] != '\0')
        (void)take_head(key, text, f, &good);
    return good;
}

static void split(struct line *line)
{
    line->count = 0;
    for (char *at = line->text; line->count < WORDS_MAX && *at != '\0';) {
        line->words[line->count++] = at;
        at += strcspn(at, " ");
        if (*at == ' ')
            *at++ = '\0';
    }
}

/* A line of jemalloc's: appended to f->jemalloc, which has room for all of the record. */
static void take_quoted(const char *line, size_t len, struct flight *f, size_t *used)
{
    static const char quote[] = RECORD_QUOTE;
    size_t skip = len < sizeof(quote) - 1 ? len : sizeof(quote) - 1;
    for (size_t i = skip; i < len; i++) {
        char c = line[i];
        f->jemalloc[(*used)++] = (unsigned char)c >= ' ' && c < 0x7f ? c : c == '\t' ? ' ' : '?';
    }
    f->jemalloc[(*used)++] = '\n';
    f->jemalloc[*used] = '\0';
}

int flight_parse_record(const char *data, size_t len, struct flight *ret)
{
    const char *end = data + len;
    size_t quoted = 0;
    int error = 0;
    ret->pid = ret->start_time = ret->uid = UNLIMITED;
    ret->created_ns = ret->created_at = ret->taken_ns = ret->taken_at = UNLIMITED;
    ret->jemalloc = calloc(1, len + 2);
    if (ret->jemalloc == NULL)
        return -ENOMEM;
    for (const char *at = data; at < end && error == 0;) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        size_t n = line_len(at, (size_t)((stop != NULL ? stop : end) - at));
        struct line line;
        char text[LINE_MAX_LEN];
        if (*at == RECORD_QUOTE[0]) {
            take_quoted(at, n, ret, &quoted);
        } else if (stop == NULL || n >= LINE_MAX_LEN || memchr(at, '\0', n) != NULL) {
            ret->bad_lines++; /* a line cut short tells nothing that can be relied on */
        } else {
            memcpy(text, at, n);
            text[n] = '\0';
            memcpy(line.text, text, n + 1);
            split(&line);
            ret->bad_lines += !take_line(&line, text, ret, &error);
        }
        at = stop != NULL ? stop + 1 : end;
    }
    return error;
}
