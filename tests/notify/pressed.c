/*
 * A program that is told what to do, a line at a time, and answers each with a line. First it
 * prints early=PATH envp=PATH write=TEXT: MEMORY_PRESSURE_WATCH as seen in a constructor and in
 * main's third argument, and MEMORY_PRESSURE_WRITE; "-" where not set.
 *   grow N, drop N  allocates and touches, or frees, N MiB of heap
 *   open            opens what MEMORY_PRESSURE_WATCH names: fifo=0|1 inode=N, or error=N
 *   wait            sleeps until that can be read: bytes=N
 *   heard           what can be read now: bytes=N, 0 if nothing
 *   close           closes every descriptor that it did not open
 *   user            goes on as nobody
 *   threads         threads=N
 *   switches        how often its threads have been switched to: switches=N
 *   fork            a child goes on from here; when it ends, the parent does
 *   exec, plain     starts itself anew, with LD_PRELOAD and without
 *   exit
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BLOCK = 1 << 20, BLOCKS_MAX = 1000 };

static const char name[] = "MEMORY_PRESSURE_WATCH";
static char early[600] = "-";
static char *blocks[BLOCKS_MAX];
static int held, watch = -1;

__attribute__((constructor)) static void look_early(void)
{
    const char *value = getenv(name);
    if (value)
        snprintf(early, sizeof(early), "%s", value);
}

static void grow(int count)
{
    while (count-- > 0 && held < BLOCKS_MAX) {
        blocks[held] = malloc(BLOCK);
        if (!blocks[held])
            abort();
        memset(blocks[held++], count, BLOCK);
    }
}

static void drop(int count)
{
    while (count-- > 0 && held > 0)
        free(blocks[--held]);
}

static void open_watch(void)
{
    struct stat st;
    const char *path = getenv(name);
    watch = open(path ? path : "", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (watch < 0 || fstat(watch, &st) < 0)
        printf("error=%d\n", errno);
    else
        printf("fifo=%d inode=%llu\n", S_ISFIFO(st.st_mode), (unsigned long long)st.st_ino);
}

static void hear(int patience_ms)
{
    char buf[64];
    struct pollfd fd = {.fd = watch, .events = POLLIN};
    ssize_t len = poll(&fd, 1, patience_ms) == 1 ? read(watch, buf, sizeof(buf)) : 0;
    printf("bytes=%d\n", (int)len);
}

static void close_others(void)
{
    for (int fd = 3; fd < 4096; fd++)
        if (fd != watch)
            close(fd);
    printf("closed\n");
}

static void become_nobody(void)
{
    int rc = setgid(65534) | setuid(65534);
    printf("user=%d\n", rc == 0 ? (int)getuid() : -1);
}

/* The number of threads, or with `switches` the sum of their context switches. */
static long count_threads(int switches)
{
    long count = 0, sum = 0;
    DIR *dir = opendir("/proc/self/task");
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        char path[300], line[200];
        snprintf(path, sizeof(path), "/proc/self/task/%s/status", entry->d_name);
        FILE *file = entry->d_name[0] == '.' ? NULL : fopen(path, "r");
        count += file != NULL;
        while (file && fgets(line, sizeof(line), file))
            if (strstr(line, "voluntary_ctxt_switches:"))
                sum += atol(strchr(line, ':') + 1);
        if (file)
            fclose(file);
    }
    if (dir)
        closedir(dir);
    return switches ? sum : count;
}

static void go_on_in_a_child(void)
{
    int status;
    pid_t child = fork();
    if (child == 0)
        printf("child=%d\n", (int)getpid());
    else if (waitpid(child, &status, 0) == child)
        printf("ended=%d\n", status);
}

static void start_anew(char **argv, int preloaded)
{
    if (!preloaded)
        unsetenv("LD_PRELOAD");
    execv("/proc/self/exe", argv);
}

static void obey(char **argv, const char *word, int number)
{
    if (strcmp(word, "grow") == 0 || strcmp(word, "drop") == 0) {
        (*word == 'g' ? grow : drop)(number);
        printf("held=%d\n", held);
    } else if (strcmp(word, "open") == 0)
        open_watch();
    else if (strcmp(word, "wait") == 0 || strcmp(word, "heard") == 0)
        hear(*word == 'w' ? 60000 : 0);
    else if (strcmp(word, "close") == 0)
        close_others();
    else if (strcmp(word, "user") == 0)
        become_nobody();
    else if (strcmp(word, "threads") == 0 || strcmp(word, "switches") == 0)
        printf("%s=%ld\n", word, count_threads(*word == 's'));
    else if (strcmp(word, "fork") == 0)
        go_on_in_a_child();
    else if (strcmp(word, "exec") == 0 || strcmp(word, "plain") == 0)
        start_anew(argv, *word == 'e');
    else
        printf("unknown=%s\n", word);
    fflush(stdout);
}

static const char *in_envp(char **envp)
{
    size_t len = strlen(name);
    for (; *envp; envp++)
        if (strncmp(*envp, name, len) == 0 && (*envp)[len] == '=')
            return *envp + len + 1;
    return "-";
}

/* Unbuffered, a byte at a time: the next line may be for a child. */
static int read_line(char *line, int size)
{
    int len = 0;
    while (len < size - 1 && read(0, line + len, 1) == 1 && line[len] != '\n')
        len++;
    line[len] = '\0';
    return len > 0;
}

int main(int argc, char **argv, char **envp)
{
    char line[100], word[100];
    const char *text = getenv("MEMORY_PRESSURE_WRITE");
    (void)argc;
    printf("early=%s envp=%s write=%s\n", early, in_envp(envp), text ? text : "-");
    fflush(stdout);
    while (read_line(line, sizeof(line)) && strcmp(line, "exit") != 0) {
        int number = 0;
        if (sscanf(line, "%99s %d", word, &number) >= 1)
            obey(argv, word, number);
    }
    return 0;
}
