/*
 * The seam to the kernel: all that the library itself asks of it. (What the program asks of it by
 * functions that the library replaces goes on from namespaces.c and sysconf.c.)
 *
 * Every function returns 0 or more on success and -errno on failure, leaves errno as it was, takes
 * no lock, allocates nothing and is safe inside malloc, in a signal handler and after fork.
 * EINTR is retried inside, and so is madvise's EAGAIN, a few times.
 */
#ifndef PLIM_SYS_H
#define PLIM_SYS_H

#include "base.h"

#include <errno.h>
#include <stdatomic.h>

/* Whether an error may be over the next time and says nothing of what was asked for: no descriptor
 * left, or no memory for the kernel to answer in. */
static inline bool sys_error_passes(long rc)
{
    return rc == -EMFILE || rc == -ENFILE || rc == -ENOMEM;
}

/* Files. */
/* O_CLOEXEC is added. At a high number if there is one, see sys_raise_fd(). */
int sys_open(const char *path, int flags);
int sys_close(int fd);
long sys_read(int fd, void *buf, size_t len);
long sys_pread(int fd, void *buf, size_t len, uint64_t offset);
long sys_write(int fd, const void *buf, size_t len);
/* Fills buf with struct dirent64 records. */
long sys_getdents(int fd, void *buf, size_t len);
/* Reads up to len - 1 bytes from the start of a file and ends them with NUL. Returns the length. */
long sys_read_file(const char *path, char *buf, size_t len);

struct dirent64;
/* The names in a directory (sys_dir.c), read into a buffer of the caller's that is aligned to 8
 * bytes and has room for 2 KiB or more. */
struct sys_dir {
    int fd;              /* -errno: not open, and without entries */
    uint32_t reads_left; /* how often the kernel may still be asked; the caller may set it */
    long got, at; /* bytes of buf filled, and given out already; got -errno: reading failed */
    char *buf;
    size_t len;
};
/* -errno. */
int sys_dir_open(struct sys_dir *dir, const char *path, void *buf, size_t len);
/* Valid until the next call; NULL: there are no more, or none that can be read. */
const struct dirent64 *sys_dir_next(struct sys_dir *dir);
void sys_dir_close(struct sys_dir *dir);

/*
 * A file held open across calls (sys_file.c). A program may close descriptors it does not own and
 * have the number given to another file: each read first checks that the number still names our
 * file. Zero-initialised: nothing held.
 */
struct sys_file {
    int fd_plus_1; /* 0: not open */
    bool marked;   /* an eventfd: all of them share one inode, so ours carries a mark as well */
    uint64_t dev, ino;
};
/* Opens it, at a high number. Flags as sys_open takes them. */
int sys_file_open(struct sys_file *file, const char *path, int flags);
/* A new eventfd, non-blocking, at a high number. */
int sys_file_eventfd(struct sys_file *file);
/* Like sys_read_file, through the held descriptor; (re)opens path where needed. */
long sys_file_read(struct sys_file *file, const char *path, char *buf, size_t len);
/* Closes it if it is still ours. */
void sys_file_close(struct sys_file *file);
/* Takes over a descriptor that is open already; -EBADF. */
int sys_file_adopt(struct sys_file *file, int fd);
/* Does the number still name our file? */
bool sys_file_is_ours(const struct sys_file *file);
/* Writes if that neither blocks nor raises SIGPIPE, and not at all otherwise. */
void sys_write_gently(int fd, const void *buf, size_t len);

/* Was that descriptor opened for lines of text, as far as can be seen? Yes if it names `known`, is
 * open for writing only or with O_APPEND, or is a pipe or a terminal. */
bool sys_takes_lines(int fd, const struct sys_file *known);

/* Pipes and sockets (sys_pipe.c). */
/* The write end of a new pipe, non-blocking, at a high number. Whoever can reach it by /proc may
 * open the other end, also after the program has changed its user. */
int sys_file_pipe(struct sys_file *file);
/* A new one at that number, if `file` or nothing is there; else -EBUSY. */
int sys_file_pipe_at(struct sys_file *file, int number);
/* Has somebody opened the other end? */
bool sys_pipe_is_read(int fd);
/* Bytes in the pipe that nobody has read yet. */
long sys_pipe_unread(int fd);
/* A stream socket connected to that path, non-blocking. */
int sys_file_connect(struct sys_file *file, const char *path);
/* S_IFMT of the file behind a path, links followed. */
int sys_file_type(const char *path);

/* poll(2); UINT64_MAX: for ever. */
struct pollfd;
int sys_poll(struct pollfd *fds, unsigned count, uint64_t timeout_ns);

/* Files that others see too (sys_shared_file.c). Symbolic links are not followed at the path's end.
 */
/* A new file of this user's own, mode 0600, for reading and writing; -EEXIST. */
int sys_create(const char *path);
/* Gives the file its length and reserves its blocks, so that writing it through a mapping cannot
 * fail later. -ENOSPC; -EFBIG without the signal that comes with it. */
int sys_reserve(int fd, size_t len);
/* Maps the file that is still `file`, shared, for reading and writing; NULL. */
void *sys_map_file(const struct sys_file *file, size_t len);
/* Adds to the file that is still `file`; -EBADF, and -EFBIG without the signal that comes with it.
 */
int sys_file_append(const struct sys_file *file, const void *buf, size_t len);
/* May files be made in it? */
int sys_may_write(const char *dir);
int sys_unlink(const char *path);
int sys_open_at(int dir, const char *name, int flags);
int sys_unlink_at(int dir, const char *name);
/* A regular file's owner; -EINVAL where it is something else. */
int sys_owner_at(int dir, const char *name, uint32_t *ret_uid);
/* Who owns an open file; -errno. */
int sys_owner(int fd, uint32_t *ret_uid);
/* When the file was made or last written by a call, stores through a mapping aside: wall clock,
 * nanoseconds since 1970; 0 if not known. */
uint64_t sys_written_at(int dir, const char *name);
/* Inode behind a path, links followed; 0 if there is none. */
uint64_t sys_inode(const char *path);

/* Processes. */
uint32_t sys_pid(void);
uint32_t sys_euid(void);
/* The one user that this thread is by its real, effective and saved user ID; -EPERM: several.
 * Servers change the effective one for a time, to act for somebody else. */
int sys_one_user(uint32_t *ret_uid);
bool sys_process_exists(uint32_t pid); /* or is a zombie */
bool sys_thread_exists(uint32_t tid);  /* in this process, as long as the kernel knows of it */

/* Memory (sys_memory.c). len and align in bytes, powers of two where the kernel wants it. */
void *sys_map(void *hint, size_t len, size_t align); /* NULL when there is none */
/* Does the program lock all future mappings (mlockall with MCL_FUTURE)? The kernel then brings them
 * into memory at once. */
bool sys_maps_locked(void);
/* As sys_map(), for such a program: pages are brought in and locked only as they are touched. */
void *sys_map_on_fault(void *hint, size_t len, size_t align);
/* guard bytes, a power of two, that may not be touched, and len bytes behind them. NULL: no
 * room. */
char *sys_map_guarded(size_t guard, size_t len);
/* Replaces what is mapped there by private memory, all zero. */
int sys_map_over(void *addr, size_t len);
/* Makes memory readable and writable; its contents stay. */
int sys_make_accessible(void *addr, size_t len);
void sys_unmap(void *addr, size_t len);
int sys_madvise(void *addr, size_t len, int advice);
/* Hands pages to the kernel, locked ones too from Linux 5.18 on; they read as zero. */
int sys_drop_pages(void *addr, size_t len);

/* Whether pages of 4 KiB are in memory, by proc_pid_pagemap(5), read ahead (sys_pagemap.c).
 * mincore(2) would tell as well, but system call filters leave it out. */
struct sys_pagemap {
    struct sys_file file;
    uint64_t not_before_ns; /* opening was refused: not tried again before */
    uintptr_t begin;
    size_t count;
    uint64_t pages[512];
};
/* 0 or -errno: fails for a process that has changed users, without a descriptor left, or without
 * /proc. Where it was refused, -EAGAIN for a minute. */
int sys_pagemap_open(struct sys_pagemap *map);
/* Reads the entries of these pages, so that sys_pagemap_at() knows them. */
void sys_pagemap_read(struct sys_pagemap *map, uintptr_t at, size_t size);
enum sys_page_is { SYS_PAGE_ABSENT, SYS_PAGE_SWAPPED, SYS_PAGE_IN_MEMORY };
/* Pages of which nothing is known count as in memory. */
enum sys_page_is sys_pagemap_at(const struct sys_pagemap *map, uintptr_t at);
void sys_pagemap_close(struct sys_pagemap *map);
/* Whether forked processes may share pages of the block, which begins at a page: some pages are
 * sampled. true where that cannot be told. */
bool sys_shares_pages(const void *addr, size_t len);

/* Waits while *word == expect; timeout UINT64_MAX: for ever. -ETIMEDOUT, -EAGAIN as futex(2). */
int sys_futex_wait(const _Atomic uint32_t *word, uint32_t expect, uint64_t timeout_ns);
int sys_futex_wake(const _Atomic uint32_t *word, int how_many);
/* The same where the word may be in memory that other processes share. */
int sys_futex_wait_shared(const _Atomic uint32_t *word, uint32_t expect, uint64_t timeout_ns);
int sys_futex_wake_shared(const _Atomic uint32_t *word, int how_many);

uint64_t sys_now_ns(void);  /* CLOCK_MONOTONIC */
uint64_t sys_wall_ns(void); /* CLOCK_REALTIME */
uint64_t sys_process_cpu_ns(void);
uint64_t sys_thread_cpu_ns(void); /* CPU time of the calling thread */
/* The same since start_ns; 0 in a child forked since, where it began anew. */
uint64_t sys_thread_cpu_since(uint64_t start_ns);
void sys_sleep_ns(uint64_t ns);
/* Gives way to threads of any priority, by a short sleep: a yield gives way to none of lower
 * priority. */
void sys_give_way(void);

/* The first thread has ended by pthread_exit(3), and others go on. /proc/self is that thread, and
 * then tells nothing of memory, and something wrong of cgroup v1; /proc/thread-self tells both. */
bool sys_first_thread_gone(void);
/* Path of the process's own file of that name (a string literal) under /proc. */
#define SYS_OWN_FILE(name)                                                                         \
    (sys_first_thread_gone() ? "/proc/thread-self/" name : "/proc/self/" name)
uint64_t sys_ram_bytes(void); /* of the machine; UNLIMITED if unknown */
uint64_t sys_swap_free(void); /* of the machine, bytes; 0: none, or not known */
size_t sys_page_size(void);
/* CPUs, as sched_setaffinity(2) takes them. */
struct cpu_mask {
    unsigned long bits[8192 / (8 * sizeof(unsigned long))];
};
/* The CPUs that this thread may run on; returns how many, at least 1. */
unsigned sys_affinity(struct cpu_mask *ret);
unsigned sys_affinity_cpus(void); /* only how many */
unsigned sys_tid(void);
/* Blocks the calling thread's signals that come from outside, not those that an instruction or a
 * system call of its own raises. Returns what was blocked before. */
uint64_t sys_block_signals(void);
void sys_restore_signals(uint64_t before);
/* Calls call(arg) on a fresh stack of 128 KiB (sys_stack.c), if there is room for one: for what
 * takes more stack than a thread may have left. */
void sys_on_own_stack(void (*call)(void *), void *arg);
bool sys_on_signal_stack(void); /* which may be small */
bool sys_is_secure(void);       /* set-uid and the like: AT_SECURE */

#endif
