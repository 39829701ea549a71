/* Files that exist in the input only, see fake_files.h. */
#include "fake_files.h"

#include "../../src/sys.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { PAGE = 4096, FILES_MAX = 256, OPEN_MAX = 40, FIRST_FD = 100, KIND_FILE = 0, KIND_DIR = 1 };

struct file {
    const char *path, *text;
    size_t len;
    int kind, open_error, read_error;
    unsigned opened;
};

static struct {
    char *copy;
    struct file files[FILES_MAX];
    size_t count, chunk;
    struct {
        const struct file *file; /* NULL: a free slot, or a directory known only from paths */
        char *dir;               /* for a directory: its path */
        uint64_t at;
    } open[OPEN_MAX];
    unsigned mappings;
} fake;

static uint64_t ram = 16 * GiB, swap_free, now, read_takes;

static bool word(const char **at, const char *text)
{
    size_t len = strlen(text);
    bool is = strncmp(*at, text, len) == 0;
    *at += is ? len : 0;
    return is;
}

static void take_section(const char *head, char *text, size_t len)
{
    struct file file = {.text = text, .len = len};
    if (word(&head, "chunk ")) {
        fake.chunk = (size_t)atoi(head) & 0xffff;
        return;
    }
    if (!word(&head, "tree ") || fake.count == FILES_MAX)
        return;
    if (word(&head, "dir "))
        file.kind = KIND_DIR;
    else if (word(&head, "denied "))
        file.open_error = EACCES;
    else if (word(&head, "gone "))
        file.read_error = ENODEV;
    else if (word(&head, "file ") && word(&head, "nonl ") && len > 0)
        file.len--;
    file.path = head;
    if (head[0] == '/' && head[1] != '\0')
        fake.files[fake.count++] = file;
}

/* Texts stay in one copy of the input, each ended by a NUL: a block of its own for each would take
 * too long. */
void fake_begin(const uint8_t *data, size_t len)
{
    memset(&fake, 0, sizeof(fake));
    char *copy = malloc(len + 1), *end = copy + len;
    if (copy == NULL)
        abort();
    memcpy(copy, data, len);
    *end = '\0';
    fake.copy = copy;
    for (char *at = copy; at < end;) {
        char *newline = memchr(at, '\n', (size_t)(end - at));
        char *next = newline != NULL ? newline + 1 : end;
        if (strncmp(at, "@@ ", 3) != 0) {
            at = next;
            continue;
        }
        if (newline != NULL)
            *newline = '\0';
        char *text = next;
        while (next < end && strncmp(next, "@@ ", 3) != 0) {
            newline = memchr(next, '\n', (size_t)(end - next));
            next = newline != NULL ? newline + 1 : end;
        }
        take_section(at + 3, text, (size_t)(next - text));
        at = next;
    }
}

void fake_chunk(size_t len)
{
    fake.chunk = len;
}

void fake_pass(uint64_t ns)
{
    now += ns;
}

void fake_slow(uint64_t ns)
{
    read_takes = ns;
}

unsigned fake_opened(const char *name)
{
    unsigned sum = 0;
    for (size_t i = 0; i < fake.count; i++) {
        const char *base = strrchr(fake.files[i].path, '/') + 1;
        sum += strcmp(base, name) == 0 ? fake.files[i].opened : 0;
    }
    return sum;
}

void fake_swap_free(uint64_t bytes)
{
    swap_free = bytes;
}

void fake_ram(uint64_t bytes)
{
    ram = bytes;
}

void fake_end(void)
{
    for (unsigned i = 0; i < OPEN_MAX; i++)
        if (fake.open[i].dir != NULL) {
            (void)fprintf(stderr, "left open: %s\n", fake.open[i].dir);
            abort();
        }
    if (fake.mappings > 0)
        abort();
    free(fake.copy);
}

static const char *below_root(const char *path)
{
    return strncmp(path, FAKE_ROOT "/", sizeof(FAKE_ROOT)) == 0 ? path + sizeof(FAKE_ROOT) - 1
                                                                : path;
}

/* 1: `path` is the file's; 2: it is a directory that the file lies in; 0: neither. */
static int relation(const struct file *file, const char *path, size_t len)
{
    if (strncmp(file->path, path, len) != 0)
        return 0;
    return file->path[len] == '\0' ? 1 : file->path[len] == '/' ? 2 : 0;
}

int sys_open(const char *path, int flags)
{
    unsigned slot = 0;
    struct file *found = NULL;
    bool dir = false;
    path = below_root(path);
    size_t len = strlen(path);
    bool slashed = len > 0 && path[len - 1] == '/';
    while (len > 0 && path[len - 1] == '/')
        len--;
    for (size_t i = 0; i < fake.count && found == NULL; i++) {
        int lies = relation(&fake.files[i], path, len);
        dir = dir || lies == 2;
        if (lies == 1)
            found = &fake.files[i];
    }
    if (found != NULL && found->open_error != 0)
        return -found->open_error;
    if (found == NULL && !dir)
        return -ENOENT;
    dir = dir || found->kind == KIND_DIR;
    if (!dir && (slashed || (flags & O_DIRECTORY) != 0))
        return -ENOTDIR;
    while (slot < OPEN_MAX && fake.open[slot].dir != NULL)
        slot++;
    if (slot == OPEN_MAX)
        return -EMFILE;
    if (found != NULL)
        found->opened++;
    fake.open[slot].file = dir ? NULL : found;
    fake.open[slot].dir = strndup(path, len);
    fake.open[slot].at = 0;
    return (int)slot + FIRST_FD;
}

static int slot_of(int fd)
{
    int slot = fd - FIRST_FD;
    if (slot < 0 || slot >= OPEN_MAX || fake.open[slot].dir == NULL)
        abort();
    return slot;
}

int sys_close(int fd)
{
    int slot = slot_of(fd);
    free(fake.open[slot].dir);
    fake.open[slot].dir = NULL;
    return 0;
}

long sys_pread(int fd, void *buf, size_t len, uint64_t offset)
{
    const struct file *file = fake.open[slot_of(fd)].file;
    if (file == NULL)
        return -EISDIR;
    if (file->read_error != 0)
        return -file->read_error;
    if (offset >= file->len)
        return 0;
    len = (size_t)u64_min(len, file->len - offset);
    if (fake.chunk > 0)
        len = (size_t)u64_min(len, fake.chunk);
    memcpy(buf, file->text + offset, len);
    return (long)len;
}

long sys_read(int fd, void *buf, size_t len)
{
    uint64_t *at = &fake.open[slot_of(fd)].at;
    long got = sys_pread(fd, buf, len, *at);
    *at += got > 0 ? (uint64_t)got : 0;
    return got;
}

struct entry {
    uint64_t inode;
    int64_t next;
    unsigned short size;
    unsigned char type;
    char name[];
};

/* Whether an earlier file has had this directory entry listed already. */
static bool is_told(size_t index, size_t len)
{
    const char *path = fake.files[index].path;
    for (size_t i = 0; i < index; i++)
        if (strncmp(fake.files[i].path, path, len) == 0 && strchr("/", fake.files[i].path[len]))
            return true;
    return false;
}

long sys_getdents(int fd, void *buf, size_t len)
{
    int slot = slot_of(fd);
    size_t used = 0, prefix = strlen(fake.open[slot].dir);
    if (fake.open[slot].file != NULL)
        return -ENOTDIR;
    for (; fake.open[slot].at < fake.count; fake.open[slot].at++) {
        const struct file *file = &fake.files[fake.open[slot].at];
        struct entry *entry = (void *)((char *)buf + used);
        if (relation(file, fake.open[slot].dir, prefix) != 2)
            continue;
        const char *name = file->path + prefix + 1;
        size_t name_len = strcspn(name, "/");
        size_t size = (offsetof(struct entry, name) + name_len + 1 + 7) / 8 * 8;
        if (name_len == 0 || name_len > 255 ||
            is_told((size_t)fake.open[slot].at, prefix + 1 + name_len))
            continue;
        if (size > len - used)
            break;
        bool dir = name[name_len] == '/' || file->kind == KIND_DIR;
        *entry = (struct entry){1, 0, (unsigned short)size, dir ? DT_DIR : DT_REG};
        memcpy(entry->name, name, name_len);
        entry->name[name_len] = '\0';
        used += size;
    }
    return (long)used;
}

long sys_read_file(const char *path, char *buf, size_t len)
{
    int fd = len == 0 ? -EINVAL : sys_open(path, O_RDONLY);
    size_t got = 0;
    long n = 1;
    now += read_takes;
    if (fd < 0)
        return fd;
    while (n > 0 && got < len - 1) {
        n = sys_pread(fd, buf + got, len - 1 - got, got);
        got += n > 0 ? (size_t)n : 0;
    }
    sys_close(fd);
    buf[got] = '\0';
    return n < 0 ? n : (long)got;
}

/* For a file that is opened by its name for each read, and so has no descriptor. */
enum { HELD_BY_NAME = 1 };

void sys_file_close(struct sys_file *file)
{
    if (file->fd_plus_1 > FIRST_FD)
        sys_close(file->fd_plus_1 - 1);
    *file = (struct sys_file){0};
}

long sys_file_read(struct sys_file *file, const char *path, char *buf, size_t len)
{
    long got = sys_read_file(path, buf, len);
    sys_file_close(file);
    file->fd_plus_1 = got >= 0 ? HELD_BY_NAME : 0;
    return got;
}

int sys_file_open(struct sys_file *file, const char *path, int flags)
{
    int fd = sys_open(path, flags);
    *file = (struct sys_file){.fd_plus_1 = fd >= 0 ? fd + 1 : 0};
    return fd < 0 ? fd : 0;
}

bool sys_file_is_ours(const struct sys_file *file)
{
    return file->fd_plus_1 > 0;
}

/* Like the kernel: untouched pages cost nothing, and nothing is readable behind the mapping. */
void *sys_map(void *hint, size_t len, size_t align)
{
    size_t whole = (len + PAGE - 1) / PAGE * PAGE;
    char *p = mmap(NULL, whole + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    (void)hint, (void)align;
    if (p == MAP_FAILED || mprotect(p + whole, PAGE, PROT_NONE) < 0)
        abort();
    fake.mappings++;
    return p;
}

void sys_unmap(void *addr, size_t len)
{
    fake.mappings--;
    (void)munmap(addr, (len + PAGE - 1) / PAGE * PAGE + PAGE);
}

/* Simulated, so that an input gives the same result each time. */
uint64_t sys_now_ns(void)
{
    return now += 1000;
}

uint32_t sys_pid(void)
{
    return 1;
}

bool sys_process_exists(uint32_t pid)
{
    return pid % 2 != 0;
}

bool sys_first_thread_gone(void)
{
    return false;
}

uint64_t sys_ram_bytes(void)
{
    return ram;
}

bool sys_maps_locked(void)
{
    return false;
}

uint64_t sys_swap_free(void)
{
    return swap_free;
}

unsigned sys_affinity_cpus(void)
{
    return 8;
}

uint64_t sys_inode(const char *path)
{
    return strlen(path);
}

size_t sys_page_size(void)
{
    return PAGE;
}
