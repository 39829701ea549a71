/* Names and lives of stats pages, see stats_page_file.h. */
#include "stats_page_file.h"

#include "fmt.h"
#include "sys.h"

#include <errno.h>
#include <string.h>
#include <sys/auxv.h>

bool page_name_parse(const char *name, struct page_name *ret)
{
    const size_t prefix = sizeof(PAGE_PREFIX) - 1;
    struct page_name parsed;
    uint64_t pid;
    char again[PAGE_NAME_MAX];
    if (strncmp(name, PAGE_PREFIX, prefix) != 0)
        return false;
    const char *at = name + prefix;
    if (fmt_parse_u64(at, &at, &pid) < 0 || pid < 1 || pid > INT32_MAX || *at != '.' ||
        fmt_parse_u64(at + 1, &at, &parsed.start_time) < 0 || *at != '\0')
        return false;
    parsed.pid = (uint32_t)pid;
    page_name_print(&parsed, again);
    if (strcmp(again, name) != 0)
        return false; /* leading zeros: a page has only one name */
    *ret = parsed;
    return true;
}

void page_name_print(const struct page_name *name, char text[PAGE_NAME_MAX])
{
    struct fmt f = {.buf = text, .cap = PAGE_NAME_MAX};
    fmt_str(&f, PAGE_PREFIX);
    fmt_u64(&f, name->pid);
    fmt_str(&f, ".");
    fmt_u64(&f, name->start_time);
}

/* "/proc/PID/name", or of this process. */
static void proc_path(uint32_t pid, const char *name, char *text, size_t size)
{
    struct fmt f = {.buf = text, .cap = size};
    fmt_str(&f, "/proc/");
    if (pid == 0)
        fmt_str(&f, "self");
    else
        fmt_u64(&f, pid);
    fmt_str(&f, name);
}

/* Whether the process has ended and was not waited for yet. Not where only its first thread has
 * ended. */
static bool has_ended(const char *line)
{
    uint64_t threads = 1;
    char state = fmt_stat_state(line);
    (void)fmt_stat_field(line, 20, &threads);
    return state == 'X' || (state == 'Z' && threads <= 1);
}

int page_start_time(uint32_t pid, uint64_t *ret)
{
    char path[40], text[1024];
    proc_path(pid, "/stat", path, sizeof(path));
    long len = sys_read_file(path, text, sizeof(text));
    if (len < 0)
        return (int)len;
    if (pid != 0 && has_ended(text))
        return -ESRCH;
    return fmt_stat_field(text, 22, ret);
}

bool page_comm(uint32_t pid, char ret[PAGE_COMM_MAX])
{
    char path[40];
    proc_path(pid, "/comm", path, sizeof(path));
    bool known = sys_read_file(path, ret, PAGE_COMM_MAX) > 0;
    ret[known ? strcspn(ret, "\n") : 0] = '\0';
    return known;
}

uint64_t page_pid_namespace(void)
{
    return sys_inode("/proc/self/ns/pid");
}

uint64_t page_image(uint32_t pid)
{
    union {
        char text[1024];
        struct {
            unsigned long type, value;
        } entry[1024 / (2 * sizeof(unsigned long))];
    } auxv;
    char path[40];
    if (pid == 0)
        return getauxval(AT_RANDOM);
    proc_path(pid, "/auxv", path, sizeof(path));
    long len = sys_read_file(path, auxv.text, sizeof(auxv.text));
    for (long i = 0; (i + 1) * (long)sizeof(auxv.entry[0]) <= len; i++)
        if (auxv.entry[i].type == AT_RANDOM)
            return auxv.entry[i].value;
    return 0;
}

enum page_life page_life(const struct page_view *view)
{
    uint64_t start, image;
    if (view->pid_namespace != page_pid_namespace())
        return PAGE_ELSEWHERE;
    if (view->pid == 0 || view->pid > INT32_MAX)
        return PAGE_DEAD;
    int rc = page_start_time((uint32_t)view->pid, &start);
    if (rc < 0 && rc != -ESRCH && sys_process_exists((uint32_t)view->pid))
        return PAGE_ELSEWHERE; /* hidden from us, or nothing can be opened just now */
    if (rc < 0 || start != view->start_time)
        return PAGE_DEAD;
    image = page_image((uint32_t)view->pid);
    return image != 0 && view->image != 0 && image != view->image ? PAGE_REPLACED : PAGE_LIVES;
}

bool page_is_old(uint64_t written_ns, uint64_t now_ns)
{
    return u64_less(now_ns, written_ns) >= PAGE_EVIDENCE_HOURS * 3600 * NS_PER_S;
}

bool page_is_evidence(const struct page_view *view, uint64_t wall_ns)
{
    return !page_is_old(page_written_at(view), wall_ns) &&
           (view->values[PAGE_LEVEL] >= PAGE_LEVEL_CRITICAL ||
            view->values[PAGE_FAILED_REQUESTS] > 0);
}

uint64_t page_written_at(const struct page_view *view)
{
    uint64_t after = u64_less(view->values[PAGE_UPDATED], view->created_ns);
    return view->created_at > UINT64_MAX - after ? UINT64_MAX : view->created_at + after;
}
