/* The names in a directory, see sys.h. */
#include "sys.h"

#include <dirent.h>
#include <fcntl.h>

int sys_dir_open(struct sys_dir *dir, const char *path, void *buf, size_t len)
{
    *dir = (struct sys_dir){
        .fd = sys_open(path, O_RDONLY | O_DIRECTORY),
        .reads_left = UINT32_MAX,
        .buf = buf,
        .len = len,
    };
    return dir->fd < 0 ? dir->fd : 0;
}

const struct dirent64 *sys_dir_next(struct sys_dir *dir)
{
    if (dir->at >= dir->got) {
        if (dir->fd < 0 || dir->reads_left == 0)
            return NULL;
        dir->reads_left--;
        dir->at = 0;
        dir->got = sys_getdents(dir->fd, dir->buf, dir->len);
        if (dir->got <= 0)
            return NULL;
    }
    const struct dirent64 *entry = (const void *)(dir->buf + dir->at);
    dir->at += entry->d_reclen;
    return entry;
}

void sys_dir_close(struct sys_dir *dir)
{
    if (dir->fd >= 0)
        sys_close(dir->fd);
}
