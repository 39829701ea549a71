/* Reads the devices' windows, see read_ahead.h. */
#include "read_ahead.h"

#include "fmt.h"
#include "sys.h"

#include <dirent.h>

/* A machine with many containers has a device for each of their file systems; more are not read. */
enum { DEVICES_MAX = 64 };

#define DEVICES "/sys/class/bdi"

static uint64_t window_of(const char *device)
{
    char path[512], text[32];
    uint64_t kib;
    struct fmt f = FMT_INIT(path);
    fmt_str(&f, DEVICES "/");
    fmt_str(&f, device);
    fmt_str(&f, "/read_ahead_kb");
    if (sys_read_file(path, text, sizeof(text)) < 0 || fmt_parse_u64(text, NULL, &kib) < 0 ||
        kib > UNLIMITED / KiB)
        return 0;
    return kib * KiB;
}

uint64_t read_ahead_largest(void)
{
    _Alignas(8) char buf[2048];
    uint64_t largest = read_ahead_default;
    unsigned left = DEVICES_MAX;
    struct sys_dir dir;
    const struct dirent64 *entry;
    (void)sys_dir_open(&dir, DEVICES, buf, sizeof(buf));
    while (left > 0 && (entry = sys_dir_next(&dir)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        largest = u64_max(largest, window_of(entry->d_name));
        left--;
    }
    sys_dir_close(&dir);
    return largest;
}
