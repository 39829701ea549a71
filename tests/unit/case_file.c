/* Captured cgroup trees as test data, see case_file.h. */
#include "case_file.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char *case_directory(void)
{
    static char dir[CASE_PATH_MAX];
    const char *given = getenv("PLIM_FIXTURES");
    if (given != NULL)
        return given;
#ifdef PLIM_FIXTURES_DIR
    return PLIM_FIXTURES_DIR;
#endif
    const char *slash = strrchr(__FILE__, '/');
    snprintf(dir, sizeof(dir), "%.*s/../fixtures/cgroup-cases",
             slash != NULL ? (int)(slash - __FILE__) : 1, slash != NULL ? __FILE__ : ".");
    return dir;
}

static char *read_all(const char *path, size_t *ret_len)
{
    FILE *f = fopen(path, "re");
    cr_assert(f != NULL, "cannot open %s", path);
    fseek(f, 0, SEEK_END);
    long len = ftell(f);
    rewind(f);
    char *data = malloc((size_t)len + 1);
    cr_assert(fread(data, 1, (size_t)len, f) == (size_t)len);
    data[len] = '\0';
    fclose(f);
    *ret_len = (size_t)len;
    return data;
}

/* "@@ expect", "@@ tree.after file nonl /a b": sets all but text and len. */
static bool parse_header(char *line, struct case_section *ret)
{
    char *kind = line + strlen("@@ ");
    char *rest = kind + strcspn(kind, " ");
    bool nonl = false;
    if (*rest != '\0')
        *rest++ = '\0';
    ret->after = strstr(kind, ".after") != NULL;
    ret->path = NULL;
    ret->dir = false;
    if (strncmp(kind, "tree", 4) == 0) {
        ret->dir = strncmp(rest, "dir ", 4) == 0;
        rest += ret->dir ? strlen("dir ") : strlen("file ");
        nonl = strncmp(rest, "nonl ", 5) == 0;
        ret->path = nonl ? rest + strlen("nonl ") : rest;
        cr_assert(ret->path[0] == '/', "odd path: %s", ret->path);
    }
    return nonl;
}

static char *section_end(char *text)
{
    if (strncmp(text, "@@ ", 3) == 0)
        return text;
    char *next = strstr(text, "\n@@ ");
    return next != NULL ? next + 1 : text + strlen(text);
}

void case_load(struct case_file *c, const char *name)
{
    char path[2 * CASE_PATH_MAX];
    size_t len;
    snprintf(path, sizeof(path), "%s/%s", case_directory(), name);
    c->name = name;
    c->count = 0;
    c->data = read_all(path, &len);
    for (char *at = c->data; *at != '\0';) {
        cr_assert(strncmp(at, "@@ ", 3) == 0 && c->count < CASE_SECTIONS);
        struct case_section *s = &c->sections[c->count++];
        char *text = strchr(at, '\n') + 1;
        char *end = section_end(text);
        text[-1] = '\0';
        bool nonl = parse_header(at, s);
        s->text = text;
        s->len = (size_t)(end - text);
        if (nonl && s->len > 0)
            s->len--;
        at = end;
    }
}

void case_free(struct case_file *c)
{
    free(c->data);
}

void case_each_key(const struct case_file *c, bool after,
                   void (*fn)(const char *key, const char *value, void *arg), void *arg)
{
    for (unsigned i = 0; i < c->count; i++) {
        const struct case_section *s = &c->sections[i];
        if (s->path != NULL || s->after != after)
            continue;
        char *copy = strndup(s->text, s->len), *state = NULL;
        for (char *l = strtok_r(copy, "\n", &state); l != NULL; l = strtok_r(NULL, "\n", &state)) {
            char *equals = strchr(l, '=');
            cr_assert(equals != NULL, "%s: odd line: %s", c->name, l);
            *equals = '\0';
            fn(l, equals + 1, arg);
        }
        free(copy);
    }
}

struct wanted {
    const char *key;
    char *buf;
    size_t len;
    bool found;
};

static void want_key(const char *key, const char *value, void *arg)
{
    struct wanted *w = arg;
    if (strcmp(key, w->key) != 0)
        return;
    w->found = true;
    snprintf(w->buf, w->len, "%s", value);
}

bool case_value(const struct case_file *c, bool after, const char *key, char *buf, size_t len)
{
    struct wanted w = {key, buf, len, false};
    case_each_key(c, after, want_key, &w);
    return w.found;
}

uint64_t case_bytes(const struct case_file *c, bool after, const char *key, uint64_t missing)
{
    char text[64];
    if (!case_value(c, after, key, text, sizeof(text)))
        return missing;
    return strcmp(text, "unlimited") == 0 ? UINT64_MAX : strtoull(text, NULL, 10);
}

static void make_parents(char *path, size_t root_len)
{
    for (char *slash = strchr(path + root_len + 1, '/'); slash != NULL;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(path, 0755);
        *slash = '/';
    }
}

void tree_write(const char *root, const char *path, const char *text, size_t len)
{
    char full[2 * CASE_PATH_MAX];
    snprintf(full, sizeof(full), "%s%s", root, path);
    make_parents(full, strlen(root));
    int fd = open(full, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    cr_assert(fd >= 0, "cannot write %s", full);
    cr_assert(write(fd, text, len) == (ssize_t)len);
    close(fd);
}

static void lay_out(const struct case_file *c, bool after, const char *root)
{
    char full[2 * CASE_PATH_MAX];
    for (unsigned i = 0; i < c->count; i++) {
        const struct case_section *s = &c->sections[i];
        if (s->path == NULL || s->after != after)
            continue;
        if (!s->dir) {
            tree_write(root, s->path, s->text, s->len);
            continue;
        }
        snprintf(full, sizeof(full), "%s%s/", root, s->path);
        make_parents(full, strlen(root));
    }
}

void case_unpack(const struct case_file *c, char *root, size_t len)
{
    const char *tmp = getenv("TMPDIR");
    snprintf(root, len, "%s/plim-case-XXXXXX", tmp != NULL ? tmp : "/tmp");
    cr_assert(mkdtemp(root) != NULL);
    lay_out(c, false, root);
}

static bool still_there(const struct case_file *c, const char *path)
{
    for (unsigned i = 0; i < c->count; i++) {
        const struct case_section *s = &c->sections[i];
        if (s->path != NULL && s->after && strcmp(s->path, path) == 0)
            return true;
    }
    return false;
}

void case_change(const struct case_file *c, const char *root)
{
    char full[2 * CASE_PATH_MAX];
    lay_out(c, true, root);
    for (unsigned i = 0; i < c->count; i++) {
        const struct case_section *s = &c->sections[i];
        if (s->path == NULL || s->after || still_there(c, s->path))
            continue;
        snprintf(full, sizeof(full), "%s%s", root, s->path);
        /* A cgroup goes as a whole: with its last file goes its directory. */
        for (bool gone = remove(full) == 0; gone; gone = rmdir(full) == 0)
            *strrchr(full, '/') = '\0';
    }
}

void tree_remove(const char *root)
{
    char command[CASE_PATH_MAX + 16];
    snprintf(command, sizeof(command), "rm -rf '%s'", root);
    cr_assert(system(command) == 0);
}
